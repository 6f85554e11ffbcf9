"""The events and the counters of requests."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from attrs import evolve

from tests.conftest import FakeTime
from tests.support.byte_server import GET, NO_RETRIES, POST, connected, http, refused_url, serve, tree, until
from tests.unit.core.test_transport import BUSY, OK, scripted
from workflow_async import Limits, Retry
from workflow_async._core.call import Call, Reply
from workflow_async._core.observer import Observer
from workflow_async._core.transport import Transport
from workflow_async.errors import CallError, ConnectionBroken, InvalidArgument
from workflow_async.observe import ClientEvent, Outage, RequestSent, Retrying

E = TypeVar("E")
WALL = 1_700_000_000.0
NAMED: Call[Any] = Call("GET", "/thing/7", tree, (("filter", "x"),), name="things.get", template="/thing/{id}")


def of_type(events: Sequence[ClientEvent], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


async def fails(transport: Transport, call: Call[Any] = GET) -> None:
    with pytest.raises(CallError):
        await transport.send(call)


async def test_a_request_is_an_event(fake_time: FakeTime) -> None:
    events: list[ClientEvent] = []
    transport, backend = scripted(fake_time, Reply(200, {}, b'{"a": 1}'), on_event=events.append)
    backend.before = lambda: fake_time.sleep(0.25)
    await transport.send(NAMED)
    assert events == [
        RequestSent(
            call="things.get",
            method="GET",
            route="/thing/{id}",
            attempt=1,
            status=200,
            error=None,
            seconds=0.25,
            queued=0.0,
            bytes=8,
        )
    ]


async def test_a_request_without_a_response_has_an_error(fake_time: FakeTime) -> None:
    events: list[ClientEvent] = []
    transport, _ = scripted(fake_time, ConnectionBroken("cut"), on_event=events.append, retry=NO_RETRIES)
    await fails(transport)
    (event,) = of_type(events, RequestSent)
    assert (event.status, event.error, event.bytes, event.route) == (None, "ConnectionBroken", 0, "/thing")


async def test_a_cancelled_request_is_an_event_and_no_failure(fake_time: FakeTime) -> None:
    events: list[ClientEvent] = []
    transport, backend = scripted(fake_time, OK, on_event=events.append)
    backend.before = asyncio.Event().wait
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(transport.send(GET), 0.01)
    assert [event.error for event in of_type(events, RequestSent)] == ["CancelledError"]
    assert transport.observer.last_error is None


async def test_the_time_in_the_queue_is_apart_from_the_time_of_the_request(fake_time: FakeTime) -> None:
    events: list[ClientEvent] = []
    transport, backend = scripted(fake_time, OK, on_event=events.append, limits=Limits(connections=1))

    async def two_seconds() -> None:
        await asyncio.sleep(0)  # the other call joins the queue
        await fake_time.sleep(2.0)

    backend.before = two_seconds
    await asyncio.gather(transport.send(GET), transport.send(GET))
    assert [(event.queued, event.seconds) for event in of_type(events, RequestSent)] == [(0.0, 2.0), (2.0, 2.0)]


async def test_a_retry_is_an_event_before_its_delay(fake_time: FakeTime) -> None:
    events: list[ClientEvent] = []
    transport, _ = scripted(fake_time, BUSY, ConnectionBroken("cut"), OK, on_event=events.append)
    await transport.send(NAMED)
    assert of_type(events, Retrying) == [
        Retrying(call="things.get", attempt=1, wait=0.25, error="ServerError"),
        Retrying(call="things.get", attempt=2, wait=0.5, error="ConnectionBroken"),
    ]
    assert [type(event).__name__ for event in events] == ["RequestSent", "Retrying"] * 2 + ["RequestSent"]
    assert (transport.observer.requests, transport.observer.retries) == (3, 2)


async def test_a_start_is_never_retried(fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, BUSY)
    await fails(transport, POST)
    assert (transport.observer.requests, transport.observer.retries) == (1, 0)


# Outages


async def test_an_outage_and_its_end_are_events(fake_time: FakeTime) -> None:
    events: list[ClientEvent] = []
    transport, _ = scripted(
        fake_time, BUSY, ConnectionBroken("cut"), BUSY, BUSY, OK, on_event=events.append, retry=Retry(attempts=5)
    )
    transport.observer.clock = evolve(fake_time.clock, wall=lambda: WALL + fake_time.now - 1000.0)
    fake_time.jitter = 0.9
    await transport.send(GET)
    began = datetime.fromtimestamp(WALL, UTC)
    begin, end = of_type(events, Outage)
    assert (begin.began, begin.error, begin.over) == (began, "503", False)
    assert (end.began, end.error, end.over) == (began, "503", True)
    assert 1.0 <= begin.seconds < end.seconds


async def test_a_server_that_is_down_is_a_warning_and_so_is_its_end(
    fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    fake_time.jitter = 0.9
    transport, _ = scripted(fake_time, *[ConnectionBroken("cut")] * 3, OK)
    await transport.send(GET)
    logged = [vars(record) for record in caplog.records]
    assert [entry["msg"] for entry in logged] == ["outage", "outage over"]
    assert {entry["levelname"] for entry in logged} == {"WARNING"}
    assert logged[0]["server"] == "127.0.0.1:9"
    assert logged[1]["seconds"] > logged[0]["seconds"] >= 1.0


async def test_a_refusal_of_the_server_is_no_outage(fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, Reply(404, {}, b""), retry=NO_RETRIES)
    for _ in range(5):
        await fails(transport)
        fake_time.now += 60.0
    assert not transport.observer.outage.reported
    assert transport.observer.last_error is None


# What an observer raises


@pytest.mark.parametrize("error", [KeyError("mine"), asyncio.CancelledError()], ids=repr)
async def test_what_an_observer_raises_is_logged_once_for_each_class_and_breaks_no_call(
    error: BaseException, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    errors = [error, error, ValueError("another")]

    def on_event(_: ClientEvent) -> None:
        raise errors.pop(0)

    transport, _ = scripted(fake_time, OK, on_event=on_event)
    for _ in range(3):
        assert await transport.send(GET) == {}
    assert caplog.messages == ["on_event raised an exception"] * 2
    assert [vars(record)["error"] for record in caplog.records] == [type(error).__name__, "ValueError"]
    assert "in on_event" in caplog.text


async def test_an_interrupt_in_an_observer_is_raised(fake_time: FakeTime) -> None:
    def on_event(_: ClientEvent) -> None:
        raise KeyboardInterrupt

    transport, _ = scripted(fake_time, OK, on_event=on_event)
    with pytest.raises(KeyboardInterrupt):
        await transport.send(GET)


async def asynchronous(_: ClientEvent) -> None: ...


@pytest.mark.parametrize("wrong", [7, "print", asynchronous], ids=["a number", "a text", "a coroutine function"])
def test_what_is_no_plain_function_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="on_event"):
        Observer(wrong)


# Without observers


async def test_no_event_is_made_when_nothing_asks_for_it(
    fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "workflow_async")
    monkeypatch.setattr("workflow_async._core.observer.RequestSent", None)
    transport, _ = scripted(fake_time, OK)
    await transport.send(GET)
    assert transport.observer.requests == 1


@pytest.mark.usefixtures("backend")
async def test_the_events_are_the_same_on_every_backend(fake_time: FakeTime) -> None:
    events: list[ClientEvent] = []
    settings: dict[str, Any] = {"on_event": events.append, "retry": Retry(attempts=2)}
    responses = [http(500), http(200, b'{"a": 1}')]
    async with (
        serve(lambda _: responses.pop(0)) as server,
        connected(server.url, fake_time.clock, **settings) as transport,
    ):
        await transport.send(GET)
    async with connected(refused_url(), fake_time.clock, **settings) as transport:
        await fails(transport)
    sent = of_type(events, RequestSent)
    assert [(event.status, event.error) for event in sent] == [
        (500, None),
        (200, None),
        (None, "ConnectFailed"),
        (None, "ConnectFailed"),
    ]
    assert [event.bytes for event in sent] == [0, 8, 0, 0]


# Counters


async def test_requests_in_flight_and_in_the_queue_are_counted(fake_time: FakeTime) -> None:
    transport, backend = scripted(fake_time, OK, limits=Limits(connections=2))
    proceed = asyncio.Event()
    backend.before = proceed.wait
    calls = [asyncio.create_task(transport.send(GET)) for _ in range(5)]
    await until(lambda: transport.queued == 3)
    assert transport.in_flight == 2
    proceed.set()
    await asyncio.gather(*calls)
    assert (transport.in_flight, transport.queued, transport.observer.requests) == (0, 0, 5)


async def test_the_last_error_is_kept(fake_time: FakeTime) -> None:
    transport, _ = scripted(fake_time, BUSY, OK)
    await transport.send(GET)
    assert transport.observer.last_error == "503"
    assert transport.observer.last_error_at > 0
