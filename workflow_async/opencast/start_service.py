"""Starting at most once, and starting many: what `Workflows` of an Opencast can do besides single calls."""

from collections.abc import Iterable, Mapping

from attrs import Factory, define, field

from workflow_async import batch, monitor
from workflow_async._core.call import ParameterValue
from workflow_async._core.transport import Transport
from workflow_async.batch.run import Path, run_batch
from workflow_async.batch.start_sender import StartSender
from workflow_async.batch.ticket_feed import TicketFeed
from workflow_async.batch.tickets import checked_ticket
from workflow_async.errors import PreparedStart
from workflow_async.monitor.watch import WaitOptions
from workflow_async.opencast.records import Workflow
from workflow_async.opencast.start_backend import OpencastStarts, Start
from workflow_async.settings import Poll, check_not_negative


@define(eq=False)
class StartService(monitor.MonitoringMixin[Workflow]):
    """Tickets and batches."""

    _transport: Transport
    _starts: OpencastStarts = field(
        init=False, default=Factory(lambda self: OpencastStarts(StartSender(self._transport)), takes_self=True)
    )

    def prepare_start(
        self,
        event_id: str,
        definition_id: str,
        *,
        configuration: Mapping[str, ParameterValue] | None = None,
        key: str | None = None,
        baseline: int | None = None,
    ) -> batch.Ticket:
        """A start as a value to keep before `start` sends it; sends nothing itself, so it can be made anywhere.

        Args:
            event_id: the event.
            definition_id: the definition.
            configuration: as for `start`.
            key: tells this start from others; a digest of the rest if None.
            baseline: the highest id among the event's workflows, 0 if it has none: without it, `reconcile` can tell
                earlier workflows of the same definition only by their dates. `run_all` reads it by itself. It is taken
                as you say, so read it just before you send the ticket: a workflow that somebody else starts in between
                is taken for this start's. The list of Opencast <= 11 may leave out those of the last 10 s.

        Raises:
            InvalidArgument: for what cannot be sent.
        """
        return self._starts.make_ticket(event_id, definition_id, configuration, key=key, baseline=baseline)

    async def reconcile(self, ticket: PreparedStart, *, wait: float = 30.0) -> batch.ReconcileResult[Workflow]:
        """Look for what a ticket started; never starts anything.

        `NoStartFound` is not "not started": a request on its way may still be carried out. Opencast keeps no mark of
        ours,
        so `StartFound` rests on event, definition and the ticket's baseline or date: evidence, as it says, not proof.
        Dates are the server's, compared with this machine's clock at the time of the ticket.

        Up to Opencast 11 the list is searched for at least 12 s, because it lags up to 10. It tells no date of creation
        either, so that without a baseline only a workflow that began more than 60 s after the ticket is sure, and most
        are `Ambiguous`. From 12 on only administrators see an event's workflows, and others mostly get `Ambiguous`.

        Args:
            ticket: of `prepare_start`, or of a `StartOutcomeUnknown`.
            wait: seconds to search. The search ends early when the start is seen. Time in which checks fail does not
                count, and they may fail for as long in a row.

        Raises:
            CallError: it cannot be looked for.
            InvalidArgument: the ticket is of another system or server.

        Source: GET /api/workflows, GET /workflow/mediaPackage/{id}/instances.json; contract: opencast.md 1.7, 2.1.
        """
        check_not_negative("wait", wait)
        return await self._starts.reconcile(checked_ticket(ticket), wait=wait)

    def run_all(
        self,
        starts: Iterable[Start | batch.Ticket],
        *,
        max_running: int = 4,
        low: int | None = None,
        count_others: bool = False,
        on_conflict: batch.OnConflict = "raise",
        journal: Path | None = None,
        poll: Poll = Poll(),
        parked: monitor.WhenParked = "wait",
        settle: float = 30.0,
        start_unknown_again: bool = False,
    ) -> batch.Run[Workflow]:
        """Start many, never more than so many at once: `async with oc.workflows.run_all(…) as outcomes: async for …`.

        Each start is sent at most once, and has one `batch.Result`; a bad one never spoils the rest. What was surely
        not carried out (no connection, 429) is tried again for `poll.outage` seconds.

        Before each start a request reads which workflows the event has, or the event where this user may not. While it
        fails in a passing way, nothing is sent: the batch checks again after `poll.interval`, or what the server asks
        for. After `poll.outage` seconds of failures in a row the start is reported as `NotStarted`. A server that
        asks for a longer pause than that is reported at once.

        Up to Opencast 11 the server's own check for an active workflow is up to 10 s late, so it accepts a second start
        on an event within that time. Starts of one batch on the same event are kept 12 s apart there. Starts of others
        are not: do not rely on `Conflicted` within that time. For the same reason a start whose answer was lost is
        recognized there only on an event that never had a workflow, and is told as `OutcomeUnknown` elsewhere.


        With a journal, a run of the same starts after a crash continues where it was. It watches what runs, reports
        what ended as `AlreadyDone`, starts what was surely not started, and looks for what may have been started. If
        that stays unknown, it is reported as `OutcomeUnknown` and never sent again.

        Args:
            starts: `opencast.Start` records or tickets; taken one by one, as places get free.
            max_running: how many of ours run on the server at most. A parked one counts as long as it is watched; one
                whose start stays unknown, or that cannot be observed, no longer counts.
            low: start no more until this few are left; `max_running - 1` if None.
            count_others: count everybody's running workflows: by the list up to Opencast 11, later by the events that
                are processed. It looks every `poll.interval`, so others may get in between. While they cannot be
                counted, nothing is started.
            on_conflict: for an event that has an active workflow: "raise" tells it as `Conflicted`, with the
                `StartConflict`, and raises nothing out of the batch. "skip" tells `Skipped`. "attach" watches the
                other workflow if it is of the same definition and this user may see it, else tells `Conflicted`.
                "wait" starts once the event is free.
            journal: an SQLite file, made if there is none; needs the extra `[journal]`.
            poll: how often to look, and how long to endure an outage.
            parked: what to do about a workflow that needs a person: "wait", or leave it ("return", "raise").
            settle: seconds to search for a start whose outcome is unknown. Time in which checks fail does not count.
            start_unknown_again: send a start again, once, whose outcome is unknown after the search. It may then run
                twice. Starts that an earlier run of the journal left unknown are included.

        Raises:
            InvalidArgument: at once, for settings that make no sense.
            JournalError: on entering: in use, of another system or server, or no journal.
            ListingNotSupported, Forbidden: while iterating, with `count_others`, if they cannot be counted.
            Exception: while iterating, what `starts` itself raises, once all that was started has its result.
        """
        terms = WaitOptions[Workflow](poll=poll, parked=parked)
        return run_batch(
            self._starts,
            self.poller,
            TicketFeed(starts, self._starts.ticket),
            max_running=max_running,
            low=low,
            count_others=count_others,
            on_conflict=on_conflict,
            journal=journal,
            options=terms,
            settle=settle,
            start_unknown_again=start_unknown_again,
        )
