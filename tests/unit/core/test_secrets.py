"""No secret is printed, logged, kept or pickled, whatever fails."""

import asyncio
import gzip
import logging
import pickle
import traceback
from collections.abc import Awaitable, Callable

import pytest

from tests.conftest import FakeTime
from tests.support.byte_server import GET, POST, RawResponse, connected, http, refused_url, serve
from workflow_async import Basic, Bearer, Digest, OpencastClient, Retry, Timeouts
from workflow_async._core.auth import Secret
from workflow_async._core.call import Call, Replay
from workflow_async._core.token_auth import TokenAuth, TokenGrant
from workflow_async._core.transport import Transport
from workflow_async._decode.json import json_tree
from workflow_async.errors import CallError, Unauthorized, WorkflowAsyncError

PASSWORD, TOKEN, SESSION = "canary-p4ssword", "canary-t0ken", "canary-s3ssion"
BASIC_PAIR = "dXNlcjpjYW5hcnktcDRzc3dvcmQ="
CANARIES = (PASSWORD, TOKEN, SESSION, BASIC_PAIR)

LOGIN: Call[TokenGrant] = Call(
    "POST",
    "/login",
    lambda reply: TokenGrant(Secret(json_tree(reply.body)["token"]), 900.0),
    body=f"password={PASSWORD}".encode(),
    replay=Replay.ONCE,
)


def leaks(text: str) -> set[str]:
    return {canary for canary in CANARIES if canary in text}


def printed(error: BaseException) -> str:
    """Return everything a program could print of an error, with the local variables of this library's frames."""
    header_values = [repr(error), str(error), repr(vars(error))]
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "\n".join([*header_values, *trace.format()])


async def caught_error(work: Callable[[], Awaitable[object]]) -> BaseException:
    try:
        await work()
    except BaseException as error:  # noqa: BLE001 - no exception may reveal a secret
        return error
    raise AssertionError("nothing failed")


ANSWERS: dict[str, bytes | RawResponse] = {
    "401": http(401, b"", set_cookie=f"JSESSIONID={SESSION}"),
    "500": http(500, b"out of order", set_cookie=f"JSESSIONID={SESSION}"),
    "redirect": http(302, b"", location="/elsewhere", set_cookie=f"JSESSIONID={SESSION}"),
    "no json": http(200, b'{"token": "' + TOKEN.encode() + b'" oops', set_cookie=f"JSESSIONID={SESSION}"),
    "zipped and cut": http(200, gzip.compress(f'{{"token": "{TOKEN}"}}'.encode())[:-4], content_encoding="gzip"),
    "garbage": b"garbage\r\n\r\n",
    "no answer": RawResponse(b"", "fin"),
    "reset": RawResponse(b"", "rst"),
    "stalled": RawResponse(b"HTTP/1.1 200 OK\r\n", "stall"),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("call", [GET, LOGIN], ids=["get", "login"])
async def test_a_failed_call_reveals_no_secret(
    name: str, call: Call[object], fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = {"credential": Basic("user", PASSWORD), "retry": Retry(attempts=2), "timeouts": Timeouts(exchange=0.05)}
    async with (
        serve(lambda _: ANSWERS[name]) as server,
        connected(server.url, fake_time.clock, **settings) as transport,
    ):
        for _ in range(2):  # the second time with a cookie
            error = await caught_error(lambda: transport.send(call))
            assert isinstance(error, CallError)
            assert leaks(printed(error)) == set()
            assert leaks(pickle.dumps(error).decode("latin-1")) == set()
        assert leaks(f"{transport!r} {transport} {transport.backend!r} {transport.credential!r}") == set()
    assert leaks("\n".join(record.getMessage() for record in library_records(caplog))) == set()


def library_records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return this library's log records. httpcore's DEBUG records show Set-Cookie.

    Only httpcore's own logger can be silenced.
    """
    shown = (b"Set-Cookie", b"set-cookie")
    return [
        record
        for record in caplog.records
        if not (record.name.startswith("httpcore") and any(header.decode() in record.getMessage() for header in shown))
    ]


async def test_a_refused_connection_reveals_no_secret(fake_time: FakeTime) -> None:
    async with connected(refused_url(), fake_time.clock, credential=Basic("user", PASSWORD)) as transport:
        assert leaks(printed(await caught_error(lambda: transport.send(POST)))) == set()


@pytest.mark.parametrize("token", [f"{TOKEN}\r\nx: y", f"{TOKEN}\n", f"{TOKEN} ", f"ä{TOKEN}"])
async def test_an_invalid_token_is_not_revealed(token: str, fake_time: FakeTime) -> None:
    tokens = [token]
    async with connected(refused_url(), fake_time.clock, credential=Bearer(lambda: tokens[0])) as transport:
        error = await caught_error(lambda: transport.send(GET))
    del tokens[:]
    assert isinstance(error, WorkflowAsyncError)
    assert leaks(printed(error)) == set()


@pytest.mark.parametrize("broken", ["login refused", "login unreadable", "call fails"])
async def test_a_login_reveals_neither_password_nor_token(broken: str, fake_time: FakeTime) -> None:
    def answer(seen: object) -> bytes:
        login = getattr(seen, "target", "") == "/login"
        if login and broken == "login unreadable":
            return http(200, f'{{"token": "{TOKEN}" oops'.encode())
        if login and broken == "login refused":
            return http(403, b"no")
        return http(200, {"token": TOKEN}) if login else http(500)

    async with serve(answer) as server, connected(server.url, fake_time.clock, retry=Retry(attempts=1)) as transport:
        transport.credential = TokenAuth(
            lambda: transport.send_once(LOGIN), lambda _: transport.send_once(LOGIN), fake_time.clock
        )
        for _ in range(2):
            error = await caught_error(lambda: transport.send(GET))
            assert isinstance(error, CallError)
            assert leaks(printed(error)) == set()
        assert leaks(repr(transport)) == set()


@pytest.mark.parametrize("credential", [Basic("user", PASSWORD), Bearer(TOKEN), Digest("user", PASSWORD)])
async def test_a_cancelled_call_reveals_no_secret(credential: Basic | Bearer | Digest, fake_time: FakeTime) -> None:
    async def cancelled(transport: Transport) -> None:
        async with asyncio.timeout(0.02):
            await transport.send(GET)

    async with (
        serve(lambda _: RawResponse(b"", "stall")) as server,
        connected(server.url, fake_time.clock, credential=credential) as transport,
    ):
        error = await caught_error(lambda: cancelled(transport))
    assert isinstance(error, TimeoutError)
    assert leaks(printed(error)) == set()


async def test_a_renewal_without_effect_reveals_no_secret(fake_time: FakeTime) -> None:
    async with (
        serve(http(401)) as server,
        connected(server.url, fake_time.clock, credential=Bearer(lambda: TOKEN)) as transport,
    ):
        error = await caught_error(lambda: transport.send(GET))
    assert isinstance(error, Unauthorized)
    assert leaks(printed(error)) == set()


def test_the_repr_of_a_client_shows_only_its_url() -> None:
    client = OpencastClient("https://oc.example.org", auth=("user", PASSWORD))
    assert repr(client) == "OpencastClient('https://oc.example.org')"
    assert leaks(repr(client._transport)) == set()
    with pytest.raises(TypeError):
        pickle.dumps(client)
