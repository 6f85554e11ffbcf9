"""Waiting for a process by the name of its monitor, over a real socket and with scripted responses."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.unit.preservica.conftest import ScriptedServer
from workflow_async import Clock, Phase, Poll
from workflow_async.errors import (
    Forbidden,
    InvalidArgument,
    ProcessNotFound,
    ProcessWaitTimeout,
    ServerError,
)
from workflow_async.preservica import Monitor, PreservicaClient
from workflow_async.preservica.process_wait import latest
from workflow_async.sandbox import Fault, Faults, ManualClock, Step, StepResult
from workflow_async.sandbox.systems import FakePreservica

BATCH = {"OpexContainerDirectory": "opex/batch, 1"}
NAME = "opex/batch, 1"


async def test_a_process_is_waited_for_by_its_name(archive: FakePreservica, pv: PreservicaClient) -> None:
    started = await pv.workflows.start(42, BATCH)
    monitor = await pv.monitors.wait(NAME)
    assert (monitor.name, monitor.status, monitor.phase) == (NAME, "Succeeded", Phase.SUCCEEDED)
    assert started.workflow is not None
    assert monitor.id == started.workflow.monitor_id
    checks = [request for request in archive.requests if request.path == "/api/processmonitor/monitors"]
    assert len(checks) > 2
    assert {request.query for request in checks} == {"name=opex%2Fbatch%2C+1"}


async def test_a_monitor_that_appears_after_the_wait_has_begun_is_found(
    archive: FakePreservica, connect: Callable[..., PreservicaClient], time: ManualClock
) -> None:
    def start_late() -> float:
        if not archive.starts:
            archive.state.archive.start_workflow(archive.state.archive.contexts["42"], BATCH, "late")
        return 0.5

    clock = Clock(now=time, sleep=advancing(time), jitter=start_late, wall=time)
    async with connect(clock=clock) as pv:
        assert (await pv.monitors.wait(NAME)).phase is Phase.SUCCEEDED


def advancing(time: ManualClock) -> Callable[[float], Any]:
    """Return a sleep that advances the time."""

    async def sleep(seconds: float) -> None:
        time.advance(seconds)

    return sleep


async def test_the_process_that_was_started_last_counts(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    await pv.workflows.start(42, BATCH)
    time.advance(600)
    again = await pv.workflows.start(42, BATCH)
    monitor = await pv.monitors.wait(NAME)
    assert again.workflow is not None
    assert monitor.id == again.workflow.monitor_id


async def test_the_time_since_which_processes_count_goes_to_the_server(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    await pv.workflows.start(42, BATCH)
    await pv.monitors.wait(NAME, since=datetime(2025, 1, 1, tzinfo=UTC))
    assert archive.requests[-1].parameters["startedFrom"] == ["2025-01-01T00:00:00.000Z"]


async def test_a_process_that_needs_a_person_can_end_the_wait(archive: FakePreservica, pv: PreservicaClient) -> None:
    context = archive.context("Breaks", "x.ingest.opex", "Ingest", [Step("Store", 1.0, StepResult.FAILED)])
    await pv.workflows.start(int(context), BATCH)
    monitor = await pv.monitors.wait(NAME, parked="return")
    assert (monitor.status, monitor.phase) == ("Recoverable", Phase.PARKED)
    with pytest.raises(ProcessWaitTimeout, match=r"not finished after 60 s \(last seen Recoverable\)") as caught:
        await pv.monitors.wait(NAME, timeout=60)
    assert caught.value.monitor == monitor


async def test_a_failed_process_is_returned(archive: FakePreservica, pv: PreservicaClient) -> None:
    context = archive.context("Breaks", "x.ingest", "Ingest", [Step("Store", 1.0, StepResult.FAILED)])
    await pv.workflows.start(int(context), BATCH)
    assert (await pv.monitors.wait(NAME)).phase is Phase.FAILED


async def test_a_name_that_no_monitor_has_is_an_error_after_the_outage(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    began = time()
    with pytest.raises(ProcessNotFound, match="check the name") as caught:
        await pv.monitors.wait("opex/misspelled", poll=Poll(outage=60.0))
    assert (caught.value.name, caught.value.monitor) == ("opex/misspelled", None)
    assert 60 < time() - began < 120


async def test_a_check_is_made_at_the_deadline(pv: PreservicaClient, time: ManualClock) -> None:
    await pv.workflows.start(42, BATCH)
    assert (await pv.monitors.wait(NAME, timeout=30, poll=Poll(interval=1000, ceiling=1000))).phase.final


async def test_a_timeout_before_the_first_check_says_that_nothing_was_seen(pv: PreservicaClient) -> None:
    with pytest.raises(ProcessWaitTimeout, match="never seen") as caught:
        await pv.monitors.wait(NAME, timeout=5, poll=Poll(initial=10))
    assert (caught.value.timeout, isinstance(caught.value, TimeoutError)) == (5, True)


async def test_failures_are_tolerated_for_an_outage_and_no_longer(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    await pv.workflows.start(42, BATCH)
    archive.faults = Faults(rates={Fault.SERVER_ERROR: 1.0}, during=(0.0, 200.0))
    assert (await pv.monitors.wait(NAME)).phase is Phase.SUCCEEDED
    archive.faults = Faults(rates={Fault.SERVER_ERROR: 1.0})
    with pytest.raises(ServerError):
        await pv.monitors.wait(NAME)


async def test_a_refusal_ends_the_wait_immediately(scripted: type[ScriptedServer], clock: Clock) -> None:
    server = scripted(lambda _: httpx.Response(403, json={"success": False, "message": "Access is denied"}))
    async with server.client(clock) as pv:
        with pytest.raises(Forbidden):
            await pv.monitors.wait(NAME)
    assert len(server.requests) == 1


async def test_longer_names_that_the_server_returns_too_are_ignored(
    scripted: type[ScriptedServer], clock: Clock
) -> None:
    monitors = [
        {"mappedId": "1", "name": f"{NAME}0", "status": "Failed"},
        {"mappedId": "2", "name": NAME, "status": "Succeeded"},
    ]
    server = scripted(lambda _: httpx.Response(200, json={"success": True, "value": {"monitors": monitors}}))
    async with server.client(clock) as pv:
        assert (await pv.monitors.wait(NAME)).id == "2"


async def test_a_monitor_that_is_listed_no_more_is_an_error_with_its_last_record(
    scripted: type[ScriptedServer], clock: Clock
) -> None:
    rows: list[list[Any]] = [[{"mappedId": "1", "name": NAME, "status": "Running"}]]

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"success": True, "value": {"monitors": rows.pop() if rows else []}})

    async with scripted(answer).client(clock) as pv:
        with pytest.raises(ProcessNotFound, match=r"last seen Running\): it may have been abandoned") as caught:
            await pv.monitors.wait(NAME)
    assert caught.value.seconds > 300


@pytest.mark.parametrize(
    ("argument", "value"),
    [("name", " "), ("timeout", 0), ("poll", 5), ("parked", "raise"), ("since", "2025-01-01")],
)
async def test_invalid_arguments_are_refused_before_any_request(
    argument: str, value: Any, archive: FakePreservica, pv: PreservicaClient
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await pv.monitors.wait(**{"name": NAME, argument: value})
    assert (caught.value.argument, archive.requests) == (argument, [])


def test_a_process_that_has_not_been_started_is_the_latest() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    early, late = Monitor(id="1", started=now), Monitor(id="2", started=now + timedelta(days=1))
    pending = Monitor(id="3")
    assert latest([late, early]) is late
    assert latest([pending, late]) is pending
    assert latest([]) is None


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("Pending", Phase.WAITING),
        ("Running", Phase.RUNNING),
        ("Succeeded", Phase.SUCCEEDED),
        ("Failed", Phase.FAILED),
        ("Suspended", Phase.PARKED),
        ("RECOVERABLE ", Phase.PARKED),
        ("Something new", Phase.UNKNOWN),
        ("", Phase.UNKNOWN),
    ],
)
def test_the_phase_of_a_process_follows_its_status(status: str, phase: Phase) -> None:
    monitor = Monitor(id="1", status=status)
    assert monitor.phase is phase
    assert monitor.to_dict()["phase"] == phase.value
