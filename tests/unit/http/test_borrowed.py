"""Clients that the caller owns, whose hooks and transports may raise anything at any time."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
import respx
from attrs import define, field
from httpx_aiohttp import AiohttpTransport

from tests.conftest import FakeTime
from tests.support.byte_server import (
    DELETE,
    GET,
    NO_RETRIES,
    POST,
    RawResponse,
    ReceivedRequest,
    connected,
    http,
    refused_url,
    serve,
)
from tests.support.journal_files import ticket
from tests.support.stub_clients import client_of
from tests.unit.conftest import SSL_CONTEXT
from workflow_async import Limits
from workflow_async._core.transport import Transport
from workflow_async.batch import OutcomeUnknown
from workflow_async.errors import (
    ConnectFailed,
    ConnectionBroken,
    NotSent,
    ResponseTooLarge,
    StartOutcomeUnknown,
    TransportError,
)
from workflow_async.opencast import Start

UNTRUSTED = ssl.SSLCertVerificationError(1, "of the caller's")


class OwnError(Exception):
    """An error of the caller's code."""


def group() -> Exception:
    return ExceptionGroup("of a transport", [httpx.ConnectError("refused"), OwnError("inside")])


def status() -> Exception:
    request = httpx.Request("POST", "https://oc.example.org/")
    return httpx.HTTPStatusError("502\nmore", request=request, response=httpx.Response(502, request=request))


RAISED: dict[str, Callable[[], BaseException]] = {
    "its own": lambda: OwnError("oops"),
    "a bug": lambda: ZeroDivisionError("by zero"),
    "the end of an iteration": lambda: StopIteration("over"),
    "the end of an asynchronous iteration": lambda: StopAsyncIteration("over"),
    "a status": status,
    "a group": group,
    "a timeout": lambda: TimeoutError("late"),
    "a value": lambda: UnicodeEncodeError("ascii", "ä", 0, 1, "no"),
    "a cancellation of another task": lambda: asyncio.CancelledError("not of this one"),
    "no connection": lambda: httpx.ConnectError("refused"),
    "no connection of httpx2": lambda: httpx2.ConnectError("refused"),
    "no connection in time": lambda: httpx.ConnectTimeout("late"),
    "a full pool": lambda: httpx.PoolTimeout("full"),
    "a URL that is none": lambda: httpx.InvalidURL("bad"),
    "a protocol error": lambda: httpx.LocalProtocolError("bad"),
    "an untrusted certificate": lambda: UNTRUSTED,
    "an error of this library": lambda: ConnectFailed("of another client"),
    "an error of this library that is no failed call": lambda: StartOutcomeUnknown(
        ConnectFailed("of another"), "it", ticket("7")
    ),
}


def an_error(name: str) -> BaseException:
    return RAISED[name]()


raised = pytest.mark.parametrize("name", RAISED)
CLIENTS: dict[str, Callable[..., Any]] = {
    "httpx": lambda **settings: httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, **settings),
    "httpx2": lambda **settings: httpx2.AsyncClient(trust_env=False, verify=SSL_CONTEXT, **settings),
    "by aiohttp": lambda **settings: httpx.AsyncClient(
        verify=SSL_CONTEXT, transport=AiohttpTransport(verify=SSL_CONTEXT), **settings
    ),
}
clients = pytest.mark.parametrize("kind", CLIENTS)


def hooked(kind: str, when: str, name: str) -> Any:
    """Return a client whose hook raises."""

    async def hook(_: object) -> None:
        raise an_error(name)

    return CLIENTS[kind](event_hooks={when: [hook]})


async def failing(transport: Any, call: Any) -> TransportError:
    """Return the error of a call."""
    with pytest.raises(TransportError) as caught:
        await transport.send(call)
    return caught.value


@asynccontextmanager
async def over_client(client: Any, url: str, time: FakeTime, **settings: Any) -> AsyncIterator[Transport]:
    """Run a transport over a client that the caller owns."""
    async with client, connected(url, time.clock, http=client, **{"retry": NO_RETRIES, **settings}) as transport:
        yield transport


async def failure_over(client: Any, url: str, time: FakeTime, call: Any = POST, **settings: Any) -> TransportError:
    """Return the error of a call over a client that the caller owns."""
    async with over_client(client, url, time, **settings) as transport:
        return await failing(transport, call)


@raised
@clients
async def test_a_request_whose_hook_raises_before_sending_is_not_sent(
    kind: str, name: str, fake_time: FakeTime
) -> None:
    async with serve(http(201, b"{}")) as server:
        error = await failure_over(hooked(kind, "request", name), server.url, fake_time)
    assert isinstance(error, NotSent)
    assert server.requests == []


@raised
@clients
async def test_a_request_whose_hook_raises_after_the_response_is_sent(
    kind: str, name: str, fake_time: FakeTime
) -> None:
    async with serve(http(201, b"{}")) as server:
        error = await failure_over(hooked(kind, "response", name), server.url, fake_time)
    assert isinstance(error, TransportError)
    assert not isinstance(error, NotSent)
    assert error.sent
    assert len(server.requests) == 1


@define
class WrappingTransport(httpx.AsyncBaseTransport):
    """A transport that sends through another one, and raises before or after."""

    inner: Any
    name: str
    sends: bool = field(kw_only=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.sends:
            await (await self.inner.handle_async_request(request)).aclose()
        raise an_error(self.name)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Run an application that responds with 201 after it has read the body."""
    while (await receive())["more_body"]:
        pass
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


INNER: dict[str, Callable[[], Any]] = {
    "httpx": lambda: httpx.AsyncHTTPTransport(verify=SSL_CONTEXT),
    "aiohttp": lambda: AiohttpTransport(verify=SSL_CONTEXT),
    "an application": lambda: httpx.ASGITransport(application),
}


@raised
@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("call", [POST, DELETE], ids=["start", "delete"])
async def test_a_request_whose_transport_raises_after_sending_is_sent(
    call: Any, inner: str, name: str, fake_time: FakeTime
) -> None:
    async with serve(http(201, b"{}")) as server:
        error = await failure_over(
            httpx.AsyncClient(
                trust_env=False, verify=SSL_CONTEXT, transport=WrappingTransport(INNER[inner](), name, sends=True)
            ),
            server.url,
            fake_time,
            call,
        )
    assert isinstance(error, TransportError)
    assert not isinstance(error, NotSent)
    assert error.sent


CLAIMS = {"ConnectError", "ConnectTimeout", "PoolTimeout"}
"""Errors of a transport that claim that it did not connect."""


@raised
@pytest.mark.parametrize("call", [GET, POST, DELETE], ids=["get", "start", "delete"])
async def test_a_transport_that_did_not_connect_is_believed_if_that_is_safe(
    call: Any, name: str, fake_time: FakeTime
) -> None:
    client = httpx.AsyncClient(
        trust_env=False,
        verify=SSL_CONTEXT,
        transport=WrappingTransport(httpx.ASGITransport(application), name, sends=False),
    )
    error = await failure_over(client, "https://oc.example.org", fake_time, call)
    believed = call is not DELETE and type(an_error(name)).__name__ in CLAIMS
    assert error.sent is not believed
    assert isinstance(error, NotSent) is believed


@raised
@pytest.mark.parametrize("call", [GET, POST, DELETE], ids=["get", "start", "delete"])
async def test_a_mock_that_did_not_connect_is_believed(call: Any, name: str, fake_time: FakeTime) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise an_error(name)

    client = httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, transport=httpx.MockTransport(handler))
    error = await failure_over(client, "https://oc.example.org", fake_time, call)
    believed = type(an_error(name)).__name__ in CLAIMS
    assert error.sent is not believed


@respx.mock
@pytest.mark.parametrize(("raised", "sent"), [(httpx.ConnectError, False), (httpx.ReadError, True)])
async def test_a_mock_of_the_connections_that_did_not_connect_is_believed(
    raised: type[Exception],
    sent: bool,  # noqa: FBT001 - a column
    fake_time: FakeTime,
) -> None:
    respx.post("https://oc.example.org/thing").mock(side_effect=raised)
    async with connected("https://oc.example.org", fake_time.clock) as transport:
        assert (await failing(transport, POST)).sent is sent
    assert (
        await failure_over(httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT), "https://oc.example.org", fake_time)
    ).sent is sent


@pytest.mark.parametrize("name", ["no connection", "its own"])
async def test_a_transport_on_top_of_httpcore_is_judged_by_httpcores_trace(name: str, fake_time: FakeTime) -> None:
    class Naming(httpx.AsyncBaseTransport):
        inner = httpx.AsyncHTTPTransport(verify=SSL_CONTEXT)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            try:
                return await self.inner.handle_async_request(request)
            except httpx.ConnectError as error:
                raise an_error(name) from error

    error = await failure_over(
        httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, transport=Naming()), refused_url(), fake_time
    )
    assert isinstance(error, NotSent)


async def test_a_transport_with_a_fallback_is_not_believed(fake_time: FakeTime) -> None:
    class Falling(httpx.AsyncBaseTransport):
        def __init__(self) -> None:
            self.ways = (httpx.AsyncHTTPTransport(verify=SSL_CONTEXT), httpx.ASGITransport(application))

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            try:
                return await self.ways[0].handle_async_request(request)
            except httpx.ConnectError:
                await self.ways[1].handle_async_request(request)
                raise

    error = await failure_over(
        httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, transport=Falling()), refused_url(), fake_time
    )
    assert (type(error), error.sent) == (ConnectionBroken, True)


async def test_a_start_is_unknown_if_a_hook_read_its_body_and_failed(fake_time: FakeTime) -> None:
    async def hook(request: httpx.Request) -> None:
        assert (request.content, request.read(), await request.aread()) == (b"a=1",) * 3
        raise OwnError("oops")

    error = await failure_over(
        httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, event_hooks={"request": [hook]}),
        refused_url(),
        fake_time,
    )
    assert error.sent


async def test_a_hook_that_only_reads_the_body_changes_nothing(fake_time: FakeTime) -> None:
    async def hook(request: httpx.Request) -> None:
        assert request.content == b"a=1"

    error = await failure_over(
        httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, event_hooks={"request": [hook]}),
        refused_url(),
        fake_time,
    )
    assert type(error) is ConnectFailed


@pytest.mark.parametrize("kind", ["httpx", "httpx2"])
async def test_a_request_with_an_invalid_header_of_a_hook_was_not_sent(kind: str, fake_time: FakeTime) -> None:
    async def hook(request: httpx.Request) -> None:
        request.headers["x-odd"] = "a\nb"

    async with serve(http(201, b"{}")) as server:
        error = await failure_over(CLIENTS[kind](event_hooks={"request": [hook]}), server.url, fake_time)
    assert (type(error), error.what) == (ConnectFailed, "LocalProtocolError")
    assert server.requests == []


@pytest.mark.parametrize("kind", ["httpx", "httpx2"])
async def test_a_start_is_unknown_if_a_hook_set_a_wrong_length(kind: str, fake_time: FakeTime) -> None:
    async def hook(request: httpx.Request) -> None:
        request.headers["content-length"] = "1"

    async with serve(http(201, b"{}")) as server:
        error = await failure_over(CLIENTS[kind](event_hooks={"request": [hook]}), server.url, fake_time)
    assert not isinstance(error, NotSent)
    assert error.sent


async def test_a_hook_sees_a_request_as_httpx_makes_it(fake_time: FakeTime) -> None:
    async def hook(request: httpx.Request) -> None:
        seen.append(repr(request))

    seen: list[str] = []
    client = httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, event_hooks={"request": [hook]})
    async with serve(http(201, b"{}")) as server, over_client(client, server.url, fake_time) as transport:
        await transport.send(POST)
    assert seen == [f"<Request('POST', '{server.url}/thing')>"]


async def test_a_hook_that_removes_the_trace_never_makes_a_start_unsent(fake_time: FakeTime) -> None:
    async def hook(request: httpx.Request) -> None:
        request.extensions.pop("trace")

    async with serve(lambda _: RawResponse(b"", "fin")) as server:
        error = await failure_over(
            httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, event_hooks={"request": [hook]}),
            server.url,
            fake_time,
        )
    assert (type(error), error.sent) == (ConnectionBroken, True)
    error = await failure_over(
        httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, event_hooks={"request": [hook]}),
        refused_url(),
        fake_time,
    )
    assert type(error) is ConnectFailed


async def test_a_transport_can_read_the_body_twice(fake_time: FakeTime) -> None:
    class Twice(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            stream: Any = request.stream
            bodies = [b"".join([part async for part in stream]), b"".join(stream), request.content]
            return httpx.Response(201, json=[body.decode() for body in bodies])

    async with over_client(
        httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, transport=Twice()), "https://oc.example.org", fake_time
    ) as transport:
        assert await transport.send(POST) == ["a=1"] * 3


# Beyond errors


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("grouped", [False, True])
async def test_a_base_exception_passes_through_unchanged(kind: Any, grouped: bool, fake_time: FakeTime) -> None:  # noqa: FBT001 - a case
    async def hook(_: httpx.Request) -> None:
        if grouped:
            raise BaseExceptionGroup("all", [OwnError("oops"), BaseExceptionGroup("more", [kind("stop")])])
        raise kind("stop")

    async with over_client(
        httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, event_hooks={"request": [hook]}),
        refused_url(),
        fake_time,
    ) as transport:
        with pytest.raises(kind, match="stop"):
            await transport.send(POST)


@pytest.mark.parametrize("kind", ["httpx", "httpx2"])
async def test_a_request_over_a_closed_client_is_not_sent_and_says_why(kind: str, fake_time: FakeTime) -> None:
    client = CLIENTS[kind]()
    await client.aclose()
    async with connected(refused_url(), fake_time.clock, http=client) as transport:
        error = await failing(transport, POST)
        assert (await failing(transport, GET)).attempts == 4
    assert (type(error), error.sent) == (NotSent, False)
    assert "the client given as http= is closed" in str(error)


class Body(httpx.AsyncByteStream):
    """A body in parts. A part may be an error, and so may closing."""

    def __init__(self, *chunks: bytes | BaseException, closing: BaseException | None = None) -> None:
        self.parts, self.closing = chunks, closing

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            if isinstance(part, BaseException):
                raise part
            yield part

    async def aclose(self) -> None:
        if self.closing is not None:
            raise self.closing


def answers(body: Body) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        trust_env=False, verify=SSL_CONTEXT, transport=httpx.MockTransport(lambda _: httpx.Response(201, stream=body))
    )


@raised
async def test_a_start_is_unknown_if_reading_its_response_fails(name: str, fake_time: FakeTime) -> None:
    error = await failure_over(answers(Body(b"{", an_error(name))), "https://oc.example.org", fake_time)
    assert isinstance(error, TransportError)
    assert not isinstance(error, NotSent)


@raised
async def test_a_complete_response_is_returned_even_if_closing_fails(name: str, fake_time: FakeTime) -> None:
    async with over_client(
        answers(Body(b"{}", closing=an_error(name))), "https://oc.example.org", fake_time
    ) as transport:
        assert await transport.send(POST) == {}


async def test_a_start_is_unknown_if_a_hook_closed_its_response(fake_time: FakeTime) -> None:
    async def hook(response: httpx.Response) -> None:
        await response.aclose()

    async with serve(http(201, b"{}")) as server:
        error = await failure_over(
            httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, event_hooks={"response": [hook]}),
            server.url,
            fake_time,
        )
    assert error.sent
    assert error.what.startswith("StreamClosed")


async def test_a_body_beyond_the_limits_is_reported_even_if_closing_fails(fake_time: FakeTime) -> None:
    client = answers(Body(b"{}", closing=OwnError("oops")))
    error = await failure_over(client, "https://oc.example.org", fake_time, limits=Limits(body=1))
    assert isinstance(error, ResponseTooLarge)


async def test_a_start_is_unknown_if_the_transport_returns_no_response(fake_time: FakeTime) -> None:
    client = httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, transport=httpx.MockTransport(lambda _: None))  # type: ignore[arg-type]  # a careless transport
    error = await failure_over(client, "https://oc.example.org", fake_time)
    assert (type(error), error.sent) == (TransportError, True)


# Messages


async def test_the_message_of_a_hooks_error_is_one_line_with_its_origin(fake_time: FakeTime) -> None:
    async with serve(http(502)) as server:
        error = await failure_over(hooked("httpx", "response", "a status"), server.url, fake_time)
    assert error.what == "HTTPStatusError: 502 (raised by a hook or the transport of the client given as http=)"


async def test_the_message_of_a_group_is_that_of_its_members(fake_time: FakeTime) -> None:
    async with serve(http(502)) as server:
        error = await failure_over(hooked("httpx", "response", "a group"), server.url, fake_time)
    assert error.what.startswith("ExceptionGroup: ConnectError: refused, OwnError: inside (")


@pytest.mark.parametrize("kind", [OwnError, httpx.ReadError])
async def test_a_message_that_repeats_credentials_is_not_shown(kind: type[Exception], fake_time: FakeTime) -> None:
    async def hook(response: httpx.Response) -> None:
        raise kind(f"refused: {response.request.headers['authorization']}")

    async with serve(http(502)) as server:
        error = await failure_over(
            httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, event_hooks={"response": [hook]}),
            server.url,
            fake_time,
        )
    assert error.what.startswith(kind.__name__)
    assert "refused" not in error.what


# Over the services


async def test_a_start_whose_hook_raises_is_unknown_alone_and_in_a_batch(fake_time: FakeTime) -> None:
    async def hook(response: httpx.Response) -> None:
        response.raise_for_status()

    def answer(seen: ReceivedRequest) -> bytes:
        return http(502) if seen.method == "POST" else http(200, b"[]")

    async with (
        serve(answer) as server,
        httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT, event_hooks={"response": [hook]}) as client,
        client_of("opencast", server.url, clock=fake_time.clock, http=client) as oc,
    ):
        with pytest.raises(StartOutcomeUnknown) as caught:
            await oc.workflows.start("event-7", "fast")
        assert caught.value.ticket is not None
        async with oc.workflows.run_all([Start("event-7", "fast", key="0")]) as results:
            message = [result async for result in results]
    assert [type(result) for result in message] == [OutcomeUnknown]


async def test_a_watch_over_a_closed_client_raises_this_librarys_error(fake_time: FakeTime) -> None:
    client = httpx.AsyncClient(trust_env=False, verify=SSL_CONTEXT)
    async with client_of("opencast", refused_url(), clock=fake_time.clock, http=client) as oc:
        await client.aclose()
        with pytest.raises(NotSent):
            await oc.workflows.wait(7)
