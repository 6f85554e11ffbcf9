"""Starting at most once, and starting many: what `Workflows` of a Preservica can do besides single calls."""

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
from workflow_async.preservica.records import Context, Workflow
from workflow_async.preservica.start_backend import PreservicaStarts, Start
from workflow_async.settings import Poll, check_not_negative


@define(eq=False)
class StartService(monitor.MonitoringMixin[Workflow]):
    """Tickets and batches."""

    _transport: Transport
    _starts: PreservicaStarts = field(
        init=False, default=Factory(lambda self: PreservicaStarts(StartSender(self._transport)), takes_self=True)
    )

    def prepare_start(
        self,
        context: Context | int | str,
        parameters: Mapping[str, ParameterValue] | None = None,
        *,
        correlation_id: str | None = None,
        key: str | None = None,
    ) -> batch.Ticket:
        """A start as a value to keep before `start` sends it; sends nothing itself, so it can be made anywhere.

        Args:
            context: what to start: a `Context`, its id (a number), or its name.
            parameters: as for `start`.
            correlation_id: a mark by which the workflow can be recognized; a random one if None.
            key: tells this start from others; a digest of context and parameters if None.

        Raises:
            InvalidArgument: for what cannot be sent.
        """
        return self._starts.make_ticket(context, parameters, correlation_id=correlation_id, key=key)

    async def reconcile(self, ticket: PreparedStart, *, wait: float = 30.0) -> batch.ReconcileResult[Workflow]:
        """Look for what a ticket started, by its correlation id; never starts anything.

        `NoStartFound` is not "not started": a request on its way may still be carried out. Workflows of which the
        server
        does not tell the correlation id make it `Ambiguous`, never `StartFound`.

        Args:
            ticket: of `prepare_start`, or of a `StartOutcomeUnknown`.
            wait: seconds to search. The search ends early when the start is seen. Time in which checks fail does not
                count, and they may fail for as long in a row.

        Raises:
            CallError: it cannot be looked for.
            InvalidArgument: the ticket is of another system or server.

        Source: GET /sdb/rest/workflow/instances, CorrelationToken; contract: preservica.md 1.8.
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
        journal: Path | None = None,
        poll: Poll = Poll(),
        parked: monitor.WhenParked = "wait",
        settle: float = 30.0,
        start_unknown_again: bool = False,
    ) -> batch.Run[Workflow]:
        """Start many, never more than so many at once: `async with pv.workflows.run_all(…) as outcomes: async for …`.

        Each start is sent at most once, and has one `batch.Result`; a bad one never spoils the rest. What was surely
        not carried out (no connection, 429) is tried again for `poll.outage` seconds.

        Before each start one request checks that the server answers. While it does not, nothing is sent: the batch
        checks again after `poll.interval`, or what the server asks for, and after `poll.outage` seconds of failures in
        a row tells the start as `NotStarted`. A server that asks for a longer pause than that is told at once.

        With a journal, a run of the same starts after a crash continues where it was. It watches what runs, reports
        what ended as `AlreadyDone`, starts what was surely not started, and looks for what may have been started. If
        that stays unknown, it is reported as `OutcomeUnknown` and never sent again.

        Args:
            starts: `preservica.Start` records or tickets; taken one by one, as places get free.
            max_running: how many of ours run on the server at most. A parked one counts as long as it is watched; one
                whose start stays unknown, or that cannot be observed, no longer counts.
            low: start no more until this few are left; `max_running - 1` if None.
            count_others: count everybody's active and pending workflows, by the total of their list. It looks every
                `poll.interval`, so others may get in between. While they cannot be counted, nothing is started.
            journal: an SQLite file, made if there is none; needs the extra `[journal]`.
            poll: how often to look, and how long to endure an outage.
            parked: what to do about a workflow that needs a person: "wait", or leave it ("return", "raise").
            settle: seconds to search for a start whose outcome is unknown. Time in which checks fail does not count.
            start_unknown_again: send a start again, once, whose outcome is unknown after the search. It may then run
                twice. Starts that an earlier run of the journal left unknown are included.

        Raises:
            InvalidArgument: at once, for settings that make no sense.
            JournalError: on entering: in use, of another system or server, or no journal.
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
            on_conflict="raise",
            journal=journal,
            options=terms,
            settle=settle,
            start_unknown_again=start_unknown_again,
        )
