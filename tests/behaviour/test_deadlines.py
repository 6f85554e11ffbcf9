"""Rows 12 to 14: servers that never finish a response. The timeouts are short and in real time."""

import pytest

from tests.conftest import FakeTime, See
from tests.support.byte_server import RawResponse, until
from tests.support.call_endings import faulty_server, get, outcome, outcomes, start
from tests.support.misbehaving_server import ConnectionHandler, raw_server, repeat_forever
from tests.support.stub_clients import SYSTEMS, client_of
from workflow_async import Retry, Timeouts
from workflow_async.errors import DeadlineExceeded, StartOutcomeUnknown

OK = b"HTTP/1.1 200 OK\r\n"
SHORT = Timeouts(call=30.0, exchange=0.05, connect=5.0)
TWICE = Retry(attempts=2)
either = pytest.mark.parametrize("system", SYSTEMS)


@pytest.mark.row(12)
@either
async def test_a_silent_server_ends_with_the_exchange_timeout(system: str, fake_time: FakeTime, see: See) -> None:
    limits = Timeouts(call=30.0, exchange=0.1)
    found = await outcomes(
        system, lambda _: RawResponse(b"", "stall"), fake_time, always=True, timeouts=limits, timeout=0.1
    )
    assert str(found) == "get: 4 sent, DeadlineExceeded; start: 1 sent, StartOutcomeUnknown"
    assert isinstance(found.start_result.cause, DeadlineExceeded)
    assert found.start_result.cause.sent
    see(str(found))


@pytest.mark.row(12)
@either
async def test_a_silent_server_ends_with_the_call_timeout_whatever_attempts_are_left(
    system: str, fake_time: FakeTime
) -> None:
    limits = Timeouts(call=0.2, exchange=30.0)
    found = await outcomes(system, lambda _: RawResponse(b"", "stall"), fake_time, always=True, timeouts=limits)
    assert str(found) == "get: 1 sent, DeadlineExceeded; start: 1 sent, StartOutcomeUnknown"
    assert "no response within 0.2 s" in str(found.get_result)


@pytest.mark.row(12)
async def test_a_server_that_is_silent_once_costs_one_more_attempt(fake_time: FakeTime) -> None:
    limits = Timeouts(call=60.0, exchange=1.0)
    async with faulty_server("opencast", lambda _: RawResponse(b"", "stall"), fake_time, timeouts=limits) as (
        server,
        oc,
        _,
    ):
        assert (await get(oc)).id == 1603
    assert server.sent["GET"] == 2


async def outcomes_of_endless(talk: ConnectionHandler, time: FakeTime) -> str:
    """Return how both calls end at a server that sends this forever. It loses every connection."""
    async with raw_server(talk) as raw:
        async with client_of("opencast", raw.url, clock=time.clock, timeouts=SHORT, retry=TWICE) as oc:
            get_result, connections = await outcome(get(oc)), raw.connections
            start_result = await outcome(start(oc, timeout=0.1))
        await until(lambda: not raw.open)
    assert isinstance(get_result, DeadlineExceeded)
    assert isinstance(start_result, StartOutcomeUnknown)
    assert isinstance(start_result.cause, DeadlineExceeded)
    assert raw.connections - connections == 1
    return f"get: {connections} of 2 attempts, DeadlineExceeded; start: 1, StartOutcomeUnknown"


@pytest.mark.row(13)
@pytest.mark.parametrize(
    ("opening", "again"),
    [(OK + b"x-slow: ", b"a"), (OK + b"content-length: 1000000\r\n\r\n", b" "), (OK + b"\r\n", b" ")],
    ids=["headers", "sized body", "endless body"],
)
async def test_slow_bytes_do_not_extend_the_timeout(
    opening: bytes, again: bytes, fake_time: FakeTime, see: See
) -> None:
    found = await outcomes_of_endless(repeat_forever(opening, again, pause=0.002), fake_time)
    assert found.startswith("get: 2 of 2")
    see(found)


@pytest.mark.row(14)
@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
async def test_interim_responses_do_not_extend_the_timeout(status: bytes, fake_time: FakeTime, see: See) -> None:
    found = await outcomes_of_endless(repeat_forever(b"", b"HTTP/1.1 " + status + b"\r\n\r\n"), fake_time)
    assert found.startswith("get: 2 of 2")
    see(f"{found}; connection dropped")
