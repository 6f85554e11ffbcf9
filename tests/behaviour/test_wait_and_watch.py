"""Waits and watches of each system of the sandbox."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from itertools import groupby
from typing import Any

import anyio
import pytest

from tests.support import virtual_time as virtual
from tests.support.monitored_system import SYSTEMS, System, is_subsequence, new_system
from workflow_async import Phase, Poll
from workflow_async.errors import (
    ClientClosed,
    ConnectFailed,
    Forbidden,
    InvalidArgument,
    NotFound,
    WaitTimeout,
    WorkflowAsyncError,
    WorkflowFailed,
    WorkflowParked,
)
from workflow_async.monitor import Change, ConditionMet, Finished, Parked, PollingFailed, Stalled, TimedOut, Vanished
from workflow_async.sandbox import Fault, Faults
from workflow_async.sandbox.engine import Status, Step, StepResult

pytestmark = pytest.mark.sweep

QUICK = Poll(interval=1, ceiling=4, outage=120)
Story = Callable[[System, Any], Awaitable[None]]

everywhere = pytest.mark.parametrize("kind", SYSTEMS)
where_lists_are = pytest.mark.parametrize("kind", ["11", "preservica"])
where_they_are_not = pytest.mark.parametrize("kind", ["16", "19"])
opencasts = pytest.mark.parametrize("kind", ["11", "16", "19"])


def played(kind: str, story: Story, **settings: Any) -> None:
    """Run a story of a system and a client on virtual time."""

    async def main() -> None:
        system = new_system(kind)
        async with system.client(**settings) as client:
            await story(system, client)
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    virtual.run(main())


def later(seconds: float, action: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(seconds, action)


def now() -> float:
    return asyncio.get_running_loop().time()


# Waiting


@everywhere
def test_hundreds_are_waited_for_and_each_has_its_own_end(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        kinds = [
            system.define("good", Step("a", 20), Step("b", 30)),
            system.define("bad", Step("a", 5), Step("b", 10, StepResult.FAILED)),
            system.define("mixed", Step("a", 5, StepResult.PARTIAL), Step("b", 10)),
            system.define("held", Step("a", 5, StepResult.HELD), Step("b", 10)),
        ]
        ids = [system.start(kinds[n % 4]) for n in range(300)]
        outcomes = await client.workflows.wait_all(ids, poll=QUICK, parked="return")
        assert [outcome.id for outcome in outcomes] == ids
        mixed = Phase.PARTIAL if kind == "preservica" else Phase.SUCCEEDED
        expected = {0: Phase.SUCCEEDED, 1: Phase.FAILED, 2: mixed, 3: Phase.PARKED}
        assert [outcome.workflow.phase for outcome in outcomes] == [expected[n % 4] for n in range(300)]
        assert {type(outcome) for outcome in outcomes[3::4]} == {Parked}
        assert {type(outcome) for n, outcome in enumerate(outcomes) if n % 4 != 3} == {Finished}

    played(kind, story)


@where_lists_are
def test_with_a_list_three_hundred_workflows_cost_its_pages_and_a_get_each(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(300, 30.0, 30.0)
        if kind == "11":
            system.opencast.state.commit()
        await client.workflows.wait_all(ids, poll=Poll(interval=5, backoff=1, ceiling=5))
        pages, bulk_checks, gets = system.looks()
        assert pages <= (62 / 5 + 4) * 3
        assert bulk_checks + gets <= 300 * 1.1

    played(kind, story)


@where_they_are_not
def test_without_a_list_bulk_checks_cost_less_than_gets(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(300, 100.0)
        await client.workflows.wait_all(ids, poll=Poll(interval=5, backoff=1, ceiling=5))
        pages, bulk_checks, gets = system.looks()
        assert pages <= 3  # that there is none has to be found out
        assert 50 < bulk_checks < 400
        assert gets < 300 * 6

    played(kind, story)


@where_they_are_not
def test_without_access_to_events_each_workflow_gets_a_get(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(50, 100.0)
        outcomes = await client.workflows.wait_all(ids, poll=Poll(interval=5, backoff=1, ceiling=5))
        assert {type(outcome) for outcome in outcomes} == {Finished}
        assert system.looks()[1] == 1

    played(kind, story, auth=("viewer", "viewer"))


@everywhere
def test_outcomes_are_given_as_they_come(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        slow, quick = system.starts(1, 60.0), system.starts(1, 5.0)
        found = [outcome.id async for outcome in client.workflows.as_completed([*slow, *quick], poll=QUICK)]
        assert found == [*quick, *slow]

    played(kind, story)


@everywhere
def test_a_parked_workflow_can_be_waited_for_returned_or_raised(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        id = system.start(system.define("held", Step("a", 5, StepResult.HELD), Step("b", 5)))
        assert (await client.workflows.wait(id, parked="return", poll=QUICK)).phase is Phase.PARKED
        with pytest.raises(WorkflowParked):
            await client.workflows.wait(id, parked="raise", poll=QUICK)
        later(50, lambda: system.engine.resume(system.run(id), 1.0))
        assert (await client.workflows.wait(id, poll=QUICK)).phase is Phase.SUCCEEDED

    played(kind, story)


@everywhere
def test_a_checked_wait_raises_unless_the_workflow_succeeded(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        good, bad = system.starts(1, 5.0)[0], system.start(system.define("bad", Step("a", 5, StepResult.FAILED)))
        assert (await client.workflows.wait(good, check=True, poll=QUICK)).phase is Phase.SUCCEEDED
        with pytest.raises(WorkflowFailed):
            await client.workflows.wait(bad, check=True, poll=QUICK)

    played(kind, story)


@everywhere
def test_a_wait_ends_when_its_condition_is_met(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(20, 30.0, 30.0, 30.0)
        others = asyncio.create_task(client.workflows.wait_all(ids, poll=QUICK))
        await anyio.sleep(5)
        found = await client.workflows.wait(ids[0], until=lambda workflow: workflow.step == "step-1", poll=QUICK)
        assert (found.step, found.phase) == ("step-1", Phase.RUNNING)
        assert 32 <= now() <= 40
        await others

    played(kind, story)


@everywhere
def test_a_wait_that_takes_too_long_ends_with_the_last_record(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        (id,) = system.starts(1, 1000.0)
        with pytest.raises(WaitTimeout) as caught:
            await client.workflows.wait(id, timeout=20, poll=QUICK)
        assert caught.value.workflow is not None
        assert now() == pytest.approx(20, abs=0.1)
        (outcome,) = await client.workflows.wait_all([id], timeout=20, poll=QUICK)
        assert isinstance(outcome, TimedOut)

    played(kind, story)


@everywhere
def test_a_deleted_workflow_has_vanished_after_two_minutes_and_the_others_go_on(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(40, 300.0)
        later(20, lambda: system.engine.remove(system.run(ids[7])))
        found = {outcome.id: (outcome, now()) async for outcome in client.workflows.as_completed(ids, poll=QUICK)}
        outcome, at = found.pop(ids[7])
        assert isinstance(outcome, Vanished)
        assert outcome.workflow is not None
        assert 140 <= at <= 160
        assert {type(other) for other, _ in found.values()} == {Finished}

    played(kind, story)


@everywhere
def test_a_workflow_that_was_deleted_after_an_unseen_end_has_vanished(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        (id,) = system.starts(1, 5.0)
        system.engine.remove(system.run(id))
        (outcome,) = await client.workflows.wait_all([id], poll=QUICK)
        assert isinstance(outcome, Vanished)
        assert (outcome.workflow, outcome.succeeded) == (None, False)
        with pytest.raises(NotFound):
            await client.workflows.wait(id, poll=QUICK)

    played(kind, story)


@everywhere
def test_a_server_that_is_down_for_too_long_ends_every_wait(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(40, 10_000.0)
        later(20, lambda: setattr(system.wire, "down", True))
        outcomes = await client.workflows.wait_all(ids, poll=QUICK)
        assert {(type(outcome), type(outcome.error)) for outcome in outcomes} == {(PollingFailed, ConnectFailed)}
        assert all(outcome.workflow.phase is Phase.RUNNING for outcome in outcomes)
        assert QUICK.outage <= now() - 20 <= 2 * QUICK.outage
        with pytest.raises(ConnectFailed):
            await client.workflows.wait(ids[0], poll=QUICK)

    played(kind, story)


@everywhere
def test_an_outage_that_passes_ends_no_wait(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(40, 60.0)
        later(20, lambda: setattr(system.wire, "down", True))
        later(110, lambda: setattr(system.wire, "down", False))
        outcomes = await client.workflows.wait_all(ids, poll=QUICK)
        assert {type(outcome) for outcome in outcomes} == {Finished}

    played(kind, story)


@opencasts
def test_a_workflow_that_must_not_be_read_never_affects_the_others(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(20, 30.0)
        system.opencast.state.events[system.run(ids[3]).subject].readers = frozenset()
        outcomes = await client.workflows.wait_all([*ids, 999_999], poll=QUICK)
        assert isinstance(outcomes[3], PollingFailed)
        assert isinstance(outcomes[3].error, Forbidden)
        assert isinstance(outcomes[-1], Vanished)
        assert {type(outcome) for n, outcome in enumerate(outcomes) if n not in {3, 20}} == {Finished}

    played(kind, story, auth=("viewer", "viewer"))


@everywhere
def test_closing_a_client_ends_every_wait_with_an_error(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(20, 1000.0)
        waits = [asyncio.create_task(client.workflows.wait(id)) for id in ids]
        waits += [asyncio.create_task(client.workflows.wait_all(ids))]
        await anyio.sleep(10)
        await client.aclose()
        found = await asyncio.gather(*waits, return_exceptions=True)
        assert {type(error) for error in found} == {ClientClosed}
        with pytest.raises(ClientClosed):
            await client.workflows.wait(ids[0])

    played(kind, story)


@everywhere
def test_a_workflow_can_be_started_and_waited_for_in_one_call(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        made = system.define("made", Step("a", 5), Step("b", 10))
        begun = [made] if kind == "preservica" else [system.opencast.event(), made]
        workflow = await client.workflows.start_and_wait(*begun, poll=QUICK, check=True)
        assert workflow.phase is Phase.SUCCEEDED
        begun = [made] if kind == "preservica" else [system.opencast.event(), made]
        with pytest.raises(WaitTimeout):
            await client.workflows.start_and_wait(*begun, poll=QUICK, timeout=5)

    played(kind, story)


@everywhere
def test_each_call_that_waits_ends_when_the_condition_is_met(kind: str) -> None:
    def first_step_is_over(workflow: Any) -> bool:
        return bool(workflow.step == "b")

    async def story(system: System, client: Any) -> None:
        made = system.define("made", Step("a", 5), Step("b", 1000))
        ids = [system.start(made) for _ in range(3)]
        outcomes = await client.workflows.wait_all(ids, until=first_step_is_over, check=True, poll=QUICK)
        assert [type(outcome) for outcome in outcomes] == [ConditionMet] * 3
        stream = client.workflows.as_completed(ids, until=first_step_is_over, check=True, poll=QUICK)
        assert {outcome.id async for outcome in stream} == {*ids}
        begun = [made] if kind == "preservica" else [system.opencast.event(), made]
        workflow = await client.workflows.start_and_wait(*begun, until=first_step_is_over, check=True, poll=QUICK)
        assert (workflow.step, workflow.phase) == ("b", Phase.RUNNING)

    played(kind, story)


@everywhere
def test_each_call_that_waits_reports_every_change_of_a_workflow_in_order(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        made = system.define("made", Step("a", 20), Step("b", 20))
        changes: list[Change[Any]] = []

        async def report(change: Change[Any]) -> None:
            await asyncio.sleep(0.01)
            changes.append(change)

        def reported(id: int) -> list[str | None]:
            of_one = [change for change in changes if change.id == id]
            assert [change.was for change in of_one] == [None, *(change.now for change in of_one[:-1])]
            assert of_one[-1].now is Phase.SUCCEEDED
            return [step for step, _ in groupby(change.workflow.step for change in of_one)]

        one = system.start(made)
        await client.workflows.wait(one, on_change=report, poll=QUICK)
        some = [system.start(made) for _ in range(2)]
        await client.workflows.wait_all(some, on_change=changes.append, poll=QUICK)
        others = [system.start(made) for _ in range(2)]
        stream = client.workflows.as_completed(others, on_change=report, poll=QUICK)
        assert {outcome.id async for outcome in stream} == {*others}
        begun = [made] if kind == "preservica" else [system.opencast.event(), made]
        workflow = await client.workflows.start_and_wait(*begun, on_change=report, poll=QUICK)
        for id in (one, *some, *others, workflow.id):
            assert is_subsequence(reported(id), [None, "a", "b", None])
            assert {"a", "b"} & {*reported(id)}, reported(id)

    played(kind, story)


@everywhere
def test_an_exception_of_a_report_ends_the_call_that_waits(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        [id] = system.starts(1, 500.0)
        with pytest.raises(ZeroDivisionError):
            await client.workflows.wait(id, on_change=lambda _: 1 / 0, poll=QUICK)
        with pytest.raises(InvalidArgument, match="^on_change: "):
            await client.workflows.wait(id, on_change="print")

    played(kind, story)


@everywhere
def test_each_call_that_waits_for_many_raises_for_a_failed_workflow_if_asked_to(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        good, bad = system.starts(1, 5.0)[0], system.start(system.define("bad", Step("a", 10, StepResult.FAILED)))
        with pytest.raises(ExceptionGroup, match="1 of 2 workflows did not succeed") as caught:
            await client.workflows.wait_all([bad, good], check=True, poll=QUICK)
        (error,) = caught.value.exceptions
        assert isinstance(error, WorkflowFailed)
        assert error.workflow.id == bad
        outcomes = client.workflows.as_completed([bad], check=True, poll=QUICK)
        with pytest.raises(WorkflowFailed):
            await anext(outcomes)
        assert [outcome async for outcome in outcomes] == []

    played(kind, story)


@opencasts
@pytest.mark.parametrize("parked", ["wait", "return"])
def test_the_record_of_a_start_that_was_waited_for_holds_its_operations(kind: str, parked: str) -> None:
    async def story(system: System, client: Any) -> None:
        made = system.define("made", Step("a", 5, StepResult.HELD if parked == "return" else StepResult.DONE))
        workflow = await client.workflows.start_and_wait(system.opencast.event(), made, parked=parked, poll=QUICK)
        assert [operation.operation for operation in workflow.operations] == ["a"]
        assert workflow.configuration is None

    played(kind, story)


# Watching


def noted(system: System) -> dict[int, list[Phase]]:
    """Record the phases of every workflow from now on."""
    true, before = defaultdict[int, list[Phase]](list), system.engine.on_change

    def observe(run: Any) -> None:
        if before is not None:
            before(run)
        phase = system.phase_of(run)
        if true[run.id][-1:] != [phase]:
            true[run.id].append(phase)

    system.engine.on_change = observe
    return true


@everywhere
def test_changes_are_reported_as_they_are_observed(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        true, events = noted(system), defaultdict[int, list[Phase]](list)
        held = system.define("held", Step("a", 30, StepResult.HELD), Step("b", 30))
        ids = [system.start(held) for _ in range(30)]
        for id in ids:
            later(80, partial(system.engine.resume, system.run(id), 1.0))
        async with client.workflows.watch(ids, poll=QUICK) as changes:
            async for change in changes:
                if events[change.id][-1:] != [change.now]:
                    events[change.id].append(change.now)
        for id in ids:
            assert is_subsequence(events[id], true[id])
            assert events[id][-3:] == [Phase.PARKED, Phase.RUNNING, Phase.SUCCEEDED]

    played(kind, story)


@opencasts
def test_every_transition_of_every_operation_is_reported_with_its_time(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        quick, skipped = Step("quick", 0.5), Step("skipped", 0.0, StepResult.SKIPPED)
        many = system.define("many", quick, skipped, Step("slow", 20), quick, Step("end", 3))
        ids = [system.start(many) for _ in range(30)]
        events = defaultdict[int, list[Any]](list)
        async with client.workflows.watch(ids, poll=QUICK, operations=True) as changes:
            async for change in changes:
                events[change.id] += change.operations
        for id in ids:
            for place_, step in enumerate(system.run(id).steps):
                chain = [operation for operation in events[id] if operation.position == place_]
                assert [one.was for one in chain] == [None, *(one.now for one in chain)][:-1]
                assert {one.operation for one in chain} == {step.step.name}
                if step.status is Status.SUCCEEDED:
                    assert [one.now for one in chain][-2:] == ["running", "succeeded"]
                    assert [one.at.timestamp() for one in chain[-2:]] == pytest.approx(
                        [step.started, step.finished], abs=0.01
                    )
                else:
                    assert chain[-1].now == "skipped"

    played(kind, story)


@opencasts
def test_the_record_of_an_end_holds_its_operations(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(30, 5.0, 5.0)
        async with client.workflows.watch(ids, poll=QUICK) as changes:
            ended = [change.workflow async for change in changes if change.now.final]
        assert all(len(workflow.operations) == 2 for workflow in ended)
        assert (await client.workflows.wait(ids[0])).operations is not None

    played(kind, story)


@where_lists_are
def test_a_workflow_that_leaves_the_list_gets_a_get_before_its_end_is_reported(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(30, 5.0, 20.0)
        async with client.workflows.watch(ids, poll=QUICK) as changes:
            async for change in changes:
                if change.now.final:
                    assert any(one.path.endswith(f"/{change.id}") for one in system.asked())
        gets = [one for one in system.asked() if one.path.endswith(f"/{ids[0]}")]
        assert len(gets) <= 3

    played(kind, story)


def test_a_list_that_is_ten_seconds_late_gives_no_event_backwards_or_twice() -> None:
    async def story(system: System, client: Any) -> None:
        true, events = noted(system), defaultdict[int, list[Phase]](list)
        ids = system.starts(60, *[4.0] * 20)

        def each(action: Callable[[Any], None], some: list[int]) -> None:
            for run in map(system.run, some):
                if run.active:
                    action(run)

        for n in range(15):
            later(8 + 4 * n, partial(each, system.engine.pause, ids[n::7]))
            later(9 + 4 * n, partial(each, lambda run: client.workflows.wake(run.id), ids[n::7]))
            later(10 + 4 * n, partial(each, system.engine.resume, ids[n::7]))
        async with client.workflows.watch(ids, poll=QUICK) as changes:
            async for change in changes:
                events[change.id].append(change.now)
        assert all(is_subsequence(events[id], true[id]) for id in ids)
        assert sum(phases.count(Phase.PARKED) for phases in events.values()) > 30

    played("11", story)


@everywhere
def test_a_filter_is_watched_with_workflows_that_appear_later(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        true, events = noted(system), defaultdict[int, list[Phase]](list)
        slow = system.define("slow", Step("a", 60))
        ids = [system.start(slow) for _ in range(3)]
        for second in (20, 40, 60):
            later(second, lambda: ids.append(system.start(slow)))
        asked = {"context": slow} if kind == "preservica" else {"definition_id": slow}
        async with client.workflows.watch(**asked, poll=QUICK) as changes:
            while sum(phases[-1].final for phases in events.values()) < 6:
                change = await anext(changes)
                events[change.id].append(change.now)
        assert set(events) == set(ids)
        assert all(is_subsequence(events[id], true[id]) for id in ids)

    played(kind, story)


@everywhere
def test_ends_can_be_watched_too_and_each_is_reported_once(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        bad = system.define("bad", Step("a", 5, StepResult.FAILED))
        ids = [system.start(bad) for _ in range(3)]
        later(60, lambda: ids.append(system.start(bad)))
        events: list[tuple[int, Phase]] = []
        with anyio.move_on_after(300):
            asked = {"state": "Failed", "context": bad} if kind == "preservica" else {"state": "failed"}
            async with client.workflows.watch(**asked, poll=QUICK) as changes:
                while True:
                    change = await anext(changes)
                    events.append((change.id, change.now))
        assert sorted(events) == [(id, Phase.FAILED) for id in ids]

    played(kind, story)


@where_they_are_not
def test_an_end_that_only_a_row_shows_is_confirmed_by_a_get(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        bad = system.define("bad", Step("a", 5, StepResult.FAILED))
        id = system.start(bad)
        async with client.workflows.watch(definition_id=bad, poll=QUICK) as changes:
            phases: list[Phase] = []
            while not (phases and phases[-1].final):
                phases.append((await anext(changes)).now)
        asked = [request.path for request in system.asked()]
        assert phases[-1] is Phase.FAILED
        assert f"/api/workflows/{id}" in asked

    played(kind, story)


@everywhere
def test_a_watch_takes_ids_or_a_filter_and_not_both(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        for given in ({}, {"workflow_ids": [1], "state": "Active" if kind == "preservica" else "running"}):
            with pytest.raises(InvalidArgument, match="workflow_ids"):
                client.workflows.watch(**given)
        for bad in (0.0, -1.0, float("nan"), timedelta(0), timedelta(seconds=-1), True, "5"):
            with pytest.raises(InvalidArgument, match="stalled_after"):
                client.workflows.watch([1], stalled_after=bad)
        for strange in ("..", "7/8", "", "-1"):
            with pytest.raises(InvalidArgument):
                client.workflows.watch([strange])
            with pytest.raises(InvalidArgument):
                client.workflows.wake(strange)

    played(kind, story)


# Hints, busy servers, stalls


@everywhere
def test_a_wake_brings_the_end_sooner(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        (id,) = system.starts(1, 30.0)
        later(35, lambda: client.workflows.wake(id))
        await client.workflows.wait(id, poll=Poll(interval=200, ceiling=200))
        assert now() < 36

    played(kind, story)


@everywhere
def test_a_wake_of_a_running_workflow_changes_nothing(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(30, 60.0)
        for second in range(1, 60, 2):
            later(second, lambda: [client.workflows.wake(id) for id in ids])
        outcomes = await client.workflows.wait_all(ids, poll=QUICK)
        assert {type(outcome) for outcome in outcomes} == {Finished}
        assert now() >= 62

    played(kind, story)


@everywhere
def test_a_server_that_limits_the_rate_gets_the_pause_it_asks_for(kind: str) -> None:
    async def story(place: System, client: Any) -> None:
        ids = place.starts(1, 60.0)
        waits = asyncio.create_task(client.workflows.wait(ids[0], poll=Poll(interval=1, ceiling=1)))
        await anyio.sleep(10)
        place.system.faults = Faults(rates={Fault.RATE_LIMITED: 1.0}, retry_after=100)
        await anyio.sleep(3)
        refused = len(place.system.requests)
        place.system.faults = Faults()
        await anyio.sleep(95)
        assert len(place.system.requests) == refused
        assert (await waits).phase is Phase.SUCCEEDED
        assert 105 <= now() <= 120

    played(kind, story)


@everywhere
def test_a_busy_server_gets_fewer_requests_from_the_client(kind: str) -> None:
    async def story(place: System, client: Any) -> None:
        ids = place.starts(40, 4000.0)
        waits = asyncio.create_task(
            client.workflows.wait_all(ids, poll=Poll(interval=2, backoff=1, ceiling=2, outage=900))
        )
        await anyio.sleep(60)
        calm = len(place.system.requests)
        place.system.faults = Faults(rates={Fault.SERVER_ERROR: 0.9})
        await anyio.sleep(300)
        busy = len(place.system.requests) - calm
        assert busy / 300 < 0.7 * calm / 60
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)

    played(kind, story)


@everywhere
def test_a_stalled_step_is_reported_once_and_an_end_can_be_estimated(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        usual = system.define("usual", Step("a", 20), Step("b", 30))
        ids = [system.start(usual) for _ in range(20)]
        slow = system.start(usual)
        system.run(slow).steps[1].step = Step("b", 600)
        events, foreseen = [], []
        async with client.workflows.watch([*ids, slow], poll=QUICK, stalled_after=3) as changes:
            async for event in changes:
                if isinstance(event, Stalled):
                    events.append((event.id, event.workflow.step, event.seconds > 80, round(event.usual or 0, -1)))
                foreseen.append(changes.eta(slow))
        assert events == [(slow, "b", True, 30)]
        assert foreseen[0] is None

    played(kind, story)


@everywhere
def test_watchers_that_come_and_go_leave_the_client_as_it_was(kind: str) -> None:
    async def story(system: System, client: Any) -> None:
        ids = system.starts(60, 20.0, 60.0)

        async def visit(n: int) -> None:
            await anyio.sleep(n % 50)
            with anyio.move_on_after(1 + n % 13):
                await client.workflows.wait_all(ids[n % 60 :], poll=QUICK, timeout=1 + n % 7)
            with anyio.move_on_after(1 + n % 17):
                async with client.workflows.watch(ids[: n % 60 + 1], poll=QUICK) as changes:
                    async for _ in changes:
                        pass

        await asyncio.gather(*(visit(n) for n in range(100)))
        left = client.workflows._poller
        assert not left._watchers
        assert not left.engine.observations
        assert left.engine.idle
        assert (await client.workflows.wait(ids[0], poll=QUICK)).phase is Phase.SUCCEEDED

    played(kind, story)


def test_changes_are_frozen_records() -> None:
    async def story(system: System, client: Any) -> None:
        (id,) = system.starts(1, 5.0)
        async with client.workflows.watch([id], poll=QUICK) as changes:
            first = await anext(changes)
        assert isinstance(first, Change)
        assert (first.id, first.was, first.seen_at.tzinfo is not None) == (id, None, True)
        with pytest.raises(AttributeError):
            setattr(first, "now", Phase.FAILED)  # noqa: B010 - it cannot be written in any other way

    played("16", story)


def test_an_error_of_a_wait_is_of_this_library() -> None:
    async def story(system: System, client: Any) -> None:
        with pytest.raises(WorkflowAsyncError):
            await client.workflows.wait(999_999, poll=QUICK)

    played("16", story)
