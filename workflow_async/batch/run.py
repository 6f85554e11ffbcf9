"""`run_all`: hundreds of starts with never more than so many running, outcomes as they come."""

import os
from collections.abc import Awaitable, Iterable, Mapping
from types import TracebackType
from typing import Generic, Self, TypeVar

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup
from attrs import define, field

from workflow_async.batch.backend import StartBackend
from workflow_async.batch.concurrency import concurrency_limit
from workflow_async.batch.entries import StartStatus, StatusKind
from workflow_async.batch.ledger import Ledger
from workflow_async.batch.outage import Outage
from workflow_async.batch.pipeline import FATAL, OnConflict, Pipeline
from workflow_async.batch.reports import Reports, first_error
from workflow_async.batch.result_queue import ResultQueue
from workflow_async.batch.results import AlreadyDone, Rejected, Result, Skipped
from workflow_async.batch.ticket_feed import TicketFeed
from workflow_async.batch.tickets import Ticket
from workflow_async.errors import InvalidArgument
from workflow_async.monitor import Poller
from workflow_async.monitor.watch import WaitOptions
from workflow_async.phase import Workflow
from workflow_async.settings import check_not_negative

S = TypeVar("S")
W = TypeVar("W", bound=Workflow)

UNFINISHED = frozenset({StatusKind.INTENT, StatusKind.STARTED, StatusKind.CHANGE, StatusKind.LEFT, StatusKind.UNKNOWN})
"""What an earlier run leaves to go on with."""
Path = str | os.PathLike[str]

DUPLICATE_KEY = "the same key came before"


@define(eq=False)
class Run(Generic[W]):
    """A batch under way: `async with workflows.run_all(…) as outcomes: async for outcome in outcomes: …`.

    One `Result` comes for each start, as soon as there is one. Leaving the block leaves the workflows to the server;
    with a journal, another run of the same starts goes on from there.
    """

    _backend: StartBackend[W]
    _starts: Iterable[Ticket | Rejected]
    """The starts as tickets, and the results of those that cannot be sent."""
    _all_given: bool
    """Whether all starts are known before the first one is sent."""
    _ledger: Ledger
    _pipeline: Pipeline[W]
    _results: ResultQueue[Result[W]]
    _group: TaskGroup | None = field(default=None, init=False)
    _failure: Exception | None = field(default=None, init=False)
    _seen: set[str] = field(factory=set, init=False)
    """Keys that came in this run."""

    @property
    def items(self) -> Mapping[str, StartStatus]:
        """Where each start stands at this moment, by key; those of earlier runs included."""
        return self._ledger.items

    async def __aenter__(self) -> Self:
        """Open the journal and begin; raises `JournalError`."""
        await self._ledger.open(self._backend.system, self._backend.server)
        for item in self.items.values():
            if item.ticket is not None:
                self._pipeline.load(item, item.ticket)
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

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Result[W]:
        """The next result; raises what went wrong with the batch as a whole, such as with its journal."""
        result = await self._results.get()
        if result is not None:
            return result
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    async def _run(self) -> None:
        try:
            await self._run_starts()
        except Exception as error:  # noqa: BLE001 - raised where the results are taken, as what it is
            self._failure = first_error(error)
        finally:
            self._results.close()

    async def _run_starts(self) -> None:
        """Carry all starts to their results, then raise what ended the feeding of starts early."""
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
        await self._ledger.plan((), complete=True)

    async def _plan(self) -> None:
        """Write down every start before any is sent. An iterator does not tell its starts before it is asked for."""
        tickets: list[Ticket] = []
        for start in self._starts if self._all_given else ():
            await anyio.lowlevel.checkpoint()
            if isinstance(start, Ticket):
                tickets.append(start)
            else:
                await self._record_rejected(start)
        await self._ledger.plan(tickets, complete=self._all_given)

    async def _feed(self, group: TaskGroup, resumed: set[str]) -> None:
        """Give each start its place, one by one."""
        for start in self._starts:
            await anyio.lowlevel.checkpoint()
            fresh = await self._new_start(start, resumed)
            if fresh is not None and await self._pipeline.wait_for_place(fresh):
                group.start_soon(self._pipeline.start_and_watch, fresh)

    async def _new_start(self, ticket: Ticket | Rejected, resumed: set[str]) -> Ticket | None:
        """Return what to start, or None after telling why it is not to be started."""
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
        """What an earlier run already has to say of this start."""
        if ticket.key in self._seen:
            return Skipped(key=ticket.key, ticket=ticket, why=DUPLICATE_KEY)
        item = self.items.get(ticket.key)
        if item is None or item.ticket is None:
            return None
        if item.ticket.arguments != ticket.arguments:
            error = InvalidArgument("key", f"{ticket.key!r} is another start's in this journal")
            return Rejected(key=ticket.key, ticket=ticket, error=error)
        if ticket.key not in resumed and item.kind is StatusKind.ENDED and item.id is not None:
            return AlreadyDone(key=ticket.key, ticket=ticket, id=item.id, word=item.word)
        return None

    async def _record_rejected(self, refused: Rejected) -> None:
        """Write down a start that cannot be sent, unless its key is another's."""
        if refused.key not in self.items:
            await self._ledger.record(refused.key, StatusKind.NOT_STARTED, "refused", text=str(refused.error))


def run_batch(
    backend: StartBackend[W],
    poller: Poller[W],
    feed: TicketFeed[S],
    *,
    max_running: int,
    low: int | None,
    count_others: bool,
    on_conflict: OnConflict,
    journal: Path | None,
    options: WaitOptions[W],
    settle: float,
    start_unknown_again: bool,
) -> Run[W]:
    """A run, not yet begun; raises `InvalidArgument` for what makes no sense."""
    if on_conflict not in ("raise", "skip", "attach", "wait"):
        raise InvalidArgument("on_conflict", 'must be "raise", "skip", "attach" or "wait"')
    if not isinstance(journal, str | os.PathLike | None):
        raise InvalidArgument("journal", "must be a path, or None to keep none")
    check_not_negative("settle", settle)
    clock, poll = poller.clock, options.poll
    outage, book, told = Outage(clock, poll), Ledger(clock, journal), ResultQueue[Result[W]]()

    async def occupied() -> int:
        return await outage.retry(lambda: backend.count_running(tuple(places.running.values())))

    places = concurrency_limit(max_running, low, occupied if count_others else None, clock, poll)
    reports = Reports(book, told.put)
    batch = Pipeline(backend, poller, clock, places, outage, reports, options, on_conflict, settle, start_unknown_again)
    return Run(backend, feed, feed.all_given, book, batch, told)


async def _failure_of(work: Awaitable[None]) -> Exception | None:
    """Do something with the starts of the caller's iterable. Return the error that the iterable raised."""
    try:
        await work
    except FATAL:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the iterable raises; what runs goes on first
        return error
    return None
