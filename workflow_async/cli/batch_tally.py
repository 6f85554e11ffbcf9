"""Counts the starts of a batch, and watches its workflows for the board."""

from collections import Counter
from contextlib import suppress
from typing import Any

import anyio
from attrs import define, field

from workflow_async.batch import AlreadyDone, Result, Run, Skipped, StatusKind
from workflow_async.cli.reporting import Row
from workflow_async.cli.tally import COLUMNS, NOT_STARTED, UNSEEN, Estimate, Tally, WaitResult
from workflow_async.errors import WorkflowAsyncError
from workflow_async.monitor import Change, Watch

INTERVAL = 0.5
"""Seconds between two looks for new workflows."""
MIN_ENDS = 3
"""The ends after which the pace of a batch is known."""
RUNNING = frozenset({StatusKind.STARTED, StatusKind.CHANGE})


@define(eq=False, kw_only=True)
class BatchTally(Tally):
    """A tally that counts the starts of a batch by their status."""

    run: Run[Any]
    limit: int | None = None
    """How many starts this run may begin. None for all."""
    received: int = field(default=0, init=False)
    """The number of starts that have a result."""

    @property
    def total(self) -> int:
        """The number of starts, including those of earlier runs."""
        return max(self.expected, len(self.run.items))

    @property
    def settled(self) -> int:
        """The number of starts that have ended. A rejected start is not counted, because another run sends it again."""
        return sum(status.kind is StatusKind.ENDED for status in self.run.items.values())

    @property
    def counts(self) -> dict[str, int]:
        """The number of starts in each column of `COLUMNS`, without zeros."""
        counter = Counter(_column(status.kind, status.word) for status in self.run.items.values())
        counter[UNSEEN] += self.total - counter.total()
        return {word: counter[word] for word in COLUMNS if counter[word]}

    def receive(self, result: Result[Any], row: Row) -> None:
        """Count the result of a start. What ended in an earlier run, or was skipped, is not an end of this run."""
        self.received += 1
        if not isinstance(result, AlreadyDone | Skipped):
            self.add_result(WaitResult(row.id or 0, row.outcome, error=row.detail or None))

    def eta(self) -> Estimate | None:
        """Return when the whole batch is expected to have ended. None if that is not known, as with a limit."""
        left = self.expected - self.received
        if left <= sum(status.kind in RUNNING for status in self.run.items.values()):
            return super().eta()
        if self.limit is not None or len(self.workflow_ends) < MIN_ENDS:
            return None
        seconds = left * (self.clock() - self.began_at) / len(self.workflow_ends)
        return Estimate(seconds, f"at the pace of {len(self.workflow_ends)} ends so far")


def _column(kind: StatusKind, word: str) -> str:
    if kind is StatusKind.PLANNED:
        return UNSEEN
    if kind in {StatusKind.INTENT, StatusKind.STARTED} or word == "waiting":
        return "waiting"
    return NOT_STARTED if kind is StatusKind.NOT_STARTED else word


@define(eq=False)
class BatchWatch:
    """Watches the workflows of a batch, and stores their records in its tally.

    The client checks each workflow once for the batch and for this watch. The records have the operations, which the
    batch alone does not need.
    """

    tally: BatchTally
    watch: Watch[Any]
    _known: set[int] = field(factory=set, init=False)

    async def follow(self) -> None:
        """Store records until cancelled, or until an error ends every watch of the client. The batch reports it."""
        self.tally.usual_remaining = self.watch.eta
        with suppress(WorkflowAsyncError):
            async with self.watch:
                while True:
                    await self._read_events()
                    await anyio.sleep(INTERVAL)

    async def _read_events(self) -> None:
        """Store records while any workflow is watched."""
        self._choose()
        async for event in self.watch.heartbeat(INTERVAL):
            if isinstance(event, Change) and not event.now.final:
                self.tally.update(event.workflow)
            self._choose()

    def _choose(self) -> None:
        """Watch the workflows that were started since the last call. Leave those that have a result."""
        statuses = self.tally.run.items.values()
        running = {status.id for status in statuses if status.kind in RUNNING and status.id is not None}
        self.watch.add(*(running - self._known))
        self.watch.drop(*(self.watch.ids & self.tally.results.keys()))
        self._known |= running
