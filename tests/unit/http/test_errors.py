"""The error of a failed request depends only on what was sent and what was received."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any, NoReturn, Self, TypeVar

import anyio
import httpcore
import httpx
import pytest
import trustme
from attrs import define
from hypothesis import given, strategies as st

from tests.conftest import FakeTime
from tests.support import byte_server as wires
from tests.support.byte_server import (
    GET,
    POST,
    AfterResponse,
    RawResponse,
    ReceivedRequest,
    connected,
    http,
    refused_url,
    serve,
    until,
)
from tests.support.stub_clients import client_of
from tests.unit.conftest import SSL_CONTEXT
from workflow_async._http.errors import cause_chain, drop_frames
from workflow_async.errors import (
    ConnectFailed,
    ConnectionBroken,
    StartOutcomeUnknown,
    TLSVerificationFailed,
    TransportError,
)

T = TypeVar("T")
Act = Callable[[], Awaitable[T]]

# Exceptions that the caller is handling


UNTRUSTED = ssl.SSLCertVerificationError(1, "of the caller's")
HANDLED: dict[str, Callable[[], BaseException]] = {
    "an untrusted certificate": lambda: UNTRUSTED,
    "an error of the system": lambda: ConnectionRefusedError(111, "of the caller's"),
    "an error of httpx": lambda: httpx.ConnectError("of the caller's"),
    "an error of httpcore": lambda: httpcore.ConnectError("of the caller's"),
    "an error of ours": lambda: TLSVerificationFailed("of the caller's"),
    "a cancellation": lambda: asyncio.CancelledError("of the caller's"),
}


def throw(error: BaseException, cause: BaseException | None = None) -> NoReturn:
    raise error from cause


async def in_except(error: BaseException, act: Act[T]) -> T:
    try:
        throw(error)
    except BaseException:  # noqa: BLE001 - whatever the caller is handling
        return await act()


async def in_finally(error: BaseException, act: Act[T]) -> T:
    found: list[T] = []
    with suppress(BaseException):
        try:
            throw(error)
        finally:
            found.append(await act())
    return found.pop()


async def in_exit(error: BaseException, act: Act[T]) -> T:
    @define
    class Leaving:
        found: Any = None

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> bool:
            self.found = await act()
            return True

    async with Leaving() as leaving:
        raise error
    return leaving.found  # type: ignore[no-any-return]  # the result of the call


async def in_two(error: BaseException, act: Act[T]) -> T:
    async def inner() -> T:
        return await in_except(ValueError("a second one"), act)

    return await in_except(error, inner)


async def in_a_cause(error: BaseException, act: Act[T]) -> T:
    try:
        throw(ValueError("a second one"), error)
    except ValueError:
        return await act()


async def in_a_task(error: BaseException, act: Act[T]) -> T:
    async def task() -> T:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(in_except(error, act))
        return await task

    return await in_except(error, task)


SURROUNDED = [in_except, in_finally, in_exit, in_two, in_a_cause, in_a_task]
around = pytest.mark.parametrize(
    ("surrounding", "handled"),
    [(in_except, name) for name in HANDLED] + [(way, "an untrusted certificate") for way in SURROUNDED[1:]],
)
handling = pytest.mark.parametrize("handled", HANDLED)


async def failing(transport: Any, call: Any) -> TransportError:
    """Return the error of a call."""
    with pytest.raises(TransportError) as caught:
        await transport.send(call)
    return caught.value


@around
async def test_a_start_that_was_read_is_sent_whatever_the_caller_is_handling(
    surrounding: Any, handled: str, backend: str, fake_time: FakeTime
) -> None:
    async with serve(lambda _: RawResponse(b"", "fin")) as server, connected(server.url, fake_time.clock) as transport:
        error = await surrounding(HANDLED[handled](), lambda: failing(transport, POST))
    assert (type(error), error.sent, error.attempts) == (ConnectionBroken, True, 1)
    assert "of the caller's" not in str(error)
    assert len(server.requests) == 1


@handling
async def test_a_broken_connection_is_retried_whatever_the_caller_is_handling(
    handled: str, backend: str, fake_time: FakeTime
) -> None:
    def answer(_: ReceivedRequest) -> RawResponse:
        return (
            RawResponse(b"", "rst")
            if len(server.requests) <= 1 + ("by aiohttp" in backend)
            else RawResponse(http(200, b"{}"))
        )

    async with serve(answer) as server, connected(server.url, fake_time.clock) as transport:
        assert await in_except(HANDLED[handled](), lambda: transport.send(GET)) == {}


@around
async def test_a_refused_connection_is_not_sent_whatever_the_caller_is_handling(
    surrounding: Any, handled: str, backend: str, fake_time: FakeTime
) -> None:
    async with connected(refused_url(), fake_time.clock) as transport:
        error = await surrounding(HANDLED[handled](), lambda: failing(transport, POST))
    assert (type(error), error.sent) == (ConnectFailed, False)


async def test_a_refused_certificate_is_recognised_whatever_the_caller_is_handling(
    backend: str, fake_time: FakeTime
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with serve(http(200, b"{}"), tls=tls) as server, connected(server.url, fake_time.clock) as transport:
        error = await in_except(ConnectionResetError(), lambda: failing(transport, POST))
    assert type(error) is TLSVerificationFailed
    assert server.requests == []


@pytest.mark.parametrize("by", ["httpx", "httpx2", "aiohttp", "a client"])
def test_an_event_loop_that_runs_inside_a_handler_changes_nothing(by: str, fake_time: FakeTime) -> None:
    async def main() -> TransportError:
        async with (
            httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT) as client,
            serve(lambda _: RawResponse(b"", "fin")) as server,
        ):
            backend = client if by == "a client" else by
            async with connected(server.url, fake_time.clock, http=backend) as transport:
                return await failing(transport, POST)

    try:
        raise UNTRUSTED
    except ssl.SSLCertVerificationError:
        error = asyncio.run(main())
    assert (type(error), error.sent) == (ConnectionBroken, True)


@pytest.mark.parametrize("then", ["fin", "rst"])
async def test_a_start_inside_a_handler_has_an_unknown_outcome(
    then: AfterResponse, backend: str, fake_time: FakeTime
) -> None:
    def answer(request: ReceivedRequest) -> RawResponse:
        return RawResponse(b"", then) if request.method == "POST" else RawResponse(http(200, b"[]"))

    async with serve(answer) as server:
        settings = {"clock": fake_time.clock, "http": wires.default_backend.http}
        async with client_of("opencast", server.url, **settings) as oc:
            with pytest.raises(StartOutcomeUnknown):
                await in_except(UNTRUSTED, lambda: oc.workflows.start("event-7", "fast"))
    assert [request.method for request in server.requests].count("POST") == 1


# Causes


class Link(Exception):
    """An exception in a generated graph."""


@st.composite
def graphs(draw: st.DrawFn) -> list[Link]:
    """Generate exceptions, each with or without a cause and a context from the same list. There may be cycles."""
    errors = [Link(str(number)) for number in range(draw(st.integers(1, 6)))]
    for error in errors:
        error.__cause__ = draw(st.sampled_from([None, *errors]))
        error.__context__ = draw(st.sampled_from([None, *errors]))
    return errors


@given(graphs(), st.integers(0, 6))
def test_a_cause_chain_ends_before_the_callers_exception_and_before_a_cycle(errors: list[Link], handled: int) -> None:
    outer = errors[handled] if 0 < handled < len(errors) else None
    chain = cause_chain(errors[0], outer)
    assert chain[0] is errors[0]
    assert len({id(error) for error in chain}) == len(chain)
    assert not any(error is outer for error in chain)
    for error, cause in pairwise(chain):
        assert cause is (error.__context__ if error.__cause__ is None else error.__cause__)


@given(graphs(), st.integers(0, 6))
def test_a_passing_exception_loses_its_frames_and_the_callers_exception_keeps_its_own(
    errors: list[Link], handled: int
) -> None:
    for error in errors:
        with suppress(Link):
            throw_again(error)
    outer = errors[handled] if 0 < handled < len(errors) else None
    drop_frames(errors[0], outer)
    assert (errors[0].__traceback__, errors[0].__cause__, errors[0].__context__) == (None, None, outer)
    assert outer is None or outer.__traceback__ is not None


def throw_again(error: Link) -> NoReturn:
    """Raise the exception with its attributes."""
    raise error


@pytest.mark.parametrize("native", [True, False])
async def test_a_cancellation_inside_a_handler_leaves_the_callers_exception_alone(
    native: bool,  # noqa: FBT001 - a case
    backend: str,
    fake_time: FakeTime,
) -> None:
    scope = anyio.CancelScope()
    caught: list[BaseException] = []

    async def work() -> None:
        try:
            await transport.send(GET)
        except asyncio.CancelledError as error:
            caught.append(error)
            raise

    async def call() -> None:
        with scope:
            await in_except(UNTRUSTED, work)

    async with (
        serve(lambda _: RawResponse(b"", "stall")) as server,
        connected(server.url, fake_time.clock) as transport,
    ):
        task = asyncio.create_task(call())
        await until(lambda: bool(server.requests))
        (task if native else scope).cancel()
        await asyncio.wait([task])
    assert task.cancelled() is native
    *cancellations, handled = cause_chain(caught[0], None)
    assert {type(one) for one in cancellations} == {asyncio.CancelledError}
    assert handled is UNTRUSTED
    assert UNTRUSTED.__traceback__ is not None
