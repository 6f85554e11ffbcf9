"""Clients of both systems, and the documents a test lets their servers say."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol
from xml.sax.saxutils import escape

import anyio
import httpx
from attrs import define, field

from workflow_async import Clock, OpencastClient, PreservicaClient, Retry
from workflow_async.preservica.login_calls import LOGIN

SYSTEMS = ("opencast", "preservica")
NO_RETRIES = Retry(attempts=1)
GRANT = {"success": True, "token": "tok", "validFor": 15}
STATE_WORDS = {
    "opencast": {"running": "running", "parked": "paused", "succeeded": "succeeded", "failed": "failed"},
    "preservica": {"running": "ACTIVE", "parked": "SUSPENDED", "succeeded": "COMPLETED", "failed": "FAILED"},
}
"""How each system says where a workflow stands."""


class RequestLike(Protocol):
    """A request, as a test's server needs to know of it."""

    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str: ...


def state_word(system: str, phase: str) -> str:
    """The system's word for a phase; any other word is its own."""
    return STATE_WORDS[system].get(phase, phase)


def workflow(system: str, id: int, phase: str = "running", **more: Any) -> bytes:
    """The body of an answer about one workflow."""
    return document(system, row(system, id, phase, **more))


def row(system: str, id: int, phase: str = "running", **more: Any) -> dict[str, Any]:
    """What either system says of a workflow."""
    if system == "opencast":
        return {"identifier": id, "state": state_word(system, phase), "event_identifier": f"event-{id}", **more}
    return {"Id": id, "State": state_word(system, phase), **more}


def document(system: str, tree: Mapping[str, Any]) -> bytes:
    """A tree in the system's language."""
    return json.dumps(tree).encode() if system == "opencast" else element("WorkflowInstance", tree).encode()


def page(system: str, rows: Iterable[Mapping[str, Any]], total: int | str | None = None, **counts: Any) -> bytes:
    """The body of a page of a list; only Preservica's has a total."""
    if system == "opencast":
        return json.dumps(list(rows)).encode()
    told = {"TotalCount": total, **counts}
    tree = {**{name: count for name, count in told.items() if count is not None}, "WorkflowInstance": list(rows)}
    return element("Instances", tree).encode()


def element(name: str, value: Any) -> str:
    """XML of a tree of dicts, lists and texts."""
    if isinstance(value, Mapping):
        value = "".join(
            element(child, item)
            for child, inner in value.items()
            for item in (inner if isinstance(inner, list) else [inner])
        )
    else:
        value = escape(str(value))
    return f"<{name}>{value}</{name}>"


@define
class MockServer:
    """A server without a wire: it lets everybody in and answers the rest as it is told."""

    system: str
    respond: Callable[[httpx.Request], httpx.Response]
    requests: list[httpx.Request] = field(factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == LOGIN:
            return httpx.Response(200, json=GRANT)
        self.requests.append(request)
        return self.respond(request)

    @asynccontextmanager
    async def client(self, clock: Clock, **settings: Any) -> AsyncIterator[Any]:
        """A client of it, entered."""
        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(self)) as http_client,
            client_of(self.system, "http://127.0.0.1", clock=clock, http=http_client, **settings) as client,
        ):
            yield client


def mock_server(system: str, *bodies: bytes) -> MockServer:
    """A server that answers with these, the last one for ever."""
    rest = list(bodies)
    return MockServer(system, lambda _: httpx.Response(200, content=rest.pop(0) if len(rest) > 1 else rest[0]))


def client_of(system: str, url: str, **settings: Any) -> Any:
    """A client of a server of this system at this URL."""
    if system == "opencast":
        return OpencastClient(url, **{"auth": ("user", "s3cret"), **settings})
    return PreservicaClient(url, **{"username": "user", "password": "s3cret", "tenant": "TEN", **settings})


def with_login(answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A wire's answers, with a login in front of them."""

    def answering(seen: RequestLike) -> Any:
        if seen.target.startswith(LOGIN):
            return _ok(json.dumps(GRANT).encode())
        return answer(seen)

    return answering


def with_version(answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A wire's answers, with a version endpoint in front of them, which shows that the API is there."""

    def answering(seen: RequestLike) -> Any:
        if seen.target in {"/api/version", "/api/entity/versiondetails/version"}:
            return _ok(b'{"default": "v1.10.0", "versions": ["v1.10.0"], "for the other system": "<CurrentVersion>"}')
        return answer(seen)

    return answering


def _ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def running_clock() -> Clock:
    """The running loop's time, for clients in virtual time."""
    loop = asyncio.get_running_loop()
    return Clock(now=loop.time, sleep=anyio.sleep, jitter=lambda: 0.5, wall=loop.time)
