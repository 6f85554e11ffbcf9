"""A transport between a client and the sandbox that passes requests on or treats them as a test says."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from attrs import define, field

from workflow_async import Clock, OpencastClient
from workflow_async.preservica import PreservicaClient
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica, System

Treat = Callable[[httpx.Request], httpx.Response | None]
"""Returns a response or raises. None passes the request on."""

BUSY = httpx.Response(503, html="<html><body>503 Service Temporarily Unavailable</body></html>")
BOOTING = httpx.Response(404, html="<html><body>No service was found.</body></html>")
JETTY = httpx.Response(404, json={"servlet": "org.eclipse.jetty", "message": "Not Found", "status": "404"})
MOVED = httpx.Response(302, headers={"location": "https://maintenance.example.org/"})
PORTAL = httpx.Response(200, html="<html><body>Back soon</body></html>")
NONE: Treat = lambda _: None  # noqa: E731 - a name for it


@define(eq=False)
class Gateway(httpx.AsyncBaseTransport):
    """The transport of a client. It records requests and the status of their responses."""

    system: System
    treat: Treat = NONE
    seen: list[tuple[str, str, int]] = field(factory=list)
    """Method, path and status of each request. The status is 0 if an error was raised."""
    _inner: httpx.ASGITransport = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._inner = httpx.ASGITransport(self.system.app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response = self.treat(request)
            if response is None:
                await request.aread()
                response = await self._inner.handle_async_request(request)
        except BaseException:
            self.seen.append((request.method, request.url.path, 0))
            raise
        self.seen.append((request.method, request.url.path, response.status_code))
        await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    @property
    def posts(self) -> list[int]:
        """The statuses of all start requests."""
        return [status for method, path, status in self.seen if method == "POST" and "accesstoken" not in path]

    def count(self, method: str, part: str) -> int:
        """Return the number of requests with this method and this part in their path."""
        return sum(sent_method == method and part in path for sent_method, path, _ in self.seen)


@asynccontextmanager
async def opencast(gateway: Gateway, clock: Clock, **settings: Any) -> AsyncIterator[OpencastClient]:
    """Yield a client of an Opencast behind a gateway."""
    assert isinstance(gateway.system, FakeOpencast)
    async with httpx.AsyncClient(transport=gateway) as http_client:
        account = {"auth": gateway.system.auth, "clock": clock, "http": http_client}
        async with OpencastClient("https://oc.example.org", **{**account, **settings}) as client:
            yield client


@asynccontextmanager
async def preservica(gateway: Gateway, clock: Clock, **settings: Any) -> AsyncIterator[PreservicaClient]:
    """Yield a client of a Preservica behind a gateway."""
    archive = gateway.system
    assert isinstance(archive, FakePreservica)
    async with httpx.AsyncClient(transport=gateway) as http_client:
        account = {"username": archive.username, "password": archive.password, "tenant": archive.tenant}
        more: dict[str, Any] = {**account, "clock": clock, "http": http_client, **settings}
        async with PreservicaClient("https://pv.example.org", **more) as client:
            yield client
