"""Rows 6 to 11: connections that break."""

import asyncio
from typing import Any

import pytest
from attrs import define, field

from tests.conftest import FakeTime, See
from tests.support.byte_server import GET, AfterResponse, RawResponse, ReceivedRequest, connected, http, serve, until
from tests.support.call_endings import ID, faulty_server, get, outcome, outcomes, start
from tests.support.misbehaving_server import Reader, Writer, raw_server, reset
from tests.support.stub_clients import SYSTEMS, client_of, workflow
from workflow_async import Retry
from workflow_async._core.call import Call
from workflow_async.errors import ConnectionBroken, DecodeError, StartOutcomeUnknown

REPEATED = "get: 2 sent, right; start: 1 sent, StartOutcomeUnknown"
either = pytest.mark.parametrize("system", SYSTEMS)


@pytest.mark.row(6)
async def test_a_reset_on_accept_is_retried_and_a_start_may_have_happened(fake_time: FakeTime, see: See) -> None:
    async def talk(_: Reader, writer: Writer) -> None:
        reset(writer)

    async with raw_server(talk) as raw, client_of("opencast", raw.url, clock=fake_time.clock) as oc:
        get_result, connections = await outcome(get(oc)), raw.connections
        start_result = await outcome(start(oc))
    assert isinstance(get_result, ConnectionBroken)
    assert isinstance(start_result, StartOutcomeUnknown)
    assert (get_result.attempts, connections, raw.connections) == (4, 4, 5)
    see("get: 4 connections, ConnectionBroken; start: 1, StartOutcomeUnknown")


@pytest.mark.row(7)
@either
@pytest.mark.parametrize("then", ["fin", "rst"])
async def test_a_close_instead_of_a_response_is_retried_and_a_start_may_have_happened(
    system: str, then: AfterResponse, fake_time: FakeTime, see: See
) -> None:
    found = await outcomes(system, lambda _: RawResponse(b"", then), fake_time)
    assert str(found) == REPEATED
    assert found.start_result.cause.sent
    see(str(found))


# Stale connections


@define
class Fickle:
    """A server that responds once on a connection, and closes the connection when it is reused."""

    used: set[int] = field(factory=set)

    def __call__(self, request: ReceivedRequest) -> RawResponse:
        if request.connection in self.used:
            return RawResponse(b"", "rst")
        self.used.add(request.connection)
        return RawResponse(http(200 if request.method == "GET" else 201, RECORD))


RECORD = workflow("opencast", ID)


@pytest.mark.row(8)
@pytest.mark.parametrize("then", ["fin", "rst"])
async def test_a_stale_connection_costs_one_immediate_retry_and_no_budget(
    then: AfterResponse, fake_time: FakeTime, see: See
) -> None:
    def answer(_: ReceivedRequest) -> RawResponse:
        return RawResponse(b"", then) if len(byte_server.requests) == 2 else RawResponse(http(200, RECORD))

    async with (
        serve(answer) as byte_server,
        client_of("opencast", byte_server.url, clock=fake_time.clock, retry=Retry(budget=0)) as oc,
    ):
        assert [(await get(oc)).id for _ in range(3)] == [ID] * 3
    assert ([request.connection for request in byte_server.requests], fake_time.naps) == ([1, 1, 2, 2], [0.0])
    see("1 attempt more at once, budget 0 is enough")


@pytest.mark.row(8)
async def test_a_connection_that_closed_while_idle_is_not_reused(fake_time: FakeTime) -> None:
    def ending(request: ReceivedRequest) -> RawResponse:
        return RawResponse(http(200 if request.method == "GET" else 201, RECORD), "fin")

    async with serve(ending) as byte_server, client_of("opencast", byte_server.url, clock=fake_time.clock) as oc:
        for n in range(5):
            assert (await get(oc)).id == ID
            await until(lambda: not byte_server.open)
            assert len(byte_server.requests) == n + 1
    assert fake_time.naps == []


@pytest.mark.row(8)
async def test_a_call_fails_on_one_of_many_stale_connections_at_most(fake_time: FakeTime, see: See) -> None:
    async with (
        serve(Fickle()) as byte_server,
        client_of("opencast", byte_server.url, clock=fake_time.clock, retry=Retry(budget=0)) as oc,
    ):
        await asyncio.gather(*(get(oc) for _ in range(8)))
        assert byte_server.connections == 8
        assert (await get(oc)).id == ID
    see("8 of 8 stale: 1 attempt more")


@pytest.mark.row(8)
async def test_a_start_never_reuses_a_connection(fake_time: FakeTime, see: See) -> None:
    async with serve(Fickle()) as byte_server, client_of("opencast", byte_server.url, clock=fake_time.clock) as oc:
        for warm in (0, 1, 8):
            await asyncio.gather(*(get(oc) for _ in range(warm)))
            assert (await start(oc)).id == ID
            byte_server.respond = Fickle()
    connections = [request.connection for request in byte_server.requests]
    starts = [n for n, request in enumerate(byte_server.requests) if request.method == "POST"]
    assert len(starts) == 3
    assert all(connections[n] not in connections[:n] for n in starts)
    see("every start on a connection of its own")


# Responses that are cut


def chunky(response: bytes) -> bytes:
    """Return the same response in two chunks."""
    head, _, body = response.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0]
    pieces = (body[:10], body[10:], b"")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return status + b"\r\ntransfer-encoding: chunked\r\n\r\n" + chunks


def sized(response: bytes) -> bytes:
    return response


@pytest.mark.row(9)
@pytest.mark.parametrize("then", ["fin", "rst"])
@pytest.mark.parametrize("form", [sized, chunky])
@either
async def test_a_response_cut_at_any_byte_is_retried_and_a_start_may_have_happened(
    system: str, form: Any, then: AfterResponse, fake_time: FakeTime, see: See
) -> None:
    length, lengths = 0, set[int]()

    def fault(response: bytes) -> RawResponse:
        data = form(response)
        lengths.add(len(data))
        return RawResponse(data[:length], then)

    async with faulty_server(system, fault, fake_time) as (server, client, _):
        while not lengths or length < min(lengths):
            assert (length, str(await server.outcomes(client))) == (length, REPEATED)
            length += 1
    assert length > 80
    see(f"{REPEATED}; cut at each byte")


def unsized(response: bytes, length: int) -> RawResponse:
    """Return the response without a length and with its body cut. It ends with the connection."""
    head, _, body = response.partition(b"\r\n\r\n")
    return RawResponse(head.partition(b"\r\n")[0] + b"\r\n\r\n" + body[:length], "fin")


@pytest.mark.row(10)
@either
async def test_a_body_that_ends_with_its_connection_is_accepted_only_if_complete(
    system: str, fake_time: FakeTime, see: See
) -> None:
    size = len(workflow(system, ID))
    length = 0
    async with faulty_server(system, lambda response: unsized(response, length), fake_time) as (server, client, _):
        for length in range(size):
            found = await server.outcomes(client)
            assert (found.get_result.id, found.sent["GET"], found.sent["POST"]) == (ID, 2, 1)
            assert isinstance(found.start_result, StartOutcomeUnknown) or (system, length) == ("preservica", 0)
        length = size
        assert str(await server.outcomes(client)) == "get: 1 sent, right; start: 1 sent, right"
    see("DecodeError, get tried again; cut at each byte")


@pytest.mark.row(10)
@either
async def test_a_body_that_is_always_cut_is_a_decode_error(system: str, fake_time: FakeTime) -> None:
    found = await outcomes(system, lambda response: unsized(response, 12), fake_time, always=True)
    assert isinstance(found.get_result, DecodeError)
    assert isinstance(found.start_result.cause, DecodeError)
    assert found.sent == {"GET": 4, "POST": 1}


# Requests that are cut


async def hang_up(reader: Reader, writer: Writer) -> None:
    """Read the headers and a little of the body, and reset."""
    await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(10)
    reset(writer)


@pytest.mark.row(11)
async def test_a_reset_while_a_request_is_sent_is_retried_and_a_start_may_have_happened(
    fake_time: FakeTime, see: See
) -> None:
    large = bytes(16 * 2**20)
    call: Call[Any] = Call("PUT", "/thing", GET.read, body=large)
    async with raw_server(hang_up) as raw, connected(raw.url, fake_time.clock) as transport:
        with pytest.raises(ConnectionBroken) as caught:
            await transport.send(call)
        assert (caught.value.attempts, caught.value.sent, raw.connections) == (4, True, 4)
        async with client_of("opencast", raw.url, clock=fake_time.clock) as oc:
            start_result = await outcome(oc.workflows.start("e", "fast", configuration={"notes": "x" * len(large)}))
    assert isinstance(start_result, StartOutcomeUnknown)
    assert (start_result.cause.attempts, raw.connections) == (1, 5)
    see("a call that may be repeated: 4 attempts, ConnectionBroken; start: 1, StartOutcomeUnknown")
