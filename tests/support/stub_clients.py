"""Clients of both systems, and the documents that test servers return."""

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
"""The word of each system for a phase."""


class RequestLike(Protocol):
    """The part of a request that these servers read."""

    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str: ...


def state_word(system: str, phase: str) -> str:
    """Return the system's word for a phase. Any other word is returned unchanged."""
    return STATE_WORDS[system].get(phase, phase)


def workflow(system: str, id: int, phase: str = "running", **more: Any) -> bytes:
    """Return the body of a response about one workflow."""
    return document(system, row(system, id, phase, **more))


def row(system: str, id: int, phase: str = "running", **more: Any) -> dict[str, Any]:
    """Return a workflow as the system writes it."""
    if system == "opencast":
        return {"identifier": id, "state": state_word(system, phase), "event_identifier": f"event-{id}", **more}
    return {"Id": id, "State": state_word(system, phase), **more}


def document(system: str, tree: Mapping[str, Any]) -> bytes:
    """Return a tree in the format of the system."""
    return json.dumps(tree).encode() if system == "opencast" else element("WorkflowInstance", tree).encode()


def page(system: str, rows: Iterable[Mapping[str, Any]], total: int | str | None = None, **counts: Any) -> bytes:
    """Return the body of a page of a list. Only Preservica's has a total."""
    if system == "opencast":
        return json.dumps(list(rows)).encode()
    fields = {"TotalCount": total, **counts}
    tree = {**{name: count for name, count in fields.items() if count is not None}, "WorkflowInstance": list(rows)}
    return element("Instances", tree).encode()


def element(name: str, value: Any) -> str:
    """Return a tree of dicts, lists and texts as XML."""
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
    """A server without a socket. It accepts every login and calls `respond` for other requests."""

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
        """Run an open client of this server."""
        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(self)) as http_client,
            client_of(self.system, "http://127.0.0.1", clock=clock, http=http_client, **settings) as client,
        ):
            yield client


def mock_server(system: str, *bodies: bytes) -> MockServer:
    """Return a server that sends these bodies, repeating the last one."""
    rest = list(bodies)
    return MockServer(system, lambda _: httpx.Response(200, content=rest.pop(0) if len(rest) > 1 else rest[0]))


def client_of(system: str, url: str, **settings: Any) -> Any:
    """Return a client for a server of this system at this URL."""
    if system == "opencast":
        return OpencastClient(url, **{"auth": ("user", "s3cret"), **settings})
    return PreservicaClient(url, **{"username": "user", "password": "s3cret", "tenant": "TEN", **settings})


def with_login(answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `answer` with a login in front of it."""

    def answering(seen: RequestLike) -> Any:
        if seen.target.startswith(LOGIN):
            return _ok(json.dumps(GRANT).encode())
        return answer(seen)

    return answering


def with_version(answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `answer` with a version endpoint in front of it, which shows that the API is there."""

    def answering(seen: RequestLike) -> Any:
        if seen.target in {"/api/version", "/api/entity/versiondetails/version"}:
            return _ok(b'{"default": "v1.10.0", "versions": ["v1.10.0"], "for the other system": "<CurrentVersion>"}')
        return answer(seen)

    return answering


def _ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def running_clock() -> Clock:
    """Return a clock with the time of the running loop, for clients in virtual time."""
    loop = asyncio.get_running_loop()
    return Clock(now=loop.time, sleep=anyio.sleep, jitter=lambda: 0.5, wall=loop.time)
