"""The part of an Opencast's workflow service that prepares tickets and runs batches."""

from collections.abc import Iterable, Mapping

from attrs import Factory, define, field

from workflow_async import batch, monitor
from workflow_async._core.call import ParameterValue
from workflow_async._core.transport import Transport
from workflow_async.batch.journals import Path
from workflow_async.batch.run import DEFAULT_MAX_RUNNING, run_batch
from workflow_async.batch.start_sender import StartSender
from workflow_async.batch.ticket_feed import TicketFeed
from workflow_async.batch.tickets import checked_ticket
from workflow_async.errors import PreparedStart
from workflow_async.monitor.service import MonitoringMixin
from workflow_async.monitor.waits import WaitOptions
from workflow_async.opencast.records import Workflow
from workflow_async.opencast.start_backend import OpencastStarts, Start
from workflow_async.settings import Poll, check_not_negative


@define(eq=False)
class StartService(MonitoringMixin[Workflow]):
    """The methods for tickets and batches."""

    _transport: Transport
    _starts: OpencastStarts = field(
        init=False, default=Factory(lambda self: OpencastStarts(StartSender(self._transport)), takes_self=True)
    )

    def prepare_start(
        self,
        event_id: str,
        definition_id: str,
        configuration: Mapping[str, ParameterValue] | None = None,
        *,
        key: str | None = None,
        baseline: int | None = None,
    ) -> batch.Ticket:
        """Return a start as a ticket, which can be stored before `start` sends it. No request is sent.

        Args:
            event_id: the event.
            definition_id: the definition.
            configuration: as for `start`.
            key: identifies this start within a batch. A digest of the other values if None.
            baseline: the highest id among the event's workflows, 0 if there are none. Without a baseline, `reconcile`
                can distinguish earlier workflows of the same definition only by their dates. `run_all` reads the
                baseline itself. The value is not checked, so read it just before you send the ticket: a workflow that
                another user starts in between would be taken for this start's. The list of Opencast <= 11 may lack the
                workflows of the last 10 s.

        Raises:
            InvalidArgument: a value cannot be sent.
        """
        return self._starts.make_ticket(event_id, definition_id, configuration, key=key, baseline=baseline)

    async def reconcile(self, ticket: PreparedStart, *, wait: float = 30.0) -> batch.ReconcileResult[Workflow]:
        """Search for the workflow of a ticket. Never start anything.

        `NoStartFound` does not mean "not started", because the server may still carry out a request that was sent.
        Opencast stores no correlation id. `StartFound` therefore rests on the event, the definition, and the ticket's
        baseline or date. Its `evidence` says which. Dates of the server are compared with this machine's clock at the
        time of the ticket.

        Up to Opencast 11 the search takes at least 12 s, because the list lags up to 10 s. The list has no date of
        creation. Without a baseline, only a workflow that began more than 60 s after the ticket is `StartFound` there,
        and most results are `Ambiguous`. From 12 on only administrators may read an event's workflows, and for other
        users most results are `Ambiguous`.

        Args:
            ticket: a ticket of `prepare_start` or of a `StartOutcomeUnknown`.
            wait: seconds to search. The search ends early if the start is found. Time in which checks fail does not
                count. Checks may fail for `wait` seconds in a row.

        Raises:
            CallError: the search failed.
            InvalidArgument: the ticket is for another system or server.

        Source: GET /api/workflows, GET /workflow/mediaPackage/{id}/instances.json. See tests/contract/opencast.md,
        sections 1.7 and 2.1.
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
        on_conflict: batch.OnConflict = "raise",
        journal: Path | batch.Journal | None = None,
        poll: Poll = Poll(),
        parked: monitor.WhenParked = "wait",
        settle: float = 30.0,
        start_unknown_again: bool = False,
        retry_failed: bool = False,
        limit: int | None = None,
    ) -> batch.Run[Workflow]:
        """Start many workflows, with a limit on how many run: `async with oc.workflows.run_all(…) as results: …`.

        Each start is sent at most once and has one `batch.Result`. A failed start does not affect other starts. A start
        that did not happen (no connection, 429) is sent again for `poll.outage` seconds.

        Before each start, a request reads the event's workflows, or the event if this user may not read them. While the
        request fails with a temporary error, nothing is sent. The batch checks again after `poll.interval`, or after
        the time that the server asks for. After `poll.outage` seconds of failures in a row the start is reported as
        `NotStarted`. If the server asks for a longer wait than that, the start is reported immediately.

        Up to Opencast 11 the server's own check for an active workflow lags up to 10 s, so the server accepts a second
        start on an event within that time. A batch keeps its own starts on one event 12 s apart there. Starts of other
        users are not kept apart, so do not rely on `Conflicted` within that time. For the same reason, a start whose
        response was lost is found there only on an event that never had a workflow. On other events the result is
        `OutcomeUnknown`.

        With a journal, a run of the same starts after a crash continues where the earlier run ended. It watches running
        workflows, reports ended workflows as `AlreadyDone`, sends starts that did not happen, and searches for starts
        that may have happened. A start that is not found is reported as `OutcomeUnknown` and not sent again.

        Args:
            starts: `opencast.Start` records or tickets. An iterator is read only as slots become free.
            max_running: how many of this batch's workflows may run on the server. A parked workflow counts while it is
                watched. A start that stays unknown, and a workflow that cannot be observed, do not count.
            low: after the limit is reached, start the next one when at most `low` are running. `max_running - 1` if
                None.
            count_others: count the running workflows of all users, from the list up to Opencast 11, later from the
                events in processing. The count is read every `poll.interval`, so other starts may come in between.
                While the count fails, nothing is started.
            gate: a gate of `workflows.gate`, in place of `max_running`, `low` and `count_others`. Several batches and
                single starts can share one. Each start takes one place.
            on_conflict: what to do about an event that has an active workflow. "raise" reports `Conflicted`, which has
                the `StartConflict`. The batch itself raises nothing. "skip" reports `Skipped`. "attach" watches the
                other workflow if it has the same definition and can be found as for `start`, and reports `Conflicted`
                otherwise. `tried` of its error says why. "wait" sends the start once the event has no active workflow.
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
            ListingNotSupported, Forbidden: while iterating, if `count_others` is True and the count is not possible.
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
            on_conflict=on_conflict,
            journal=journal,
            options=options,
            settle=settle,
            start_unknown_again=start_unknown_again,
            retry_failed=retry_failed,
            limit=limit,
        )
