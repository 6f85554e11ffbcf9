"""The counts of a batch, and what its board knows of the workflows."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Self

import anyio
import pytest
from attrs import define, field

from workflow_async.batch import AlreadyDone, Skipped, StartStatus, StatusKind
from workflow_async.cli import batch_tally
from workflow_async.cli.batch_tally import BatchTally, BatchWatch
from workflow_async.cli.reporting import row_of
from workflow_async.cli.tally import Estimate, WaitResult
from workflow_async.errors import ConnectFailed
from workflow_async.monitor import Change
from workflow_async.opencast import State, Workflow

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def tally_of(*kinds: StatusKind, clock: Callable[[], float] = lambda: 0.0, **settings: Any) -> BatchTally:
    """Return the tally of a batch with a start of each kind. Their ids are 1, 2, …."""
    items = {str(n): StartStatus(key=str(n), kind=kind, word="word", id=n) for n, kind in enumerate(kinds, 1)}
    run: Any = SimpleNamespace(items=items)
    return BatchTally("opencast", len(kinds), run=run, clock=clock, **settings)


def change(id: int, state: State = State.RUNNING) -> Change[Any]:
    workflow = Workflow(id=id, state=state, state_text=state.value, event_id="e")
    return Change(workflow=workflow, was=None, now=workflow.phase, seen_at=NOON)


# When the batch is expected to end


def end_some(tally: BatchTally, count: int) -> None:
    for id in range(1, count + 1):
        tally.receive(SimpleNamespace(), row_of(StartStatus(key="k", kind=StatusKind.ENDED, word="succeeded", id=id)))  # type: ignore[arg-type]


def test_a_batch_with_starts_to_come_ends_at_its_pace() -> None:
    now = 0.0
    kinds = [StatusKind.ENDED] * 4 + [StatusKind.CHANGE] * 2 + [StatusKind.PLANNED] * 6
    tally = tally_of(*kinds, clock=lambda: now)
    end_some(tally, 2)
    now = 60.0
    assert tally.eta() is None
    end_some(tally, 2)
    assert tally.eta() == Estimate(120.0, "at the pace of 4 ends so far")


def test_the_pace_of_a_batch_with_a_limit_says_nothing_about_its_end() -> None:
    tally = tally_of(*[StatusKind.ENDED] * 4, *[StatusKind.PLANNED] * 6, limit=4)
    end_some(tally, 4)
    assert tally.eta() is None


def test_the_last_workflows_of_a_batch_end_after_their_usual_durations() -> None:
    tally = tally_of(StatusKind.ENDED, StatusKind.CHANGE, usual_remaining={2: 30.0}.get)
    end_some(tally, 1)
    tally.update(change(2).workflow)
    assert tally.eta() == Estimate(30.0, "by the usual durations, which are known for 1 of 1")


def test_what_ended_in_an_earlier_run_is_not_an_end_of_this_run() -> None:
    ticket: Any = None
    tally = tally_of(StatusKind.ENDED, StatusKind.NOT_STARTED)
    done, skipped = tally.run.items.values()
    tally.receive(AlreadyDone(key="1", ticket=ticket, id=1, word="succeeded"), row_of(done))
    tally.receive(Skipped(key="2", ticket=ticket, why="twice"), row_of(skipped))
    assert (tally.received, tally.ends) == (2, [])


def test_a_refused_start_is_not_an_end_of_a_workflow() -> None:
    tally = tally_of()
    tally.add_result(WaitResult(0, "refused"))
    assert (len(tally.ends), tally.workflow_ends) == (1, [])


# The records of its workflows


@define
class StubWatch:
    """A watch whose events are given."""

    events: list[Any]
    error: Exception | None = None
    ids: set[int] = field(factory=set)
    entered: int = 0
    added: list[int] = field(factory=list)

    async def __aenter__(self) -> Self:
        self.entered += 1
        return self

    async def __aexit__(self, *error: object) -> None:
        self.entered -= 1

    def eta(self, id: int) -> float | None:
        return 7.0 if id in self.ids else None

    def add(self, *ids: int) -> None:
        self.ids |= {*ids}
        self.added += ids

    def drop(self, *ids: int) -> None:
        self.ids -= {*ids}

    async def heartbeat(self, seconds: float) -> AsyncIterator[Any]:
        while self.events:
            yield self.events.pop(0)
        if self.error is not None:
            raise self.error


def watch_of(*events: Any, error: Exception | None = None) -> Any:
    return StubWatch(list(events), error)


async def follow(tally: BatchTally, watch: Any) -> None:
    """Follow a batch until the watch has no events left."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(BatchWatch(tally, watch).follow)
        while watch.events:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


async def test_the_workflows_of_a_batch_are_watched_from_their_start_to_their_result() -> None:
    tally = tally_of(StatusKind.STARTED, StatusKind.CHANGE, StatusKind.ENDED, StatusKind.PLANNED)
    tally.add_result(WaitResult(2, "parked"))
    watch = watch_of(change(1), None, change(1, State.SUCCEEDED))
    await follow(tally, watch)
    assert (watch.ids, sorted(watch.added), watch.entered) == ({1}, [1, 2], 0)
    assert {id: record.state_text for id, record in tally.records.items()} == {1: "running"}
    assert tally.usual_remaining(1) == 7.0


async def test_workflows_that_start_later_are_watched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_tally, "INTERVAL", 0.0)
    tally = tally_of()
    watch = watch_of()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(BatchWatch(tally, watch).follow)
        while not watch.entered:
            await anyio.lowlevel.checkpoint()
        tally.run = tally_of(StatusKind.STARTED).run
        while watch.ids != {1}:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


async def test_an_error_that_ends_every_watch_leaves_the_report_to_the_batch() -> None:
    watch = watch_of(error=ConnectFailed("refused"))
    with anyio.fail_after(5):
        await BatchWatch(tally_of(StatusKind.STARTED), watch).follow()
    assert watch.entered == 0


async def test_an_error_of_another_kind_is_raised() -> None:
    with pytest.raises(RuntimeError):
        await BatchWatch(tally_of(), watch_of(error=RuntimeError())).follow()
