"""How long workflows and operations took, and how long they were in the queue."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from workflow_async import Clock, OpencastClient, PreservicaClient, opencast, preservica
from workflow_async.opencast import Operation, OperationState, State, Workflow
from workflow_async.sandbox import ManualClock, Sandbox, Step
from workflow_async.sandbox.opencast.releases import Release

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
instants = st.none() | st.integers(0, 1000).map(lambda seconds: NOON + timedelta(seconds=seconds))


def operation(state: OperationState = OperationState.SUCCEEDED, **fields: Any) -> Operation:
    return Operation(operation="encode", state=state, state_text=state.value, **fields)


def workflow(*operations: Operation, state: State = State.SUCCEEDED, **fields: Any) -> Workflow:
    return Workflow(id=7, state=state, state_text=state.value, event_id="e-1", operations=operations, **fields)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@given(start=instants, end=instants)
def test_a_duration_is_known_if_both_instants_are_and_never_negative(
    start: datetime | None, end: datetime | None
) -> None:
    expected = None if start is None or end is None or end < start else (end - start).total_seconds()
    shown = preservica.Workflow(id=7, state=preservica.State.ACTIVE, state_text="", started=start, finished=end)
    assert operation(start=start, completion=end).duration == expected
    assert shown.duration == expected
    assert preservica.Monitor(id="m", started=start, completed=end).duration == expected


def test_an_operation_that_is_retried_has_no_duration_until_its_end() -> None:
    assert operation(OperationState.RUNNING, start=at(9), completion=at(3)).duration is None


@pytest.mark.parametrize(("milliseconds", "seconds"), [(None, None), (0, None), (1, 0.001), (2500, 2.5)])
def test_the_time_in_the_queue_is_in_seconds_and_none_until_known(
    milliseconds: int | None, seconds: float | None
) -> None:
    assert operation(time_in_queue=milliseconds).queued == seconds


def test_a_workflow_lasts_from_its_first_start_to_its_last_completion() -> None:
    first, last = operation(start=at(0), completion=at(10)), operation(start=at(5), completion=at(40))
    assert workflow(last, first).duration == 40
    assert workflow(first, last, state=State.FAILED).duration == 40


def test_a_skipped_operation_does_not_count_although_servers_give_it_a_start() -> None:
    skipped = operation(OperationState.SKIPPED, start=at(-100))
    assert workflow(skipped, operation(start=at(0), completion=at(10))).duration == 10


@pytest.mark.parametrize("state", [state for state in State if not state.phase.final])
def test_a_workflow_that_has_not_ended_has_no_duration(state: State) -> None:
    assert workflow(operation(start=at(0), completion=at(10)), state=state).duration is None


def test_without_operations_neither_is_known() -> None:
    bare = Workflow(id=7, state=State.SUCCEEDED, state_text="succeeded", event_id="e-1")
    assert (bare.duration, bare.queued) == (None, None)
    assert (workflow().duration, workflow().queued) == (None, None)


def test_the_times_in_the_queue_add_up() -> None:
    parts = operation(time_in_queue=1500), operation(time_in_queue=None), operation(time_in_queue=500)
    assert workflow(*parts, state=State.RUNNING).queued == 2.0


def test_the_keys_of_to_dict_stay_as_they_are() -> None:
    record = workflow(operation(start=at(0), completion=at(1), time_in_queue=5))
    assert not {"duration", "queued"} & {*record.to_dict(), *record.to_dict()["operations"][0]}


@pytest.mark.parametrize("release", ["11", "16"])
async def test_an_opencast_says_how_long_a_workflow_took(release: Release, time: ManualClock, clock: Clock) -> None:
    with Sandbox(release, time) as sandbox:
        async with OpencastClient(sandbox.opencast.url, auth=sandbox.opencast.auth, clock=clock) as oc:
            started = await oc.workflows.start(sandbox.opencast.event(), "fast", with_operations=True)
            assert (started.duration, started.queued) == (None, None)
            done = await oc.workflows.wait(started.id)
            assert done.duration is not None
            longest = max(part.duration or 0.0 for part in done.operations or ())
            assert 0 < longest <= done.duration < time() - started_at(done) + 1
            assert (await oc.workflows.get(done.id)).duration is None  # without operations


def started_at(record: opencast.Workflow) -> float:
    return min(part.start.timestamp() for part in record.operations or () if part.start is not None)


async def test_a_preservica_says_how_long_a_workflow_took(time: ManualClock, clock: Clock) -> None:
    with Sandbox("16", time) as sandbox:
        archive = sandbox.preservica
        username, password = archive.auth
        async with PreservicaClient(
            archive.url, username=username, password=password, tenant=archive.tenant, clock=clock
        ) as pv:
            archive.context("slow", "org.example.slow", "Ingest", [Step("one", 90.0)])
            started = await pv.workflows.start("slow")
            assert started.id is not None
            assert (await pv.workflows.get(started.id)).duration is None
            assert (await pv.workflows.wait(started.id)).duration == 90.0
