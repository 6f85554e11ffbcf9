"""What stands between a batch and the sandbox: it passes requests on, or does with them what it is told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from attrs import define, field

from workflow_async import Clock, OpencastClient
from workflow_async.preservica import PreservicaClient
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica, System

Treat = Callable[[httpx.Request], httpx.Response | None]
"""Answers a request, or raises; None passes it on."""

BUSY = httpx.Response(503, html="<html><body>503 Service Temporarily Unavailable</body></html>")
BOOTING = httpx.Response(404, html="<html><body>No service was found.</body></html>")
JETTY = httpx.Response(404, json={"servlet": "org.eclipse.jetty", "message": "Not Found", "status": "404"})
MOVED = httpx.Response(302, headers={"location": "https://maintenance.example.org/"})
PORTAL = httpx.Response(200, html="<html><body>Back soon</body></html>")
NONE: Treat = lambda _: None  # noqa: E731 - a name for it


@define(eq=False)
class Gateway(httpx.AsyncBaseTransport):
    """The transport of a client; what came and how it was answered is kept."""

    system: System
    treat: Treat = NONE
    seen: list[tuple[str, str, int]] = field(factory=list)
    """Method, path and status of each exchange; status 0 where something was raised."""
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
        """The statuses of all starts that came."""
        return [status for method, path, status in self.seen if method == "POST" and "accesstoken" not in path]

    def count(self, method: str, part: str) -> int:
        """How many requests of a method had this in their path."""
        return sum(asked == method and part in path for asked, path, _ in self.seen)


@asynccontextmanager
async def opencast(gateway: Gateway, clock: Clock, **settings: Any) -> AsyncIterator[OpencastClient]:
    """A client of an Opencast behind a gateway."""
    assert isinstance(gateway.system, FakeOpencast)
    async with httpx.AsyncClient(transport=gateway) as carrier:
        account = {"auth": gateway.system.auth, "clock": clock, "http": carrier}
        async with OpencastClient("https://oc.example.org", **{**account, **settings}) as client:
            yield client


@asynccontextmanager
async def preservica(gateway: Gateway, clock: Clock, **settings: Any) -> AsyncIterator[PreservicaClient]:
    """A client of a Preservica behind a gateway."""
    archive = gateway.system
    assert isinstance(archive, FakePreservica)
    async with httpx.AsyncClient(transport=gateway) as carrier:
        account = {"username": archive.username, "password": archive.password, "tenant": archive.tenant}
        more: dict[str, Any] = {**account, "clock": clock, "http": carrier, **settings}
        async with PreservicaClient("https://pv.example.org", **more) as client:
            yield client
