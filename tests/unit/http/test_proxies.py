"""Proxies of a borrowed client: until there is a tunnel, no byte of a request has been sent."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
import trustme
from httpx_aiohttp import AiohttpTransport

from tests.conftest import FakeTime
from tests.support.byte_server import GET, POST, ByteServer, RawResponse, connected, http, refused_url, serve, until
from tests.support.certificates import client_side, server_side
from tests.support.misbehaving_server import ConnectionHandler, RawServer, Reader, Writer, raw_server, relay
from tests.support.proxy_server import FAILING, SILENT, tunnel
from tests.support.stub_clients import client_of
from tests.unit.conftest import SSL_CONTEXT
from workflow_async import Timeouts
from workflow_async.errors import (
    ConnectFailed,
    ConnectionBroken,
    NotSent,
    StartOutcomeUnknown,
    TLSVerificationFailed,
    TransportError,
)

FAR = "https://oc.example.org"
SHORT_TIMEOUTS = Timeouts(connect=0.05, exchange=2.0)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    return client_side(authority)


PROXIED: dict[str, Callable[[str, ssl.SSLContext], Any]] = {
    "httpx": lambda url, trust: httpx.AsyncClient(proxy=httpx.Proxy(url), verify=trust, trust_env=False),
    "httpx2": lambda url, trust: httpx2.AsyncClient(proxy=httpx2.Proxy(url), verify=trust, trust_env=False),
    "aiohttp": lambda url, trust: httpx.AsyncClient(transport=AiohttpTransport(verify=trust, proxy=httpx.Proxy(url))),
}
through = pytest.mark.parametrize("by", PROXIED)


async def get_and_start_errors(
    client: Any, time: FakeTime, url: str = FAR, **settings: Any
) -> tuple[TransportError, TransportError]:
    """Return the errors of a GET and a start."""
    async with client, connected(url, time.clock, http=client, **settings) as transport:
        found = []
        for call in (GET, POST):
            with pytest.raises(TransportError) as caught:
                await transport.send(call)
            found.append(caught.value)
    return found[0], found[1]


# Proxies that speak HTTP


@through
@pytest.mark.parametrize("how", FAILING)
async def test_a_refused_tunnel_is_a_failed_connection(how: str, by: str, fake_time: FakeTime) -> None:
    async with raw_server(FAILING[how]) as proxy:
        get_error, start_error = await get_and_start_errors(PROXIED[by](proxy.url, SSL_CONTEXT), fake_time)
        await until(lambda: not proxy.open)
    assert [type(error) for error in (get_error, start_error)] == [ConnectFailed] * 2
    assert (get_error.attempts, start_error.attempts, start_error.sent) == (4, 1, False)
    assert by == "aiohttp" or proxy.connections == 5  # aiohttp requests a tunnel for a GET twice


@through
@pytest.mark.parametrize("how", SILENT)
async def test_a_silent_proxy_fails_after_the_connect_timeout(how: str, by: str, fake_time: FakeTime) -> None:
    async with raw_server(SILENT[how]) as proxy:
        get_error, start_error = await get_and_start_errors(
            PROXIED[by](proxy.url, SSL_CONTEXT), fake_time, timeouts=SHORT_TIMEOUTS
        )
        await until(lambda: not proxy.open)
    assert [type(error) for error in (get_error, start_error)] == [ConnectFailed] * 2
    assert (get_error.attempts, start_error.attempts, start_error.sent) == (4, 1, False)


@through
async def test_a_proxy_that_refuses_is_a_failed_connection(by: str, fake_time: FakeTime) -> None:
    get_error, start_error = await get_and_start_errors(PROXIED[by](refused_url(), SSL_CONTEXT), fake_time)
    assert [type(error) for error in (get_error, start_error)] == [ConnectFailed] * 2
    assert (get_error.attempts, start_error.sent) == (4, False)


@pytest.mark.parametrize("by", ["httpx", "httpx2"])
async def test_a_proxy_that_is_not_trusted_gets_nothing(
    by: str, authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    library: Any = {"httpx": httpx, "httpx2": httpx2}[by]
    async with serve(http(502), tls=server_side(trustme.CA())) as proxy:
        client = library.AsyncClient(
            proxy=library.Proxy(proxy.url, ssl_context=trust), trust_env=False, verify=SSL_CONTEXT
        )
        get_error, start_error = await get_and_start_errors(client, fake_time)
        assert proxy.requests == []
    assert [type(error) for error in (get_error, start_error)] == [TLSVerificationFailed] * 2
    assert not start_error.sent


@pytest.mark.parametrize("by", ["httpx", "httpx2"])
async def test_a_proxy_that_does_not_speak_tls_gets_nothing(by: str, fake_time: FakeTime) -> None:
    library: Any = {"httpx": httpx, "httpx2": httpx2}[by]
    async with raw_server(respond_immediately) as proxy:
        url = proxy.url.replace("http:", "https:")
        client = library.AsyncClient(
            proxy=library.Proxy(url, ssl_context=SSL_CONTEXT), trust_env=False, verify=SSL_CONTEXT
        )
        get_error, start_error = await get_and_start_errors(client, fake_time)
    assert [type(error) for error in (get_error, start_error)] == [ConnectFailed] * 2
    assert not start_error.sent


async def respond_immediately(reader: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await reader.read(65536)


async def test_a_start_through_a_proxy_that_fails_is_not_sent_and_not_unknown(fake_time: FakeTime) -> None:
    async with (
        raw_server(FAILING["talks rubbish"]) as proxy,
        PROXIED["httpx"](proxy.url, SSL_CONTEXT) as client,
        client_of("opencast", FAR, clock=fake_time.clock, http=client) as oc,
    ):
        with pytest.raises(NotSent):
            await oc.workflows.start("event-7", "fast")


# Proxies that speak SOCKS

SOCKS: dict[str, list[bytes]] = {
    "closes at once": [],
    "talks HTTP": [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    "wants another version": [b"\x04\x00"],
    "accepts no method": [b"\x05\xff"],
    "wants a password": [b"\x05\x02"],
    "closes after the method": [b"\x05\x00"],
    "fails": [b"\x05\x00", b"\x05\x01\x00\x01" + bytes(6)],
    "is not allowed to": [b"\x05\x00", b"\x05\x02\x00\x01" + bytes(6)],
    "finds no host": [b"\x05\x00", b"\x05\x04\x00\x01" + bytes(6)],
    "finds it refusing": [b"\x05\x00", b"\x05\x05\x00\x01" + bytes(6)],
    "is odd": [b"\x05\x00", b"\x05\x63\x00\x01" + bytes(6)],
    "is cut": [b"\x05\x00", b"\x05\x00"],
    "closes the tunnel": [b"\x05\x00", b"\x05\x00\x00\x01" + bytes(6)],
}


def socks(answers: list[bytes], *, stall: bool = False) -> ConnectionHandler:
    """Return a handler that answers each message with the next of these, and closes or stalls."""

    async def talk(reader: Reader, writer: Writer) -> None:
        for answer in answers:
            assert await reader.read(65536)
            writer.write(answer)
        if stall:
            await reader.read()

    return talk


def by_socks(library: str, url: str, trust: ssl.SSLContext = SSL_CONTEXT) -> Any:
    transport: Any = {"httpx": httpx, "httpx2": httpx2}[library]
    return transport.AsyncClient(proxy=url.replace("http:", "socks5:"), trust_env=False, verify=trust)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
@pytest.mark.parametrize("how", SOCKS)
async def test_a_connection_that_a_socks_proxy_refuses_is_a_failed_connection(
    how: str, library: str, fake_time: FakeTime
) -> None:
    async with raw_server(socks(SOCKS[how])) as proxy:
        get_error, start_error = await get_and_start_errors(by_socks(library, proxy.url), fake_time)
        await until(lambda: not proxy.open)
    for error in (get_error, start_error):
        assert isinstance(error, NotSent)
    assert (get_error.attempts, start_error.attempts, start_error.sent) == (4, 1, False)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
@pytest.mark.parametrize("answered", [0, 1, 2])
async def test_a_silent_socks_proxy_fails_after_the_connect_timeout(
    answered: int, library: str, fake_time: FakeTime
) -> None:
    async with raw_server(socks(SOCKS["closes the tunnel"][:answered], stall=True)) as proxy:
        get_error, start_error = await get_and_start_errors(
            by_socks(library, proxy.url), fake_time, timeouts=SHORT_TIMEOUTS
        )
        await until(lambda: not proxy.open)
    assert [type(error) for error in (get_error, start_error)] == [ConnectFailed] * 2
    assert not start_error.sent


# Proxies that work


async def socks_tunnel(reader: Reader, writer: Writer) -> None:
    for answer in SOCKS["closes the tunnel"]:
        await reader.read(65536)
        writer.write(answer)


@asynccontextmanager
async def tunnelled(kind: str, trust: ssl.SSLContext, server: ByteServer) -> AsyncIterator[tuple[RawServer, Any]]:
    """Run a proxy that reaches a server, and a client through it."""
    opening = socks_tunnel if kind.startswith("socks") else tunnel
    async with raw_server(relay(int(server.url.rpartition(":")[2]), opening)) as proxy:
        if kind in PROXIED:
            yield proxy, PROXIED[kind](proxy.url, trust)
        else:
            yield proxy, by_socks(kind.rpartition(" ")[2], proxy.url, trust)


WORKING = pytest.mark.parametrize("kind", [*PROXIED, "socks by httpx", "socks by httpx2"])


@WORKING
async def test_through_a_tunnel_a_start_that_was_read_is_sent(
    kind: str, authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    async with (
        serve(lambda _: RawResponse(b"", "fin"), tls=server_side(authority)) as server,
        tunnelled(kind, trust, server) as (_, client),
    ):
        get_error, start_error = await get_and_start_errors(client, fake_time, server.url)
    assert [type(error) for error in (get_error, start_error)] == [ConnectionBroken] * 2
    assert start_error.sent
    assert [seen.method for seen in server.requests].count("POST") == 1


@WORKING
async def test_through_a_tunnel_a_response_is_read(
    kind: str, authority: trustme.CA, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    async with (
        serve(http(200, b"{}"), tls=server_side(authority)) as server,
        tunnelled(kind, trust, server) as (_, client),
        client,
        connected(server.url, fake_time.clock, http=client) as transport,
    ):
        assert [await transport.send(GET) for _ in range(2)] == [{}, {}]


@WORKING
async def test_through_a_tunnel_an_untrusted_server_gets_nothing(
    kind: str, trust: ssl.SSLContext, fake_time: FakeTime
) -> None:
    async with (
        serve(http(200, b"{}"), tls=server_side(trustme.CA())) as server,
        tunnelled(kind, trust, server) as (proxy, client),
    ):
        get_error, start_error = await get_and_start_errors(client, fake_time, server.url)
        await until(lambda: not proxy.open)
    assert [type(error) for error in (get_error, start_error)] == [TLSVerificationFailed] * 2
    assert not start_error.sent


@through
async def test_a_start_is_unknown_if_a_forwarding_proxy_drops_it(by: str, fake_time: FakeTime) -> None:
    async with serve(lambda _: RawResponse(b"", "fin")) as proxy, PROXIED[by](proxy.url, SSL_CONTEXT) as client:
        url = "http://oc.example.org"
        async with client_of("opencast", url, clock=fake_time.clock, http=client, allow_insecure_http=True) as oc:
            with pytest.raises(StartOutcomeUnknown):
                await oc.workflows.start("event-7", "fast")
