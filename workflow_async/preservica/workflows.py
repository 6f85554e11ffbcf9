"""Lists, gets, starts, ends, retries, watches and waits for the workflows of a Preservica."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Unpack, cast

from attrs import define, evolve

from workflow_async import monitor
from workflow_async._core.call import OnUnreadable, ParameterValue, parse_id
from workflow_async._decode.raw import with_raw
from workflow_async._listing.listing import Listing
from workflow_async._listing.options import ListOptions
from workflow_async._listing.scan import MAX_AHEAD, Consistency
from workflow_async.batch import Ticket
from workflow_async.errors import CallError, InvalidArgument, PartialFailure
from workflow_async.monitor.waits import WaitOptions, wait
from workflow_async.monitor.watch import watching
from workflow_async.observe.events import RemedyFailed
from workflow_async.preservica import calls
from workflow_async.preservica.active_list import ACTIVE
from workflow_async.preservica.filters import WorkflowFilters
from workflow_async.preservica.query import WorkflowQuery
from workflow_async.preservica.records import AcceptedCounts, Context, Started, Workflow
from workflow_async.preservica.scans import workflow_listing
from workflow_async.preservica.start_service import StartService
from workflow_async.settings import Poll, check_int, check_timeout


@define(eq=False)
class Workflows(StartService):
    """The workflows of a Preservica, as `client.workflows`."""

    def list(
        self,
        *,
        newest_first: bool = True,
        limit: int | None = None,
        offset: int = 0,
        page_size: int = 100,
        consistency: Consistency = "fast",
        ahead: int = MAX_AHEAD,
        with_errors: bool = False,
        with_active_steps: bool = False,
        with_step_inputs: bool = False,
        with_start_inputs: bool = False,
        with_outputs: bool = False,
        unreadable: OnUnreadable = "raise",
        resume: str | None = None,
        keep_raw: bool = False,
        **filters: Unpack[WorkflowFilters],
    ) -> Listing[Workflow]:
        """List workflows, page by page.

        The first page is requested alone. Further pages are requested concurrently, up to the server's total.

        `consistency` decides what is returned while the list changes. A row on two pages is always returned once.

        - `fast`: one request for each page. Without `state` no row leaves the list, so none is missed. With `state`, a
          workflow that leaves that state moves the later rows up, and some of them can be missed.
        - `anchored`: each page overlaps the one before, or the listing steps back. Every workflow that is listed
          throughout is returned if the rows that stay keep their order. It is not documented whether Preservica keeps
          it. Costs about 5 % more requests, and one request for each step back.
        - `partitioned`: one window of start times after the other, each in one response. Every workflow that is listed
          throughout is returned, in no order, wherever rows move. A workflow without a start time is returned only if
          all rows fit into one page. If the windows hold fewer rows than the list, an error is raised. Costs 2.5 to 6
          times the requests, and without `since` about 30 requests to find the times of the list. Where more workflows
          than `page_size` started within a minute, larger pages are requested.

        `anchored` and `partitioned` do not send `state`. They read the list of all states and compare each row here.
        `report` of the listing says what was done.

        Args:
            newest_first: order by start time, the latest first. Opencast has `sort` instead, because it can order by
                other keys too.
            limit: the maximum number of rows. All rows if None.
            offset: the number of rows to skip at the beginning.
            page_size: the number of rows that a request asks for. The server may return fewer.
            consistency: see above.
            ahead: the maximum number of pages that are requested concurrently and held.
            with_errors: request what the server says about errors. `extra` holds it as a tree, because the elements are
                not documented. The same holds for the other blocks. A server may not know all of them.
            with_active_steps: request the steps that are active.
            with_step_inputs: request the inputs of the steps.
            with_start_inputs: request the parameters of the start.
            with_outputs: request the outputs.
            unreadable: what to do about rows without a readable id or state. "raise" raises one `DecodeError` for all
                of them after the other rows. "skip" leaves them out. `report.unreadable` of the listing holds them in
                both cases.
            resume: the `resume_point` of an earlier listing with the same filters, order and consistency. The listing
                continues after the last row that was yielded. `limit` counts from there. Not for `partitioned`.
            keep_raw: fill `raw` of each record with what the server sent. Reading takes twice the time.
            **filters: see `WorkflowFilters`. Without `state`, workflows in every state are listed.

        Raises:
            InvalidArgument: immediately, for a word that the server does not know, a comma, or a naive datetime, for
                `offset` with `anchored`, `partitioned` or `resume`, and if `resume` is a point of another listing.
            ListingInconsistent: while iterating, if continuing would not end or would lose rows.

        Source: GET /sdb/rest/workflow/instances. See tests/contract/preservica.md, sections 1.2 and 5.
        """
        return workflow_listing(
            self._transport.send,
            self._poller.source.server_key,
            ListOptions(consistency=consistency, page_size=page_size, ahead=ahead),
            WorkflowQuery.of(**filters),
            newest_first=newest_first,
            include=calls.including(
                errors=with_errors,
                active_steps=with_active_steps,
                step_inputs=with_step_inputs,
                start_inputs=with_start_inputs,
                outputs=with_outputs,
            ),
            limit=limit,
            offset=offset,
            unreadable=unreadable,
            resume=resume,
            keep_raw=keep_raw,
        )

    async def count(self, **filters: Unpack[WorkflowFilters]) -> int:
        """Count the workflows that match all filters. All workflows in every state without a filter.

        It costs one request, for one row and the server's total. Opencast counts by three filters only.

        Args:
            **filters: the same as those of `list`. See `WorkflowFilters`.

        Raises:
            InvalidArgument: immediately, as `list` does.
            DecodeError: the server returned no total. Its message names `/TotalCount`.

        Source: GET /sdb/rest/workflow/instances. See tests/contract/preservica.md, sections 1.2 and 5.
        """
        return await self._transport.send(calls.count_workflows(WorkflowQuery.of(**filters).on_the_wire()))

    async def get(self, workflow_id: int | str, *, keep_raw: bool = False) -> Workflow:
        """Get the current record of one workflow. `extra` holds what the server says about its errors.

        Unlike `get` of Opencast it has no flags for parts of the record, because the errors come with every response.

        Args:
            workflow_id: the workflow.
            keep_raw: fill `raw` with the XML that the server sent.

        Raises:
            NotFound: there is no such workflow. Servers may say so in another way.
            ResponseMismatch: the response is about another workflow.

        Source: GET /sdb/rest/workflow/instances/{id}. See tests/contract/preservica.md, section 1.3.
        """
        call = calls.get_workflow(parse_id("workflow_id", workflow_id))
        return await self._transport.send(with_raw(call, bytes) if keep_raw else call)

    async def start(
        self,
        context: Context | int | str | Ticket,
        parameters: Mapping[str, ParameterValue] | None = None,
        *,
        correlation_id: str | None = None,
        timeout: float | None = None,
    ) -> Started:
        """Start a workflow, or send a ticket. The request is sent once and never retried.

        It uses a new connection. A ticket of `prepare_start` can be stored before it is sent. A ticket that is sent
        twice starts two workflows.

        Returns a `Started` and not a `Workflow` as Opencast's `start` does, because Preservica may respond with an id
        only, or without one. Preservica does not show which parameters a context has, so there is no `check_options`.

        There is no `on_conflict` as on Opencast, because starts on a Preservica never conflict: any number of workflows
        of a context can run.

        Args:
            context: what to start: a `Context`, its id (a number), its name, or a ticket. With a ticket, give nothing
                else.
            parameters: the parameters of this workflow, sent as texts (True as "true").
            correlation_id: your own mark, by which the workflow can be recognized. A random one if None.
            timeout: seconds for the whole call, including the wait for a connection and a login. `Timeouts.call` if
                None. `Timeouts.exchange` does not limit a start.

        Raises:
            StartRejected: the server refused the start, so nothing was started. `status` tells why. A 404 is also a
                `NotFound`, a 403 also a `Forbidden`, and so on.
            NotSent: the request did not reach the server. The same holds for any error with `at_login`.
            StartOutcomeUnknown: the workflow may have been started. `reconcile(error.ticket)` searches for it.
            InvalidArgument: an argument cannot be sent, the ticket is for another system or server, or `timeout` is not
                above 0.

        Source: POST /sdb/rest/workflow/instances. See tests/contract/preservica.md, sections 1.4 and 1.8.
        """
        check_timeout("timeout", timeout)
        ticket = self._starts.from_arguments(context, parameters, correlation_id)
        started = await self._starts.send(ticket, timeout=timeout)
        if started.id is not None:
            self._poller.note_existing(started.id, started.workflow)
        return started

    async def terminate(self, *workflow_ids: int | str) -> None:
        """Request the end of workflows. The request is sent once. They become `ABORTED` later, so `wait` for it.

        `stop` of Opencast takes one workflow and returns its record. Preservica takes several in one request, returns
        no record, and calls it terminate.

        Raises:
            PartialFailure: the server will not end all of them.
            TransportError, ServerError: the request may have been accepted. Check the workflows.

        Source: POST /sdb/rest/workflow/instances/terminate. See tests/contract/preservica.md, section 1.5.
        """
        counts = await self._transport.send(calls.terminate_workflows(workflow_ids))
        _raise_if_partial("terminate", counts)

    async def retry(self, *workflow_ids: int | str) -> int:
        """Retry failed or suspended workflows. Return the number of workflows that are retried.

        The request is sent once. Opencast has no retry of a workflow that has ended.

        Raises:
            PartialFailure: some of them cannot be retried. The others are.
            TransportError, ServerError: the request may have been accepted. Check the workflows.

        Source: POST /sdb/rest/workflow/instances/retry. See tests/contract/preservica.md, section 1.6.
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
        until: monitor.Predicate[Workflow] | None = None,
        on_change: monitor.OnChange[Workflow] | None = None,
        check: bool = False,
    ) -> Workflow:
        """Start a workflow and wait for its end. Raises what `start` and `wait` raise.

        Args:
            context: what to start: a `Context`, its id (a number) or its name.
            parameters: the parameters of this workflow. See `start`.
            correlation_id: your own mark. A random one if None.
            timeout: seconds from the response to the start. None waits without a limit.
            poll: how often to check the workflow.
            parked: what to do when the workflow needs a person: go on waiting, return the record, or raise.
            until: a function of a record. Return before the end if it returns True.
            on_change: called with each `Change`. See `wait`.
            check: raise an error unless the workflow succeeded.

        Raises:
            StartOutcomeUnknown: also if the server's response has no id to wait for.
        """
        options = WaitOptions[Workflow](timeout=timeout, poll=poll, parked=parked, until=until, on_change=on_change)
        ticket = self.prepare_start(context, parameters, correlation_id=correlation_id)
        workflow_id = await self._starts.send_for_id(ticket)
        self._poller.note_existing(workflow_id)
        return await wait(self._poller, workflow_id, options, check=check)

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

        Unlike Opencast's, its records have no operations, so changes of operations cannot be reported.

        Args:
            workflow_ids: the workflows to watch. Ids can be added and dropped while watching.
            poll: how often to check.
            stalled_after: report a step in which nothing changes (`Stalled`). A timedelta is the time until then. A
                number is a factor of the step's usual duration, which is known once three steps of its kind have ended.
            retry_stalled: retry a stalled workflow before it is reported, at most this number of times.
                `Stalled.remedied` tells whether it was retried.
            **filters: in place of ids, all active workflows that match, including workflows that appear later. With
                `state`, all workflows in one of these states. See `WorkflowFilters`.

        Raises:
            InvalidArgument: immediately, for neither or both of ids and filters, or if an argument cannot be sent.
        """
        check_int("retry_stalled", retry_stalled, least=0)
        given = _given_filters(filters)
        if (workflow_ids is None) == (not given):
            raise InvalidArgument("workflow_ids", "must be given, or filters in their place, but not both")
        return watching(
            self._poller,
            workflow_ids,
            self._active_listing(given) if given else None,
            poll=poll,
            operations=False,
            stalled_after=stalled_after,
            hook=self._retry_hook(retry_stalled) if retry_stalled else None,
        )

    def _active_listing(self, filters: WorkflowFilters, *, operations: bool = False) -> Callable[[], Listing[Workflow]]:
        """Return a function that lists the matching workflows that are active. The monitor calls it repeatedly."""
        if operations:
            raise InvalidArgument("operations", "must be False, because Preservica's records have no operations")
        active: WorkflowFilters = {"state": ACTIVE, **filters}
        listing = self.list(newest_first=False, ahead=1, unreadable="skip", **active)
        return lambda: listing

    def _retry_hook(self, limit: int) -> monitor.EventHook[Workflow]:
        """Return a hook that retries stalled workflows, each at most `limit` times. A refused retry changes nothing."""
        attempts: Counter[int] = Counter()

        async def hook(event: monitor.WatchEvent[Workflow]) -> monitor.WatchEvent[Workflow]:
            if not isinstance(event, monitor.Stalled) or attempts[event.id] >= limit:
                return event
            attempts[event.id] += 1
            try:
                await self.retry(event.id)
            except (CallError, PartialFailure) as error:
                self._transport.observer.emit(RemedyFailed(id=event.id, error=type(error).__name__))
                return event
            return evolve(event, remedied=True)

        return hook


def _given_filters(filters: WorkflowFilters) -> WorkflowFilters:
    """Return the filters that are not None."""
    return cast("WorkflowFilters", {name: value for name, value in filters.items() if value is not None})


def _raise_if_partial(action: str, counts: AcceptedCounts) -> None:
    """Raise `PartialFailure` if the server accepted only some of the workflows."""
    if counts.failed:
        raise PartialFailure(action, counts.successful, counts.failed)
