"""The part of a Preservica's workflow service that prepares tickets and runs batches."""

from collections.abc import Iterable, Mapping

from attrs import Factory, define, field

from workflow_async import batch, monitor
from workflow_async._core.call import ParameterValue
from workflow_async._core.transport import Transport
from workflow_async.batch.gate import new_gate
from workflow_async.batch.journals import Path
from workflow_async.batch.run import DEFAULT_MAX_RUNNING, run_batch
from workflow_async.batch.start_sender import StartSender
from workflow_async.batch.ticket_feed import TicketFeed
from workflow_async.batch.tickets import checked_ticket
from workflow_async.errors import PreparedStart
from workflow_async.monitor.service import MonitoringMixin
from workflow_async.monitor.waits import WaitOptions
from workflow_async.preservica.records import Context, Workflow
from workflow_async.preservica.start_backend import PreservicaStarts, Start
from workflow_async.settings import Poll, check_not_negative


@define(eq=False)
class StartService(MonitoringMixin[Workflow]):
    """The methods for tickets and batches."""

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
        """Return a start as a ticket, which can be stored before `start` sends it. No request is sent.

        Opencast stores no correlation id. Its tickets have a baseline instead.

        Args:
            context: what to start, as a `Context`, its id (a number), or its name.
            parameters: as for `start`.
            correlation_id: the id by which the workflow can be found later. A random id if None.
            key: identifies this start within a batch. A digest of context and parameters if None.

        Raises:
            InvalidArgument: a value cannot be sent.
        """
        return self._starts.make_ticket(context, parameters, correlation_id=correlation_id, key=key)

    async def reconcile(self, ticket: PreparedStart, *, wait: float = 30.0) -> batch.ReconcileResult[Workflow]:
        """Search for the workflow of a ticket by its correlation id. Never start anything.

        `NoStartFound` does not mean "not started", because the server may still carry out a request that was sent.
        If the server reports no correlation id for a workflow, the result is `Ambiguous`, never `StartFound`.

        Args:
            ticket: a ticket of `prepare_start` or of a `StartOutcomeUnknown`.
            wait: seconds to search. The search ends early if the start is found. Time in which checks fail does not
                count. Checks may fail for `wait` seconds in a row.

        Raises:
            CallError: the search failed.
            InvalidArgument: the ticket is for another system or server.

        Source: GET /sdb/rest/workflow/instances, CorrelationToken. See tests/contract/preservica.md, section 1.8.
        """
        check_not_negative("wait", wait)
        return await self._starts.reconcile(checked_ticket(ticket), wait=wait)

    def run_all(
        self,
        starts: Iterable[Start | batch.Ticket],
        *,
        max_running: int = DEFAULT_MAX_RUNNING,
        low: int | None = None,
        count_others: bool = False,
        gate: batch.Gate | None = None,
        journal: Path | batch.Journal | None = None,
        poll: Poll = Poll(),
        parked: monitor.WhenParked = "wait",
        settle: float = 30.0,
        start_unknown_again: bool = False,
        retry_failed: bool = False,
        limit: int | None = None,
    ) -> batch.Run[Workflow]:
        """Start many workflows, with a limit on how many run: `async with pv.workflows.run_all(…) as results: …`.

        Starts on Preservica do not conflict, so there is no `on_conflict` as on Opencast.

        Each start is sent at most once and has one `batch.Result`. A failed start does not affect other starts. A start
        that did not happen (no connection, 429) is sent again for `poll.outage` seconds.

        Before each start, one request checks that the server responds. While the request fails with a temporary error,
        nothing is sent. The batch checks again after `poll.interval`, or after the time that the server asks for. After
        `poll.outage` seconds of failures in a row the start is reported as `NotStarted`. If the server asks for a
        longer wait than that, the start is reported immediately.

        With a journal, a run of the same starts after a crash continues where the earlier run ended. It watches running
        workflows, reports ended workflows as `AlreadyDone`, sends starts that did not happen, and searches for starts
        that may have happened. A start that is not found is reported as `OutcomeUnknown` and not sent again.

        Args:
            starts: `preservica.Start` records or tickets. An iterator is read only as slots become free.
            max_running: how many of this batch's workflows may run on the server. A parked workflow counts while it is
                watched. A start that stays unknown, and a workflow that cannot be observed, do not count.
            low: after the limit is reached, start the next one when at most `low` are running. `max_running - 1` if
                None.
            count_others: count the active and pending workflows of all users, by the total of the list. The count is
                read every `poll.interval`, so other starts may come in between. While the count fails, nothing is
                started.
            gate: a gate of `workflows.gate`, in place of `max_running`, `low` and `count_others`. Several batches and
                single starts can share one. Each start takes one place.
            journal: the path of an SQLite file, which is made if it does not exist (extra `[journal]`), or a
                `batch.Journal`, such as a `NatsJournal`.
            poll: how often to check, and how long to wait in an outage.
            parked: what to do about a workflow that needs a person: "wait", or leave it ("return", "raise").
            settle: seconds to search for a start of unknown outcome. Time in which checks fail does not count.
            start_unknown_again: send a start once more if its outcome is unknown after the search. It may then run
                twice. This includes starts that an earlier run of the journal left unknown.
            retry_failed: start workflows again that ended in FAILED in an earlier run of the journal.
            limit: start at most this many. The others are written into the journal, have no result, and are started by
                another run. None for all.

        Raises:
            InvalidArgument: immediately, for settings that make no sense.
            JournalError: on entering, if the journal is in use, damaged, of another system or server, or not a journal.
                While iterating, if the journal cannot be written.
            Exception: while iterating, an error that `starts` itself raises, after all sent starts have their results.
        """
        options = WaitOptions[Workflow](poll=poll, parked=parked)
        return run_batch(
            self._starts,
            self._poller,
            TicketFeed(starts, self._starts.ticket),
            max_running=max_running,
            low=low,
            count_others=count_others,
            gate=gate,
            on_conflict="raise",
            journal=journal,
            options=options,
            settle=settle,
            start_unknown_again=start_unknown_again,
            retry_failed=retry_failed,
            limit=limit,
        )

    def gate(
        self, *, max_running: int, low: int | None = None, count_others: bool = True, poll: Poll = Poll()
    ) -> batch.Gate:
        """Limit how many workflows run: `gate = pv.workflows.gate(max_running=10)`, `async with gate.slot(): …`.

        A slot takes its places when the block is entered and frees them when the block is left, also by an exception.
        Start the workflow in the block. Wait there for its end if the slot should be held until then. Otherwise the
        workflow counts by the server's number only. Slots are given in the order in which they are entered, and a
        cancelled wait leaves the queue. Use one gate for all starts that share a limit.

        The server's number counts the workflows of all users that are active or pending. It is read before each slot,
        and every `poll.interval` while a slot waits. Each slot counts in addition for 5 seconds, because the number
        may not include its workflow yet. Near the limit a slot can therefore wait up to 5 seconds longer than needed.
        Workflows of other users can start between a count and a start. While the number cannot be read because of an
        outage, nothing is let through, for at most `poll.outage` seconds.

        Args:
            max_running: the number of places. A running workflow takes one, and a slot takes its weight.
            low: after a slot did not fit, the next one is let through when at most `low` places are taken.
                `max_running - 1` if None.
            count_others: count the workflows on the server. False counts the slots of this gate only, without a
                request.
            poll: how often to count, and how long to wait in an outage.

        Raises:
            InvalidArgument: immediately, for values that make no sense.
            CallError: while a slot is entered, if the count failed for longer than `poll.outage` or was refused.
            DecodeError: while a slot is entered, if the server returned no total.

        Source: GET /sdb/rest/workflow/instances. See tests/contract/preservica.md, sections 1.2 and 5.
        """
        counting = self._starts.count_active if count_others else None
        return new_gate(max_running, low, counting, lambda: 0.0, self._transport.clock, poll)
