"""Calls over TLS that are cancelled at every turn of the event loop, in every way: no connection is left."""

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import httpx
import httpx2
import pytest
import trustme
import uvloop
from httpx_aiohttp import AiohttpTransport

from tests.conftest import FakeTime
from tests.support.byte_server import GET, NO_RETRIES, connected, http, serve, until
from tests.support.http2_server import H2Stream, serve_h2
from tests.support.misbehaving_server import ConnectionHandler, RawServer, no_opening, raw_server, relay
from tests.support.proxy_server import tunnel
from tests.unit.http.test_proxies import PROXIED, by_socks, socks_tunnel
from workflow_async import Retry, Timeouts
from workflow_async._http import HTTPBackend

AUTHORITY = trustme.CA()
TRUST = ssl.create_default_context()
AUTHORITY.configure_trust(TRUST)
SERVER_SIDE = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
AUTHORITY.issue_cert("127.0.0.1").configure_cert(SERVER_SIDE)
SHORT_TIMEOUTS = Timeouts(connect=0.5, exchange=2.0)
Work = Callable[[], Coroutine[Any, Any, object]]


class Failed(Exception):
    """Ends a task group."""


# Ways to cancel, each after `count` turns of the event loop. Each returns True if the work had finished by then.


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def natively(work: Work, count: int, times: int = 1) -> bool:
    task = asyncio.ensure_future(work())
    await turns(count)
    finished = task.done()
    for _ in range(times):
        task.cancel()
        await turns(1)
    await asyncio.wait([task])
    return finished


async def natively_again_and_again(work: Work, count: int) -> bool:
    return await natively(work, count, times=4)


async def by_scope(work: Work, count: int) -> bool:
    scope = anyio.CancelScope()

    async def scoped() -> None:
        with scope:
            await work()

    task = asyncio.ensure_future(scoped())
    await turns(count)
    finished = task.done()
    scope.cancel()
    await asyncio.wait([task])
    return finished


async def by_wait_for(work: Work, count: int) -> bool:
    return await natively(lambda: asyncio.wait_for(asyncio.ensure_future(work()), 60.0), count)


async def by_timeout(work: Work, count: int) -> bool:
    limit = asyncio.timeout(None)

    async def limited() -> None:
        with suppress(TimeoutError):
            async with limit:
                await work()

    task = asyncio.ensure_future(limited())
    await turns(count)
    finished = task.done()
    if not finished:
        limit.reschedule(0.0)
    await asyncio.wait([task])
    return finished


async def by_task_group(work: Work, count: int) -> bool:
    async def failing() -> None:
        await turns(count)
        raise Failed

    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work())
            group.create_task(failing())
    return not task.cancelled()


async def by_group_of_anyio(work: Work, count: int) -> bool:
    finished = []

    async def working() -> None:
        finished.append(await work())

    with suppress(ExceptionGroup):
        async with anyio.create_task_group() as group:
            group.start_soon(working)
            await turns(count)
            raise Failed
    return bool(finished)


CancelMethod = Callable[[Work, int], Awaitable[bool]]
CANCEL_METHODS: list[CancelMethod] = [
    natively,
    natively_again_and_again,
    by_scope,
    by_wait_for,
    by_timeout,
    by_task_group,
    by_group_of_anyio,
]


# Backends with one connection


def with_one(library: Any, **settings: Any) -> Any:
    limits = library.Limits(max_connections=1)
    return library.AsyncClient(verify=TRUST, trust_env=False, limits=limits, **settings)


def over_aiohttp() -> Any:
    return httpx.AsyncClient(transport=AiohttpTransport(verify=TRUST, limits=httpx.Limits(max_connections=1)))


BORROWED_CLIENTS: dict[str, Callable[[], Any]] = {
    "httpx": lambda: with_one(httpx),
    "httpx2": lambda: with_one(httpx2),
    "aiohttp": over_aiohttp,
}
POOLED: tuple[HTTPBackend, ...] = ("httpx", "httpx2", "aiohttp")


@asynccontextmanager
async def opened(transport: Any) -> AsyncIterator[HTTPBackend]:
    """Yield the value for `http=`, with a client opened."""
    if isinstance(transport, str):
        yield transport  # type: ignore[misc]  # one of three names
    else:
        async with transport as client:
            yield client


async def cancel_everywhere(
    make: Callable[[], Any],
    cancel: CancelMethod,
    url: str,
    relay: RawServer,
    retry: Retry = NO_RETRIES,
    proxy: str | None = None,
) -> int:
    """Cancel a call at each turn of the loop and prove that the next call succeeds. Return the number of turns."""
    count, finished = 0, False
    while not finished:
        count += 1
        async with opened(make()) as backend:
            settings: dict[str, Any] = {"http": backend, "timeouts": SHORT_TIMEOUTS, "retry": retry}
            if isinstance(backend, str):
                settings |= {"ssl_context": TRUST, "proxy": proxy}
            async with connected(url, FakeTime().clock, **settings) as transport:
                finished = await cancel(lambda transport=transport: transport.send(GET), count)  # type: ignore[misc]  # bound to this turn
                assert await transport.send(GET) == {}
                await until(lambda: relay.open <= 1)
        await until(lambda: not relay.open)
    gc.collect()  # a lost transport warns when it is collected
    return count


@asynccontextmanager
async def relay_to(url: str, opening: ConnectionHandler = no_opening) -> AsyncIterator[tuple[str, RawServer]]:
    """Run a relay that counts connections to a server. Yield the server's URL through the relay."""
    async with raw_server(relay(int(url.rpartition(":")[2]), opening)) as proxy:
        yield proxy.url.replace("http:", "https:"), proxy


async def over_tls(make: Callable[[], Any], cancel: CancelMethod) -> int:
    async with serve(http(200, b"{}"), tls=SERVER_SIDE) as server, relay_to(server.url) as (url, relay):
        return await cancel_everywhere(make, cancel, url, relay)


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("kind", "cancel"),
    [("httpx", cancel) for cancel in CANCEL_METHODS]
    + [(kind, cancel) for kind in ("httpx2", "aiohttp") for cancel in (natively, by_scope)],
)
async def test_a_call_cancelled_anywhere_over_tls_leaves_no_connection_in_a_borrowed_client(
    kind: str, cancel: CancelMethod
) -> None:
    assert await over_tls(BORROWED_CLIENTS[kind], cancel) > 10


@pytest.mark.sweep
@pytest.mark.parametrize("cancel", [natively, by_scope])
@pytest.mark.parametrize("name", POOLED)
async def test_a_call_cancelled_anywhere_over_tls_leaves_no_connection_in_the_pool(
    name: HTTPBackend, cancel: CancelMethod
) -> None:
    assert await over_tls(lambda: name, cancel) > 10


@pytest.mark.sweep
@pytest.mark.parametrize("kind", BORROWED_CLIENTS)
def test_a_call_cancelled_anywhere_leaves_no_connection_on_uvloop(kind: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(over_tls(BORROWED_CLIENTS[kind], natively)) > 10


@pytest.mark.sweep
@pytest.mark.parametrize(("library", "cancel"), [(httpx, by_timeout), (httpx2, natively), (httpx2, by_scope)])
async def test_a_call_cancelled_anywhere_leaves_no_connection_over_http2(library: Any, cancel: CancelMethod) -> None:
    # A cancelled write breaks the connection. httpcore 1 notices that at the next request.

    def reply(talk: H2Stream) -> None:
        talk.send_headers("200")
        talk.h2.send_data(talk.stream_id, b"{}", end_stream=True)

    async with serve_h2(reply, AUTHORITY) as server, relay_to(server.url) as (url, relay):
        assert (
            await cancel_everywhere(lambda: with_one(library, http2=True), cancel, url, relay, Retry(attempts=2)) > 10
        )


@pytest.mark.sweep
@pytest.mark.parametrize(("kind", "cancel"), [("httpx", natively), ("httpx2", by_scope), ("aiohttp", natively)])
async def test_a_call_cancelled_in_a_tunnel_leaves_no_socket(kind: str, cancel: CancelMethod) -> None:
    async with serve(http(200, b"{}"), tls=SERVER_SIDE) as server, relay_to(server.url, tunnel) as (_, relay):
        assert await cancel_everywhere(lambda: PROXIED[kind](relay.url, TRUST), cancel, server.url, relay) > 10


@pytest.mark.sweep
@pytest.mark.parametrize("cancel", [natively, natively_again_and_again, by_scope])
@pytest.mark.parametrize("name", POOLED)
async def test_a_call_cancelled_in_a_tunnel_of_the_pool_leaves_no_socket(
    name: HTTPBackend, cancel: CancelMethod
) -> None:
    async with serve(http(200, b"{}"), tls=SERVER_SIDE) as server, relay_to(server.url, tunnel) as (_, relay):
        assert await cancel_everywhere(lambda: name, cancel, server.url, relay, proxy=relay.url) > 10


@pytest.mark.sweep
@pytest.mark.parametrize(("library", "cancel"), [("httpx", by_scope), ("httpx2", natively)])
async def test_a_call_cancelled_at_a_socks_proxy_leaves_no_socket(library: str, cancel: CancelMethod) -> None:
    async with serve(http(200, b"{}"), tls=SERVER_SIDE) as server, relay_to(server.url, socks_tunnel) as (_, relay):
        assert await cancel_everywhere(lambda: by_socks(library, relay.url, TRUST), cancel, server.url, relay) > 10
