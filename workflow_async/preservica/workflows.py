"""Workflows of a Preservica: list, get, start, terminate, retry, wait."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Unpack, cast

from attrs import define, evolve

from workflow_async import monitor
from workflow_async._core.call import OnUnreadable, ParameterValue, parse_id
from workflow_async._listing.listing import Listing
from workflow_async._listing.options import ListOptions
from workflow_async._listing.scan import MAX_AHEAD, Consistency
from workflow_async.batch import Ticket
from workflow_async.errors import CallError, InvalidArgument, PartialFailure
from workflow_async.monitor.watch import WaitOptions, wait
from workflow_async.preservica import calls
from workflow_async.preservica.filters import WorkflowFilters
from workflow_async.preservica.monitor_source import ACTIVE
from workflow_async.preservica.query import WorkflowQuery
from workflow_async.preservica.records import AcceptedCounts, Context, Started, Workflow
from workflow_async.preservica.scans import workflow_listing
from workflow_async.preservica.start_service import StartService
from workflow_async.settings import Poll, positive_seconds, whole_number

log = logging.getLogger("workflow_async")


@define(eq=False)
class Workflows(StartService):
    """`client.workflows`; see `PreservicaClient`."""

    def list(
        self,
        *,
        newest_first: bool = True,
        limit: int | None = None,
        page_size: int = 100,
        consistency: Consistency = "fast",
        ahead: int = MAX_AHEAD,
        unreadable: OnUnreadable = "raise",
        **filters: Unpack[WorkflowFilters],
    ) -> Listing[Workflow]:
        """List workflows, some pages at once as they are needed: the first alone, then as many as the server says.

        What is given while the list changes depends on `consistency`; a row that comes twice is given once in each.

        - `fast`: no request more than there are pages. Without `state` no row leaves the list, so none is missed; with
          `state`, a workflow that leaves that state moves the later rows up, and some can be missed.
        - `anchored`: each page begins within the one before, or the listing steps back: every workflow that is there
          throughout is given, as long as those that stay keep their order. Nobody has written down whether Preservica
          keeps it. Costs about a twentieth more requests, and one for each step back.
        - `partitioned`: window after window of the start, each in one answer: every workflow that is there throughout
          is given, wherever rows move, in no order. One without a start is given only if all fits into one page. If
          the windows hold fewer rows than the list, it raises. Costs 2.5 to 6 times the requests, and, without
          `since`, some thirty to find where in time the list lies. Where more workflows than `page_size` started within
          a minute, larger pages are asked for.

        Both latter leave `state` out of the query and compare here, whatever state a row was in: they read the list of
        all states. What a pass did is in `report` of the listing.

        Args:
            newest_first: the latest started first.
            limit: rows at most; None is all of them.
            page_size: rows a request asks for; the server may give fewer.
            consistency: see above.
            ahead: pages that are asked for at once, and held, at most.
            unreadable: what to do about rows without a readable id or state: "raise" one `DecodeError` for all of them
                after the other rows, or "skip" them. `report.unreadable` of the listing holds them in both cases.
            **filters: see `WorkflowFilters`. Without `state` workflows of every state are listed.

        Raises:
            InvalidArgument: at once, for a word the server does not know, a comma, or a naive datetime.
            ListingInconsistent: while iterating, when going on would not end, or lose rows.

        Source: GET /sdb/rest/workflow/instances; contract: preservica.md 1.2, 5.
        """
        return workflow_listing(
            self._transport.send,
            ListOptions(consistency=consistency, size=page_size, ahead=ahead),
            WorkflowQuery.of(**filters),
            newest_first=newest_first,
            limit=limit,
            unreadable=unreadable,
        )

    async def get(self, workflow_id: int | str) -> Workflow:
        """Get one workflow as it stands, with what the server says of its errors in `extra`.

        Raises:
            NotFound: no such workflow; servers may say it in another way.
            ResponseMismatch: the answer is about another workflow.

        Source: GET /sdb/rest/workflow/instances/{id}; contract: preservica.md 1.3.
        """
        return await self._transport.send(calls.get_workflow(parse_id("workflow_id", workflow_id)))

    async def start(
        self,
        context: Context | int | str | Ticket,
        parameters: Mapping[str, ParameterValue] | None = None,
        *,
        correlation_id: str | None = None,
        timeout: float | None = None,
    ) -> Started:
        """Start a workflow, or what a ticket says; sent once, on a connection of its own, and never again.

        A ticket of `prepare_start` can be stored before it is sent; sent twice, it starts twice.

        Args:
            context: what to start: a `Context`, its id (a number), its name, or a ticket, with nothing besides.
            parameters: for this workflow, sent as texts (True as "true").
            correlation_id: a mark of yours by which the workflow can be recognized; a random one if None.
            timeout: seconds for the whole call, the wait for a connection and a login included. `Timeouts.call` if
                None. `Timeouts.exchange` does not limit a start.

        Raises:
            StartRejected: the server refused it, so it was not started; `status` says why. A 404 is a `NotFound` too,
                a 403 a `Forbidden`, and so on.
            NotSent: it did not even reach the server. With `at_login`, any error says that.
            StartOutcomeUnknown: it may have been started; `reconcile(error.ticket)` looks for it.
            InvalidArgument: for what cannot be sent, for a ticket of another system or server, and for a `timeout` that
                is not above 0.

        Source: POST /sdb/rest/workflow/instances; contract: preservica.md 1.4, 1.8.
        """
        positive_seconds("timeout", timeout)
        ticket = self._starts.from_arguments(context, parameters, correlation_id)
        started = await self._starts.send(ticket, timeout=timeout)
        if started.id is not None:
            self.poller.note_existing(started.id, started.workflow)
        return started

    async def terminate(self, *workflow_ids: int | str) -> None:
        """Ask for workflows to end; sent once. They are `ABORTED` a little later: `wait` for it.

        Raises:
            PartialFailure: the server says that it will not end all of them.
            TransportError, ServerError: it may have been accepted; look at the workflows.

        Source: POST /sdb/rest/workflow/instances/terminate; contract: preservica.md 1.5.
        """
        counts = await self._transport.send(calls.terminate_workflows(workflow_ids))
        _raise_if_partial("terminate", counts)

    async def retry(self, *workflow_ids: int | str) -> int:
        """Let failed or suspended workflows try again; sent once. Returns how many do.

        Raises:
            PartialFailure: some of them cannot be tried again; the others are.
            TransportError, ServerError: it may have been accepted; look at the workflows.

        Source: POST /sdb/rest/workflow/instances/retry; contract: preservica.md 1.6.
        """
        counts = await self._transport.send(calls.retry_workflows(workflow_ids))
        _raise_if_partial("retry", counts)
        return counts.successful

    async def start_and_wait(
        self,
        context: Context | int | str,
        parameters: Mapping[str, ParameterValue] | None = None,
        *,
        correlation_id: str | None = None,
        timeout: float | None = None,
        poll: Poll = Poll(),
        parked: monitor.WhenParked = "wait",
        check: bool = False,
    ) -> Workflow:
        """Start a workflow and wait for its end: `start`, then `wait`, with what either raises.

        Args: as for `start` and `wait`; the deadline counts from the start's answer.

        Raises:
            StartOutcomeUnknown: also where the server's answer names no id to wait for.
        """
        options = WaitOptions[Workflow](timeout=timeout, poll=poll, parked=parked)
        ticket = self.prepare_start(context, parameters, correlation_id=correlation_id)
        workflow_id = await self._starts.send_for_id(ticket)
        self.poller.note_existing(workflow_id)
        return await wait(self.poller, workflow_id, options, check=check)

    def watch(
        self,
        workflow_ids: Iterable[int | str] | None = None,
        *,
        poll: Poll = Poll(),
        stalled_after: float | timedelta | None = None,
        retry_stalled: int = 0,
        **filters: Unpack[WorkflowFilters],
    ) -> monitor.Watch[Workflow]:
        """Watch workflows change: `async with pv.workflows.watch(ids) as changes: async for change in changes: …`.

        Args:
            workflow_ids: whom to watch; more can be added, and some dropped, while watching.
            poll: how often to look.
            stalled_after: tell a step in which nothing changes (`Stalled`): for longer than a timedelta, or for this
                many times its usual length, which is known once three of its kind have ended.
            retry_stalled: have the server retry a stalled workflow before it is told, this many times at most;
                `Stalled.remedied` says whether it did.
            **filters: instead of ids, all active workflows that match, including those that appear later. With `state`
                those in one of these states. See `WorkflowFilters`.

        Raises:
            InvalidArgument: at once, for neither or both of ids and filter, or for what cannot be sent.
        """
        whole_number("retry_stalled", retry_stalled, least=0)
        given = _given_filters(filters)
        if (workflow_ids is None) == (not given):
            raise InvalidArgument("workflow_ids", "must be given, or filters in their place, but not both")
        active: WorkflowFilters = {"state": ACTIVE, **given}
        listing = self.list(newest_first=False, ahead=1, unreadable="skip", **active)
        return monitor.watching(
            self.poller,
            workflow_ids,
            (lambda: listing) if given else None,
            poll=poll,
            operations=False,
            stalled_after=stalled_after,
            remedy=self._retry_hook(retry_stalled) if retry_stalled else None,
        )

    def _retry_hook(self, limit: int) -> monitor.EventHook[Workflow]:
        """Retry what has stalled, so many times a workflow; one that the server refuses stays as it is."""
        attempts: Counter[int] = Counter()

        async def hook(event: monitor.WatchEvent[Workflow]) -> monitor.WatchEvent[Workflow]:
            if not isinstance(event, monitor.Stalled) or attempts[event.id] >= limit:
                return event
            attempts[event.id] += 1
            try:
                await self.retry(event.id)
            except (CallError, PartialFailure) as error:
                log.warning("workflow %s has stalled and could not be retried: %s", event.id, error)
                return event
            return evolve(event, remedied=True)

        return hook


def _given_filters(filters: WorkflowFilters) -> WorkflowFilters:
    """Return the filters that are not None."""
    return cast("WorkflowFilters", {name: value for name, value in filters.items() if value is not None})


def _raise_if_partial(action: str, counts: AcceptedCounts) -> None:
    """Raise `PartialFailure` where the server took only some of what was asked."""
    if counts.failed:
        raise PartialFailure(action, counts.successful, counts.failed)
