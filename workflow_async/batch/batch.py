"""The starts of a batch that are under way: each from its intent to its outcome."""

from collections.abc import Callable
from typing import Generic, Literal, TypeVar

from attrs import define, field

from workflow_async import monitor
from workflow_async._call import Replay
from workflow_async._retry import may_have_happened, retryable
from workflow_async.batch.book import Book
from workflow_async.batch.entries import Item, Kind
from workflow_async.batch.gate import Gate
from workflow_async.batch.results import Conflicted, NotSent, Ran, Refused, Result, Skipped, Unknown
from workflow_async.batch.starter import Starter
from workflow_async.batch.tickets import Ticket
from workflow_async.batch.verdicts import Started
from workflow_async.errors import CallError, InvalidArgument, StartConflict, StartOutcomeUnknown, TransportError
from workflow_async.monitor.watch import Terms, wait
from workflow_async.phase import Workflow

W = TypeVar("W", bound=Workflow)

OnConflict = Literal["raise", "skip", "attach", "wait"]
"""What to do about an event that has an active workflow."""
BUSY = "another workflow is active on the event"


@define(eq=False)
class Batch(Generic[W]):
    """What every start of one run shares."""

    starter: Starter[W]
    poller: monitor.Poller[W]
    book: Book
    gate: Gate
    terms: Terms[W]
    on_conflict: OnConflict
    settle: float
    """Seconds to look for a start whose fate is unknown."""
    tell: Callable[[Result[W]], None]
    running: dict[str, tuple[Ticket, int | None]] = field(factory=dict)
    """Those that have a place: the ticket, and the id once it is known."""

    async def resume(self, item: Item, ticket: Ticket) -> None:
        """Go on with a start of an earlier run: watch what was started, look for what may have been."""
        try:
            id = item.id if item.id is not None else await self._sought(ticket, None)
            await self._to_its_end(ticket, id)
        finally:
            self._leave(ticket)

    async def carry(self, ticket: Ticket) -> None:
        """Start what has been given a place, and watch it to its end."""
        try:
            await self._to_its_end(ticket, await self._started(ticket))
        finally:
            self._leave(ticket)

    def _leave(self, ticket: Ticket) -> None:
        if self.running.pop(ticket.key, None) is not None:
            self.gate.leave()

    # The start

    async def _started(self, ticket: Ticket) -> int | None:
        """The id of what was started; None if nothing was, or nobody knows, which has been told then."""
        failing_since: float | None = None
        while True:
            ticket = await self.starter.renewed(ticket)
            await self.book.note(ticket.key, Kind.INTENT, "intended", text=ticket.to_json())
            try:
                id = await self.starter.begin(ticket)
            except StartOutcomeUnknown as error:
                return await self._sought(ticket, error)
            except StartConflict as error:
                if self.on_conflict != "wait":
                    return await self._conflict(ticket, error)
                await self._freed(ticket)
            except (CallError, InvalidArgument) as error:
                failing_since = self.book.clock.now() if failing_since is None else failing_since
                if not await self._again(ticket, error, failing_since):
                    return None
            else:
                await self.book.note(ticket.key, Kind.STARTED, "started", id=id)
                return id

    async def _again(self, ticket: Ticket, error: CallError | InvalidArgument, since: float) -> bool:
        """Whether to send it again, after a pause: it was surely not started, and sending it later may help."""
        poll, clock = self.terms.poll, self.book.clock
        sent = not isinstance(error, TransportError) or may_have_happened(error)
        await self.book.note(ticket.key, Kind.NOT_STARTED, "refused" if sent else "not sent", text=str(error))
        if isinstance(error, CallError) and retryable(error, Replay.SAFE) and clock.now() - since < poll.outage:
            await clock.sleep(max(poll.interval, error.retry_after or 0.0))
            return True
        if isinstance(error, TransportError):
            self.tell(NotSent(key=ticket.key, ticket=ticket, error=error))
        else:
            self.tell(Refused(key=ticket.key, ticket=ticket, error=error))
        return False

    async def _sought(self, ticket: Ticket, error: StartOutcomeUnknown | None) -> int | None:
        """The id of what a start of unknown fate has started; None if that stays unknown, which is told then."""
        failure: StartOutcomeUnknown | CallError | None = error
        verdict = None
        if error is not None:
            await self.book.note(ticket.key, Kind.UNKNOWN, "unknown", text=str(error))
        try:
            verdict = await self.starter.reconcile(ticket, wait=self.settle)
        except CallError as unlooked:
            failure = unlooked
        if isinstance(verdict, Started):
            await self.book.note(ticket.key, Kind.STARTED, "started", id=verdict.workflow.id, text=verdict.evidence)
            return verdict.workflow.id
        unknown = Unknown(key=ticket.key, ticket=ticket, verdict=verdict, error=failure)
        await self.book.note(ticket.key, Kind.UNKNOWN, "unknown", text=unknown.why)
        self.tell(unknown)
        return None

    # Conflicts

    async def _conflict(self, ticket: Ticket, error: StartConflict) -> int | None:
        other = await self._other(ticket, alike=True) if self.on_conflict == "attach" else None
        if other is not None:
            await self.book.note(ticket.key, Kind.STARTED, "attached", id=other.id, text="it was running already")
            return other.id
        skipped = self.on_conflict == "skip"
        await self.book.note(ticket.key, Kind.NOT_STARTED, "skipped" if skipped else "conflict", text=str(error))
        if skipped:
            self.tell(Skipped(key=ticket.key, ticket=ticket, why=BUSY))
        else:
            self.tell(Conflicted(key=ticket.key, ticket=ticket, error=error))
        return None

    async def _other(self, ticket: Ticket, *, alike: bool) -> W | None:
        try:
            return await self.starter.active(ticket, alike=alike)
        except CallError:
            return None

    async def _freed(self, ticket: Ticket) -> None:
        """Wait until the event seems free, without a place, and take one again."""
        await self.book.note(ticket.key, Kind.NOT_STARTED, "waiting", text=BUSY)
        self._leave(ticket)
        poll = self.terms.poll
        other = await self._other(ticket, alike=False)
        if other is not None:
            await self._gone(other.id)
        await self.book.clock.sleep(poll.interval if other is not None else poll.ceiling)
        await self.gate.enter()
        self.running[ticket.key] = (ticket, None)

    async def _gone(self, id: int) -> None:
        """Wait for the end of somebody else's workflow, or until it cannot be observed."""
        try:
            await wait(self.poller, id, Terms[W](poll=self.terms.poll), check=False)
        except CallError:
            return

    # The end

    async def _to_its_end(self, ticket: Ticket, id: int | None) -> None:
        """Watch what was started, if it was, until it has an outcome."""
        if id is None:
            return
        self.running[ticket.key] = (ticket, id)
        outcome = await self._outcome(ticket.key, id)
        kind = Kind.ENDED if isinstance(outcome, monitor.Finished | monitor.Vanished) else Kind.LEFT
        await self.book.note(ticket.key, kind, word(outcome), id=id, text=trouble(outcome))
        self.tell(Ran(key=ticket.key, ticket=ticket, outcome=outcome))

    async def _outcome(self, key: str, id: int) -> monitor.Outcome[W]:
        async with monitor.watching(
            self.poller, [id], None, poll=self.terms.poll, operations=False, stalled_after=None
        ) as events:
            async for event in events:
                if isinstance(event, monitor.Change):
                    await self.book.note(key, Kind.CHANGE, event.now.value, id=id, text=event.workflow.state_text)
                outcome = self.terms.outcome(event)
                if outcome is not None:
                    return outcome
        return monitor.TimedOut(id=id)  # a watch without a deadline ends with an outcome


def word(outcome: monitor.Outcome[W]) -> str:
    """An outcome in a word: a phase's, `vanished` or `unobserved`."""
    if isinstance(outcome, monitor.Finished | monitor.Parked | monitor.Reached):
        return str(outcome.workflow.phase.value)
    return "vanished" if isinstance(outcome, monitor.Vanished) else "unobserved"


def trouble(outcome: monitor.Outcome[W]) -> str:
    """Why an outcome is none of the workflow's own."""
    return str(outcome.error) if isinstance(outcome, monitor.Vanished | monitor.Unobserved) else ""
