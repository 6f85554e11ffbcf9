"""A `ClientSession` of aiohttp that the caller owns: what is shared, and what is not."""

import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.conftest import FakeTime
from tests.support.byte_server import GET, NO_RETRIES, connected, http, serve
from workflow_async import TLS, Limits, OpencastClient, Timeouts
from workflow_async._core.backend import Request
from workflow_async._http.borrowed_session import BorrowedSession
from workflow_async.errors import CallError, InvalidArgument, NotSent


class Resolver(AbstractResolver):
    """Resolves every name to this machine, and keeps the names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.names.append(host)
        found = {"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}
        return [ResolveResult(**found)]  # type: ignore[typeddict-item]

    async def close(self) -> None:
        """Do nothing."""


async def test_the_resolver_of_the_session_is_used(fake_time: FakeTime) -> None:
    resolver = Resolver()
    async with (
        serve(http(200, b"{}")) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver)) as session,
        connected(server.url.replace("127.0.0.1", "localhost"), fake_time.clock, http=session) as transport,
    ):
        await transport.send(GET)
    assert resolver.names == ["localhost"]


async def test_the_tracing_of_the_session_sees_the_requests(fake_time: FakeTime) -> None:
    seen: list[str] = []
    config = aiohttp.TraceConfig()

    async def on_start(_: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
        seen.append(params.method)

    config.on_request_start.append(on_start)
    async with (
        serve(http(200, b"{}")) as server,
        aiohttp.ClientSession(trace_configs=[config]) as session,
        connected(server.url, fake_time.clock, http=session) as transport,
    ):
        await transport.send(GET)
    assert seen == ["GET"]


async def test_nothing_else_of_the_session_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login theirs password theirs")
    monkeypatch.setenv("NETRC", str(netrc))
    async with (
        serve(http(200, b"{}")) as server,
        aiohttp.ClientSession(
            cookie_jar=jar,
            headers={"X-Own": "theirs", "User-Agent": "theirs", "Authorization": "Basic theirs"},
            trust_env=True,
        ) as session,
    ):
        jar.update_cookies({"theirs": "1"})
        backend = BorrowedSession(session, Limits(), Timeouts())
        await backend(Request(method="GET", url=server.url, headers=(("accept", "text/plain"),)))
        await backend.aclose()
    assert server.requests[0].headers.keys() <= {"host", "accept"}


async def test_the_connections_stay_open_for_the_session(fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}")) as server, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with connected(server.url, fake_time.clock, http=session) as transport:
                await transport.send(GET)
        async with session.get(server.url) as response:
            assert response.status == 200
        assert (len(server.requests), server.connections) == (3, 1)


async def test_a_closed_session_sends_nothing_and_says_so(fake_time: FakeTime) -> None:
    session = aiohttp.ClientSession()
    await session.close()
    async with connected("http://127.0.0.1:1", fake_time.clock, http=session, retry=NO_RETRIES) as transport:
        with pytest.raises(CallError, match="the session given as http= is closed") as caught:
            await transport.send(GET)
    assert isinstance(caught.value, NotSent)


@pytest.mark.parametrize("name", ["ssl_context", "tls"])
async def test_a_setting_that_the_session_has_itself_is_refused(name: str) -> None:

    value: dict[str, Any] = {"ssl_context": ssl.create_default_context(), "tls": TLS()}
    async with aiohttp.ClientSession() as session:
        with pytest.raises(InvalidArgument, match=f"{name}.*client given as http="):
            OpencastClient("https://oc.example.org", auth=("u", "p"), http=session, **{name: value[name]})
