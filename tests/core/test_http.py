"""What carries the bytes, over real sockets: faults of the wire, bounds, TLS, cookies, other people's clients."""

import asyncio
import gzip
import ssl
import tracemalloc
import zlib
from typing import Any

import httpx
import pytest
import respx
import trustme

from tests.conftest import FakeTime
from tests.core.wire import (
    DELETE,
    GET,
    POST,
    Answer,
    Seen,
    Then,
    chunked,
    connected,
    http,
    refused_url,
    serve,
    transport,
    until,
)
from workflow_async import Digest, Limits, Retry, Timeouts
from workflow_async._call import Call, Replay
from workflow_async._http import Lent, Slots, carried_by, translated
from workflow_async.errors import (
    CallError,
    ConnectFailed,
    ConnectionBroken,
    DeadlineExceeded,
    Redirected,
    ResponseMismatch,
    ResponseTooLarge,
    TLSVerificationFailed,
    Unauthorized,
    UnreadableBody,
    UnsafeValue,
)

ONE_TRY = Retry(attempts=1)
THING = {"title": "a title of some length"}


async def failure(url: str, fake_time: FakeTime, call: Call[Any] = GET, **settings: Any) -> CallError:
    async with connected(url, fake_time.clock, **{"retry": ONE_TRY, **settings}) as made:
        with pytest.raises(CallError) as caught:
            await made.send(call)
    return caught.value


# Connections


async def test_a_connection_is_used_again(fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}")) as wire, connected(wire.url, fake_time.clock) as made:
        for _ in range(5):
            await made.send(GET)
        assert (len(wire.requests), wire.connections) == (5, 1)


async def test_a_start_goes_over_a_connection_of_its_own_and_never_beyond_the_bound(fake_time: FakeTime) -> None:
    def answer(seen: Seen) -> bytes:
        return http(201 if seen.method == "POST" else 200, b"{}")

    async with serve(answer) as wire, connected(wire.url, fake_time.clock, limits=Limits(connections=2)) as made:
        await asyncio.gather(*(made.send(GET) for _ in range(4)))
        for _ in range(3):
            await made.send(POST)
            assert wire.requests[-1].connection == wire.connections
            await until(lambda: wire.open <= 2)
        assert wire.connections == 5


async def test_a_connection_the_server_ends_politely_is_not_missed(fake_time: FakeTime) -> None:
    async with serve(lambda _: Answer(http(200, b"{}", connection="close"), "fin")) as wire:
        async with connected(wire.url, fake_time.clock, retry=ONE_TRY) as made:
            for _ in range(3):
                assert await made.send(GET) == {}
        assert wire.connections == 3


async def test_a_connection_that_went_stale_costs_nobody_anything(fake_time: FakeTime) -> None:
    def answer(_: Seen) -> Answer:
        return Answer(b"", "rst") if len(wire.requests) == 2 else Answer(http(200, b"{}"))

    async with serve(answer) as wire:
        async with connected(wire.url, fake_time.clock, retry=Retry(budget=0)) as made:
            assert await made.send(GET) == {}
            assert await made.send(GET) == {}
        assert (len(wire.requests), wire.connections, fake_time.naps) == (3, 2, [0.0])


async def test_nobody_listening_is_a_failed_connection_and_nothing_was_sent(fake_time: FakeTime) -> None:
    error = await failure(refused_url(), fake_time, POST)
    assert isinstance(error, ConnectFailed)
    assert not error.sent


async def test_a_name_nobody_knows_is_a_failed_connection(fake_time: FakeTime) -> None:
    assert isinstance(await failure("https://nobody.invalid", fake_time), ConnectFailed)


@pytest.mark.parametrize("url", ["https://999.1.1.1", "https://127.0.0.1:1/" + "x" * 70_000])
async def test_a_url_httpx_will_not_have_is_a_failed_connection(url: str, fake_time: FakeTime) -> None:
    error = await failure(url, fake_time, POST)
    assert isinstance(error, ConnectFailed)
    assert not error.sent


# Answers that break off


SIZED = http(201, THING)
CHUNKED = chunked(b'{"title": "a title', b' of some length"}').replace(b"200 OK", b"201 Created")
ZIPPED = http(201, gzip.compress(b'{"title": "a title of some length"}', mtime=0), content_encoding="gzip")
ONCE: Call[Any] = Call("POST", "/", POST.read, replay=Replay.ONCE, success=frozenset({201}))


@pytest.mark.parametrize("then", ["fin", "rst"])
@pytest.mark.parametrize("data", [SIZED, CHUNKED, ZIPPED], ids=["sized", "chunked", "zipped"])
async def test_an_answer_cut_at_any_byte_is_never_taken_for_whole_and_never_asked_for_twice(
    data: bytes, then: Then, fake_time: FakeTime
) -> None:
    cut = 0
    async with serve(lambda _: Answer(data[:cut], then)) as wire, connected(wire.url, fake_time.clock) as made:
        for cut in range(len(data)):
            with pytest.raises(ConnectionBroken) as caught:
                await made.send(ONCE)
            assert caught.value.sent
            assert len(wire.requests) == cut + 1
        wire.answer = lambda _: data
        assert await made.send(ONCE) == THING


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/0.9",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nx-bomb: " + b"a" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 60_000 + b"\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
    ],
    ids=lambda data: repr(data[:20]),
)
async def test_what_is_no_answer_is_a_broken_connection(data: bytes, fake_time: FakeTime) -> None:
    async with serve(lambda _: Answer(data, "fin")) as wire:
        error = await failure(wire.url, fake_time)
    assert isinstance(error, ConnectionBroken)
    assert error.sent


async def test_a_body_that_ends_with_its_connection_is_read_by_its_reader_only(fake_time: FakeTime) -> None:
    data = b'HTTP/1.1 200 OK\r\n\r\n{"a": 1}'
    async with serve(lambda _: Answer(data, "fin")) as wire, connected(wire.url, fake_time.clock) as made:
        assert await made.send(GET) == {"a": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 99,
    ],
)
async def test_an_answer_that_never_ends_ends_with_the_deadline(data: bytes, fake_time: FakeTime) -> None:
    async with serve(lambda _: Answer(data, "stall")) as wire:
        error = await failure(wire.url, fake_time, timeouts=Timeouts(exchange=0.05))
        assert isinstance(error, DeadlineExceeded)
        assert error.sent
        await until(lambda: not wire.open)


async def test_bytes_that_trickle_do_not_move_the_deadline(fake_time: FakeTime) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while not reader.at_eof():
            writer.write(b" ")
            await asyncio.sleep(0.005)
            if writer.transport.is_closing():
                break
        writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        error = await failure(url, fake_time, timeouts=Timeouts(exchange=0.05))
        assert isinstance(error, DeadlineExceeded)
        await asyncio.sleep(0.02)


# One answer too many


async def test_an_answer_nobody_asked_for_is_never_delivered_as_another_ones(fake_time: FakeTime) -> None:
    def read(asked: str) -> Call[str]:
        def reading(reply: Any) -> str:
            if (answered := GET.read(reply)["id"]) != asked:
                raise ResponseMismatch(asked, answered)
            return asked

        return Call("GET", f"/{asked}", reading)

    def answer(seen: Seen) -> bytes:
        own = http(200, {"id": seen.target[1:]})
        return own + http(200, {"id": "9"}) if seen.connection == 1 else own

    async with serve(answer) as wire, connected(wire.url, fake_time.clock) as made:
        assert await made.send(read("1")) == "1"
        assert await made.send(read("2")) == "2"
        assert [seen.connection for seen in wire.requests][-1] > 1
    async with serve(http(200, {"id": "9"})) as wire, connected(wire.url, fake_time.clock, retry=ONE_TRY) as made:
        with pytest.raises(ResponseMismatch):
            await made.send(read("3"))


async def test_surplus_bytes_after_an_answer_spoil_no_later_call(fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}") + b"surplus") as wire, connected(wire.url, fake_time.clock) as made:
        for _ in range(3):
            assert await made.send(GET) == {}


# Bounds and codings


@pytest.mark.parametrize(
    ("limits", "data"),
    [
        (Limits(wire=1000), http(200, b" " * 1001)),
        (Limits(body=1000), http(200, b" " * 1001)),
        (Limits(wire=1000), chunked(*[b" " * 100] * 11)),
        (Limits(body=1000), http(200, gzip.compress(b" " * 1001, mtime=0), content_encoding="gzip")),
    ],
)
async def test_a_body_beyond_the_bounds_is_refused_and_not_asked_for_again(
    limits: Limits, data: bytes, fake_time: FakeTime
) -> None:
    async with serve(data) as wire:
        assert isinstance(await failure(wire.url, fake_time, limits=limits, retry=Retry()), ResponseTooLarge)
        assert len(wire.requests) == 1


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_body_as_large_as_the_bounds_is_read(coding: str, fake_time: FakeTime) -> None:
    body = b'"' + b" " * 998 + b'"'
    data = http(200, gzip.compress(body) if coding == "gzip" else body, content_encoding=coding)
    async with serve(data) as wire, connected(wire.url, fake_time.clock, limits=Limits(wire=1000, body=1000)) as made:
        assert await made.send(GET) == " " * 998


async def test_a_body_without_an_end_ends_at_the_bound(fake_time: FakeTime) -> None:
    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b" " * 65536)
                await writer.drain()
        except OSError:
            writer.close()

    async with await asyncio.start_server(pour, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert isinstance(await failure(url, fake_time, limits=Limits(wire=2**20)), ResponseTooLarge)
        await asyncio.sleep(0)


def bomb(megabytes: int) -> bytes:
    """A gzip stream of so many megabytes of zeros: each is one block of about a kilobyte."""
    one = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = one.compress(bytes(2**20)) + one.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + block * megabytes


async def test_a_gzip_bomb_costs_little_more_than_the_bound(fake_time: FakeTime) -> None:
    data = http(200, bomb(1024), content_encoding="gzip")
    assert len(data) < 2 * 2**20
    async with serve(data) as wire:
        tracemalloc.start()
        try:
            error = await failure(wire.url, fake_time, limits=Limits(body=4 * 2**20))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert isinstance(error, ResponseTooLarge)
    assert peak < 32 * 2**20


async def test_inflating_lets_other_tasks_have_their_turn(fake_time: FakeTime) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with serve(http(200, bomb(16), content_encoding="gzip")) as wire:
        counting = asyncio.create_task(others())
        await failure(wire.url, fake_time)
        before = turns
        await failure(wire.url, fake_time, limits=Limits(body=15 * 2**20))
        counting.cancel()
        assert turns - before > 15


PLAIN = b'{"a": 1}'
ZIP = gzip.compress(PLAIN, mtime=0)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", " gzip "])
async def test_a_gzipped_body_is_inflated(coding: str, fake_time: FakeTime) -> None:
    async with (
        serve(http(200, ZIP, content_encoding=coding)) as wire,
        connected(wire.url, fake_time.clock) as made,
    ):
        assert await made.send(GET) == {"a": 1}
    assert wire.requests[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (PLAIN, "br"),
        (PLAIN, "zstd"),
        (PLAIN, "deflate"),
        (PLAIN, "gzip, gzip"),
        (gzip.compress(ZIP, mtime=0), "gzip, gzip"),
        (PLAIN, "x" * 10_000),
        (PLAIN, "gzip"),
        (ZIP[:-1], "gzip"),
        (ZIP[:12], "gzip"),
        (ZIP[:-8] + bytes(8), "gzip"),
        (ZIP + b"surplus", "gzip"),
        (ZIP + ZIP, "gzip"),
    ],
)
async def test_a_body_that_cannot_be_inflated_is_refused(body: bytes, coding: str, fake_time: FakeTime) -> None:
    async with serve(http(200, body, content_encoding=coding)) as wire:
        error = await failure(wire.url, fake_time)
    assert isinstance(error, UnreadableBody)
    assert len(str(error)) < 200


async def test_no_body_needs_no_inflating(fake_time: FakeTime) -> None:
    async with (
        serve(b"HTTP/1.1 204 No Content\r\ncontent-encoding: gzip\r\n\r\n") as wire,
        connected(wire.url, fake_time.clock) as made,
    ):
        await made.send(DELETE)


# One origin


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", [GET, POST])
async def test_a_redirect_is_never_followed(status: int, call: Call[Any], fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}")) as other, serve(http(status, b"", location=other.url)) as wire:
        assert isinstance(await failure(wire.url, fake_time, call), Redirected)
        assert (len(wire.requests), other.requests) == (1, [])


async def test_the_environment_has_no_say_in_where_requests_go(
    fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(http(200, b'"proxy"')) as proxy, serve(http(200, b'"server"')) as wire:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with connected(wire.url, fake_time.clock) as made:
            assert await made.send(GET) == "server"
        assert proxy.requests == []


async def test_cookies_come_back_to_the_client_that_got_them_and_to_no_other(fake_time: FakeTime) -> None:
    def answer(seen: Seen) -> bytes:
        return http(
            200, {"cookie": seen.headers.get("cookie", "")}, set_cookie=f"JSESSIONID=of{seen.connection}; Path=/"
        )

    async with (
        serve(answer) as wire,
        connected(wire.url, fake_time.clock) as one,
        connected(wire.url, fake_time.clock) as two,
    ):
        assert [(await made.send(GET))["cookie"] for made in (one, two)] == ["", ""]
        assert [(await made.send(GET))["cookie"] for made in (one, two)] == ["JSESSIONID=of1", "JSESSIONID=of2"]


async def test_a_cookie_for_another_domain_is_not_taken(fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}", set_cookie="a=b; Domain=example.org")) as wire:
        async with connected(wire.url, fake_time.clock) as made:
            await made.send(GET)
            await made.send(GET)
        assert all("cookie" not in seen.headers for seen in wire.requests)


# Digest


async def test_a_digest_proves_the_password_without_sending_it(fake_time: FakeTime) -> None:
    challenge = 'Digest realm="Opencast", nonce="n0nce", qop="auth"'

    def answer(seen: Seen) -> bytes:
        return (
            http(200, b"{}")
            if "nonce" in seen.headers.get("authorization", "")
            else http(401, www_authenticate=challenge)
        )

    digest = Digest("opencast_system_account", "s3cret")
    async with serve(answer) as wire, connected(wire.url, fake_time.clock, credential=digest) as made:
        for _ in range(2):
            assert await made.send(GET) == {}
    proofs = [seen.headers.get("authorization", "") for seen in wire.requests]
    assert [('uri="/thing"' in proof, "nc=0000000" in proof, "s3cret" in proof) for proof in proofs] == [
        (False, False, False),
        (True, True, False),
        (True, True, False),
    ]


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Basic",
        "Digest",
        'Digest realm="x"',
        'Digest realm="x", nonce="y", algorithm=ROT13',
        "Digest ä",
        'Digest realm="',
    ],
)
async def test_a_challenge_that_makes_no_sense_is_unauthorized(challenge: str, fake_time: FakeTime) -> None:
    async with serve(http(401, www_authenticate=challenge)) as wire:
        error = await failure(wire.url, fake_time, credential=Digest("user", "s3cret"))
    assert isinstance(error, Unauthorized)
    assert len(wire.requests) == 1


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_side(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def client_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_known_authority_is_trusted(authority: trustme.CA, fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}"), tls=server_side(authority)) as wire:
        async with connected(wire.url, fake_time.clock, context=client_side(authority)) as made:
            assert [await made.send(GET) for _ in range(2)] == [{}, {}]
        assert wire.connections == 1


async def test_an_unknown_authority_is_refused_before_anything_is_sent(
    authority: trustme.CA, fake_time: FakeTime
) -> None:
    async with serve(http(200, b"{}"), tls=server_side(authority)) as wire:
        for context in (None, client_side(trustme.CA())):
            error = await failure(wire.url, fake_time, context=context, retry=Retry())
            assert isinstance(error, TLSVerificationFailed)
            assert (error.attempts, error.sent, wire.requests) == (1, False, [])


async def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}"), tls=server_side(authority, "example.org")) as wire:
        error = await failure(wire.url, fake_time, context=client_side(authority), retry=Retry())
        assert isinstance(error, TLSVerificationFailed)
        assert (error.attempts, wire.requests) == (1, [])


async def test_plain_http_behind_https_is_a_failed_connection(authority: trustme.CA, fake_time: FakeTime) -> None:
    async with serve(lambda _: Answer(b"", "fin")) as wire:
        url = wire.url.replace("http:", "https:")
        error = await failure(url, fake_time, context=client_side(authority), timeouts=Timeouts(exchange=0.1))
        await until(lambda: not wire.open)  # a handshake that is given up leaves no socket
    assert isinstance(error, ConnectFailed | DeadlineExceeded)


async def test_tls_that_turns_into_garbage_is_a_broken_connection(authority: trustme.CA, fake_time: FakeTime) -> None:
    async with serve(lambda _: Answer(b"", "garble"), tls=server_side(authority)) as wire:
        error = await failure(wire.url, fake_time, context=client_side(authority))
    assert isinstance(error, ConnectionBroken)
    assert error.sent


def careless(mode: ssl.VerifyMode) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = mode
    return context


@pytest.mark.parametrize("mode", [ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL, ssl.CERT_NONE])
def test_a_context_that_does_not_verify_is_refused(mode: ssl.VerifyMode, fake_time: FakeTime) -> None:
    context = careless(mode)
    with pytest.raises(UnsafeValue, match="ssl_context"):
        transport("https://example.org", fake_time.clock, context=context)


# What httpx says, as ours


def raised(error: BaseException, cause: BaseException | None = None) -> Any:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (httpx.ConnectError(""), ConnectFailed, "ConnectError"),
        (httpx.ConnectTimeout("slow"), ConnectFailed, "ConnectTimeout: slow"),
        (httpx.PoolTimeout("full"), ConnectFailed, "PoolTimeout: full"),
        (httpx.ProxyError("407"), ConnectFailed, "ProxyError: 407"),
        (httpx.UnsupportedProtocol("ftp"), ConnectFailed, "UnsupportedProtocol: ftp"),
        (httpx.LocalProtocolError("Illegal header value b's3cret'"), ConnectFailed, "LocalProtocolError"),
        (httpx.InvalidURL("too long"), ConnectFailed, "InvalidURL: too long"),
        (httpx.ReadError(""), ConnectionBroken, "ReadError"),
        (raised(httpx.ReadError(""), OSError("reset")), ConnectionBroken, "ReadError: reset"),
        (httpx.WriteError("x"), ConnectionBroken, "WriteError: x"),
        (httpx.RemoteProtocolError("x"), ConnectionBroken, "RemoteProtocolError: x"),
        (httpx.ReadTimeout("x"), ConnectionBroken, "ReadTimeout: x"),
        (ssl.SSLError(1, "bad record"), ConnectionBroken, "SSLError: bad record"),
        (
            raised(httpx.ConnectError(""), ssl.SSLCertVerificationError(1, "who?")),
            TLSVerificationFailed,
            "ConnectError: who?",
        ),
    ],
)
def test_an_error_of_httpx_is_known_by_its_type_and_its_causes(
    error: Any, kind: type[ConnectFailed | ConnectionBroken], sentence: str
) -> None:
    found = translated(error, reused=True)
    assert type(found) is kind
    assert (str(found), found.reused) == (sentence, kind is ConnectionBroken)


# Clients of other people


async def test_a_client_of_ones_own_carries_the_calls_and_stays_open(fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}")) as wire, httpx.AsyncClient() as client:
        async with connected(wire.url, fake_time.clock, carrier=client) as made:
            assert await made.send(GET) == {}
        assert not client.is_closed
        assert wire.connections == 1


async def test_a_client_of_ones_own_lends_neither_its_redirects_nor_its_auth_nor_its_headers(
    fake_time: FakeTime,
) -> None:
    lent = httpx.AsyncClient(
        follow_redirects=True, auth=("other", "person"), headers={"x-of": "another"}, cookies={"a": "b"}
    )
    async with serve(http(200, b"{}")) as other, serve(http(307, b"", location=other.url)) as wire, lent as client:
        error = await failure(wire.url, fake_time, carrier=client)
    assert isinstance(error, Redirected)
    assert other.requests == []
    (seen,) = wire.requests
    assert seen.headers["authorization"] == "Basic dXNlcjpzZWNyZXQ="
    assert not {"x-of", "cookie"} & seen.headers.keys()


async def test_cookies_of_one_user_do_not_reach_another_through_a_shared_client(fake_time: FakeTime) -> None:
    def answer(seen: Seen) -> bytes:
        return http(
            200, {"cookie": seen.headers.get("cookie", "")}, set_cookie=f"JSESSIONID={len(wire.requests)}; Path=/"
        )

    async with (
        serve(answer) as wire,
        httpx.AsyncClient() as client,
        connected(wire.url, fake_time.clock, carrier=client) as one,
        connected(wire.url, fake_time.clock, carrier=client) as two,
    ):
        found = [(await made.send(GET))["cookie"] for made in (one, two, one, two)]
    assert found == ["", "", "JSESSIONID=1", "JSESSIONID=2"]


async def test_bounds_and_deadlines_hold_for_a_client_of_ones_own_too(fake_time: FakeTime) -> None:
    async with serve(http(200, bomb(64), content_encoding="gzip")) as wire, httpx.AsyncClient() as client:
        error = await failure(wire.url, fake_time, carrier=client, limits=Limits(body=2**20))
        assert isinstance(error, ResponseTooLarge)
    async with serve(lambda _: Answer(b"", "stall")) as wire, httpx.AsyncClient() as client:
        error = await failure(wire.url, fake_time, carrier=client, timeouts=Timeouts(exchange=0.05))
        assert isinstance(error, DeadlineExceeded)


async def test_an_answer_that_a_hook_has_read_is_read_once(fake_time: FakeTime) -> None:
    async def hook(response: httpx.Response) -> None:
        await response.aread()

    async with (
        serve(http(200, ZIP, content_encoding="gzip")) as wire,
        httpx.AsyncClient(event_hooks={"response": [hook]}) as client,
        connected(wire.url, fake_time.clock, carrier=client) as made,
    ):
        assert await made.send(GET) == {"a": 1}


async def test_a_full_pool_of_ones_own_is_a_failed_connection(fake_time: FakeTime) -> None:
    limits = httpx.Limits(max_connections=1)
    async with serve(lambda _: Answer(b"", "stall")) as wire, httpx.AsyncClient(limits=limits) as client:
        timeouts = Timeouts(connect=0.02, exchange=0.2)
        async with connected(wire.url, fake_time.clock, carrier=client, timeouts=timeouts, retry=ONE_TRY) as made:
            found = await asyncio.gather(made.send(POST), made.send(POST), return_exceptions=True)
    assert {type(error) for error in found} == {DeadlineExceeded, ConnectFailed}


@respx.mock
async def test_mocks_of_httpx_see_the_calls(fake_time: FakeTime) -> None:
    route = respx.get("https://oc.example.org/thing").mock(return_value=httpx.Response(200, json={"a": 1}))
    async with connected("https://oc.example.org", fake_time.clock) as made:
        assert await made.send(GET) == {"a": 1}
    assert route.calls.last.request.headers["user-agent"] == "workflow-async"


@pytest.mark.parametrize("carrier", ["requests", None, 7, httpx.Client])
def test_no_other_carrier_is_known(carrier: Any) -> None:
    with pytest.raises(UnsafeValue, match="http"):
        carried_by(carrier, Limits(), Timeouts(), None)


async def test_resetting_a_lent_client_leaves_it_alone() -> None:
    async with httpx.AsyncClient() as client:
        lent = Lent(client, Limits(), Timeouts())
        await lent.reset()
        await lent.aclose()
        assert not client.is_closed


def test_a_carrier_shows_no_cookies() -> None:
    slots = Slots(Limits(), Timeouts())
    slots._cookies.set("JSESSIONID", "s3cret")
    assert "s3cret" not in f"{slots!r} {slots._cookies!r}"


async def test_a_401_is_honest_over_the_wire_too(fake_time: FakeTime) -> None:
    async with serve(http(401, b"", www_authenticate="Basic")) as wire:
        error = await failure(wire.url, fake_time, POST)
        assert isinstance(error, Unauthorized)
        assert len(wire.requests) == 1
