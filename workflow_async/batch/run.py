"""`run_all`: starts many workflows with a limit on how many run, and yields results as they come."""

from collections.abc import Awaitable, Iterable, Mapping
from types import TracebackType
from typing import Generic, Self, TypeVar

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup
from attrs import define, field

from workflow_async.batch.backend import StartBackend
from workflow_async.batch.concurrency import Taken, concurrency_limit
from workflow_async.batch.conflicts import OnConflict, check_on_conflict
from workflow_async.batch.entries import StartStatus, StatusKind
from workflow_async.batch.gate import Gate, limit_of
from workflow_async.batch.journals import Journal, Path, journal_of
from workflow_async.batch.ledger import Ledger
from workflow_async.batch.outage import Outage
from workflow_async.batch.pipeline import Pipeline
from workflow_async.batch.reports import Reports, first_error
from workflow_async.batch.result_queue import ResultQueue
from workflow_async.batch.results import AlreadyDone, Rejected, Result, Skipped
from workflow_async.batch.running_starts import RunningStarts
from workflow_async.batch.start_steps import FATAL, StartSteps
from workflow_async.batch.ticket_feed import TicketFeed
from workflow_async.batch.tickets import Ticket
from workflow_async.errors import InvalidArgument
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor.waits import WaitOptions
from workflow_async.phase import Phase, Workflow
from workflow_async.settings import check_not_negative

S = TypeVar("S")
W = TypeVar("W", bound=Workflow)

UNFINISHED = frozenset({StatusKind.INTENT, StatusKind.STARTED, StatusKind.CHANGE, StatusKind.LEFT, StatusKind.UNKNOWN})
"""Kinds of an earlier run's starts that this run continues."""

DEFAULT_MAX_RUNNING = 4
DUPLICATE_KEY = "the same key came before"


@define(eq=False)
class Run(Generic[W]):
    """A running batch: `async with workflows.run_all(…) as results: async for result in results: …`.

    Each start has one `Result`, which is yielded as soon as it is known. After the block is left, the workflows run on
    without being watched. With a journal, another run of the same starts continues from there.
    """

    _backend: StartBackend[W]
    _starts: Iterable[Ticket | Rejected]
    """The starts as tickets, and the results of the starts that cannot be sent."""
    _all_given: bool
    """True if all starts are known before the first one is sent."""
    _ledger: Ledger
    _steps: StartSteps[W]
    _pipeline: Pipeline[W]
    _results: ResultQueue[Result[W]]
    _retry_failed: bool
    _limit: int | None
    """How many starts this run may begin. None for all."""
    _group: TaskGroup | None = field(default=None, init=False)
    _failure: Exception | None = field(default=None, init=False)
    _seen: set[str] = field(factory=set, init=False)
    """The keys of the starts that this run has read."""
    _begun: int = field(default=0, init=False)
    """The number of starts that this run has begun."""

    @property
    def items(self) -> Mapping[str, StartStatus]:
        """The current status of each start by key, including the starts of earlier runs."""
        return self._ledger.items

    async def __aenter__(self) -> Self:
        """Open the journal and begin. Raises `JournalError`."""
        await self._ledger.open(self._backend.system, self._backend.server)
        try:
            self._load()
        except BaseException:
            await self._ledger.close()
            raise
        self._group = await anyio.create_task_group().__aenter__()
        self._group.start_soon(self._run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._group is not None:
                self._group.cancel_scope.cancel()
                await self._group.__aexit__(None, None, None)
        finally:
            await self._ledger.close()

    def _load(self) -> None:
        """Take over what earlier runs knew about each start."""
        for item in self.items.values():
            if item.ticket is not None:
                self._steps.load(item, item.ticket)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result[W]:
        """Return the next result. Raises the error that ended the whole batch, such as a `JournalError`."""
        result = await self._results.get()
        if result is not None:
            return result
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def _run(self) -> None:
        try:
            await self._run_starts()
        except Exception as error:  # noqa: BLE001 - `__anext__` raises it unchanged
            self._failure = first_error(error)
        finally:
            self._results.close()

    async def _run_starts(self) -> None:
        """Bring every start to its result. Then raise the error of the caller's iterable, if it raised one."""
        left = [(item, item.ticket) for item in self.items.values() if item.kind in UNFINISHED and item.ticket]
        failure = await _failure_of(self._plan())
        async with anyio.create_task_group() as group:
            for item, ticket in left:
                self._pipeline.admit(ticket, item.id)
                group.start_soon(self._pipeline.resume, item, ticket)
            if failure is None:
                failure = await _failure_of(self._feed(group, {item.key for item, _ in left}))
        if failure is not None:
            raise failure
        await self._ledger.plan((), complete=self._all_given or not self._at_limit)

    async def _plan(self) -> None:
        """Record every start before the first is sent. The starts of an iterator are not known yet."""
        tickets: list[Ticket] = []
        for start in self._starts if self._all_given else ():
            await anyio.lowlevel.checkpoint()
            if isinstance(start, Ticket):
                tickets.append(start)
            else:
                await self._record_rejected(start)
        await self._ledger.plan(tickets, complete=self._all_given)

    async def _feed(self, group: TaskGroup, resumed: set[str]) -> None:
        """Begin each start as soon as it has a slot. At the limit, only starts that need no slot have a result."""
        starts = iter(self._starts)
        while self._all_given or not self._at_limit:
            start = next(starts, None)
            if start is None:
                return
            await anyio.lowlevel.checkpoint()
            ticket = await self._new_start(start, resumed)
            if ticket is not None and not self._at_limit and await self._pipeline.wait_for_slot(ticket):
                self._begun += 1
                group.start_soon(self._pipeline.start_and_watch, ticket)

    @property
    def _at_limit(self) -> bool:
        return self._limit is not None and self._begun >= self._limit

    async def _new_start(self, ticket: Ticket | Rejected, resumed: set[str]) -> Ticket | None:
        """Return the ticket to start, or None if the start has a result already or was resumed."""
        if isinstance(ticket, Rejected):
            await self._record_rejected(ticket)
            self._results.put(ticket)
            return None
        result = self._earlier_result(ticket, resumed)
        self._seen.add(ticket.key)
        if result is not None:
            self._results.put(result)
        return ticket if result is None and ticket.key not in resumed else None

    def _earlier_result(self, ticket: Ticket, resumed: set[str]) -> AlreadyDone | Rejected | Skipped | None:
        """Return the result that a start has without being sent, or None if there is no such result."""
        if ticket.key in self._seen:
            return Skipped(key=ticket.key, ticket=ticket, why=DUPLICATE_KEY)
        item = self.items.get(ticket.key)
        if item is None or item.ticket is None:
            return None
        if item.ticket.arguments != ticket.arguments:
            error = InvalidArgument("key", f"{ticket.key!r} belongs to another start in this journal. Use another key")
            return Rejected(key=ticket.key, ticket=ticket, error=error)
        if self._retry_failed and item.word == Phase.FAILED.value:
            return None
        if ticket.key not in resumed and item.kind is StatusKind.ENDED and item.id is not None:
            return AlreadyDone(key=ticket.key, ticket=ticket, id=item.id, word=item.word)
        return None

    async def _record_rejected(self, rejected: Rejected) -> None:
        """Record a start that cannot be sent, unless its key belongs to another start."""
        if rejected.key not in self.items:
            await self._ledger.record(rejected.key, StatusKind.NOT_STARTED, "refused", text=str(rejected.error))


def run_batch(
    backend: StartBackend[W],
    poller: Poller[W],
    feed: TicketFeed[S],
    *,
    max_running: int,
    low: int | None,
    count_others: bool,
    gate: Gate | None,
    on_conflict: OnConflict,
    journal: Path | Journal | None,
    options: WaitOptions[W],
    settle: float,
    start_unknown_again: bool,
    retry_failed: bool,
    limit: int | None,
) -> Run[W]:
    """Return a run that has not begun. Raises `InvalidArgument` for settings that make no sense."""
    check_on_conflict(on_conflict)
    check_not_negative("settle", settle)
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise InvalidArgument("limit", "must be at least 1, or None for all starts")
    if gate is not None and (max_running, low, count_others) != (DEFAULT_MAX_RUNNING, None, False):
        raise InvalidArgument("gate", "cannot be combined with max_running, low or count_others")
    clock, poll = poller.clock, options.poll
    outage, ledger, queue = Outage(clock, poll), Ledger(clock, journal_of(journal)), ResultQueue[Result[W]]()

    async def count() -> Taken:
        places = await outage.retry(lambda: backend.count_running(running.all()))
        return Taken(places, places)

    counting = count if count_others else None
    running = RunningStarts(
        concurrency_limit(max_running, low, counting, clock, poll) if gate is None else limit_of(gate)
    )
    reports = Reports(ledger, queue.put)
    steps = StartSteps(backend, poller, clock, running, outage, reports, poll, on_conflict, settle, start_unknown_again)
    pipeline = Pipeline(steps, poller, running, reports, options)
    return Run(backend, feed, feed.all_given, ledger, steps, pipeline, queue, retry_failed, limit)


async def _failure_of(work: Awaitable[None]) -> Exception | None:
    """Await work that reads the caller's iterable. Return the error that the iterable raised."""
    try:
        await work
    except FATAL:
        raise
    except Exception as error:  # noqa: BLE001 - the iterable may raise anything, and running starts end first
        return error
    return None
