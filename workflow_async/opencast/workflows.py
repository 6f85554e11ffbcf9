"""Workflows of an Opencast: list, get, start, change, wait."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TypeVar, Unpack, overload

from attrs import define

from workflow_async import monitor
from workflow_async._core.call import Call, OnUnreadable, ParameterValue, parse_id
from workflow_async._listing.listing import Listing
from workflow_async._listing.options import ListOptions
from workflow_async._listing.scan import MAX_AHEAD, Consistency
from workflow_async._listing.unreadable import may_be_a_row
from workflow_async.batch import Ticket
from workflow_async.errors import CallError, InvalidArgument, ListingNotSupported
from workflow_async.monitor.watch import WaitOptions, wait
from workflow_async.opencast import calls, filters
from workflow_async.opencast.control import Control, including
from workflow_async.opencast.query import ENDED, WorkflowQuery
from workflow_async.opencast.records import Workflow
from workflow_async.opencast.scans import describe_rows, workflow_listing
from workflow_async.settings import Poll, positive_seconds

T = TypeVar("T")

SKIP_HINT = ", one of which the server cannot return (workflows.list with unreadable='skip' skips it)"
PAGE_SIZE = 100


@define(eq=False)
class Workflows(Control):
    """`client.workflows`; see `OpencastClient`."""

    def list(
        self,
        *,
        sort: filters.EventSort | None = None,
        limit: int | None = None,
        offset: int = 0,
        page_size: int = 100,
        consistency: Consistency = "fast",
        ahead: int = MAX_AHEAD,
        literal: bool = False,
        with_operations: bool = False,
        with_configuration: bool = False,
        unreadable: OnUnreadable = "raise",
        **filter: Unpack[filters.WorkflowFilters],
    ) -> Listing[Workflow]:
        """List workflows, some pages at once as they are needed; Opencast 6 to 11 only.

        The server tells no total: the first page is asked for alone, then one, two, four and so on at once; those that
        turn out to be beyond the end are the price. The list may lag up to 10 s behind `get`. Needs
        ROLE_API_WORKFLOW_INSTANCE_VIEW.

        What is given while the list changes depends on `consistency`; a row that comes twice is given once in each.

        - `fast`: one request for each page. Rows move between pages while their workflows run, and one that moves up
          can be missed. A page shorter than asked for is taken for the last, as no Opencast caps its pages.
        - `anchored`: each page begins within the one before, or the listing steps back: every workflow that is there
          throughout is given, as long as those that stay keep their order. Opencast moves a workflow whose state
          changes among those on events of the same date, so that in a busy list a miss is unlikely, not impossible.
          Costs about a twentieth more requests, and one for each step back.
        - `partitioned`: window after window of the event's date, each in one answer: every workflow that is there
          throughout is given, wherever rows move, in no order. A workflow whose event's date is edited meanwhile is
          given for sure only if all fits into one page. An event without a date counts as one of 1970-01-01, as in the
          server's index. Costs 2.5 to 6 times the requests, and some thirty to find where in time the list lies. Where
          more events than `page_size` have dates within 18 hours, larger pages are asked for.

        Both latter leave `state` and `state_not` out of the query and compare here, whatever state a row was in: they
        read the list of all states. "There" means listed, and passing all other filters. What a pass did is in
        `report` of the listing.

        Args:
            sort: one key with its direction; the server's default is the event's date, oldest first.
            limit: rows at most; None is all of them.
            offset: rows to leave out at the beginning.
            page_size: rows a request asks for.
            consistency: see above.
            ahead: pages that are asked for at once, and held, at most.
            literal: take `*` and `?` in text filters for themselves, not for wildcards. Rows are compared here with
                their events, which costs a request for each page and needs ROLE_API_EVENTS_VIEW. A workflow whose event
                is deleted or may not be read is left out. Without such a character it changes nothing.
            with_operations: fill `operations`.
            with_configuration: fill `configuration`.
            unreadable: what to do about rows without a readable id or state: "raise" one `DecodeError` for all of them
                after the other rows, or "skip" them. `report.unreadable` of the listing holds them in both cases.
                Opencast itself cannot give some rows: one workflow without a creator makes each page that it is in a
                500. That is a `ServerError` at once. With "skip" and `fast`, such a page is read in parts, with up to
                100 requests, and each row that the server cannot give is skipped.
            **filter: see `WorkflowFilters`.

        Raises:
            InvalidArgument: at once, for what the server's grammar cannot carry, for `offset` with `anchored`, and for
                `offset` or `sort` with `partitioned`.
            ServerError: while iterating, if the server cannot give a row; `part` says of which rows.
            ListingNotSupported: while iterating, on Opencast 12 and later, with the server's version.
            ListingInconsistent: while iterating, when going on would not end, or lose rows.

        Source: GET /api/workflows; contract: opencast.md 1.
        """
        return workflow_listing(
            self._list,
            ListOptions(consistency=consistency, size=page_size, ahead=ahead),
            WorkflowQuery.of(**filter),
            sort=sort,
            include=including(operations=with_operations, configuration=with_configuration),
            limit=limit,
            offset=offset,
            unreadable=unreadable,
            literal=literal,
        )

    async def get(
        self, workflow_id: int | str, *, with_operations: bool = False, with_configuration: bool = False
    ) -> Workflow:
        """Get one workflow as it stands.

        Raises:
            NotFound: no such workflow, or another tenant's.
            Forbidden: neither admin nor creator nor allowed to read the event.

        Source: GET /api/workflows/{id}; needs ROLE_API_WORKFLOW_INSTANCE_VIEW; contract: opencast.md 2.2.
        """
        include = including(operations=with_operations, configuration=with_configuration)
        return await self._transport.send(calls.get_workflow(parse_id("workflow_id", workflow_id), include))

    @overload
    async def start(
        self,
        event_id: str,
        definition_id: str,
        *,
        configuration: Mapping[str, ParameterValue] | None = None,
        with_operations: bool = False,
        with_configuration: bool = False,
        timeout: float | None = None,
    ) -> Workflow: ...
    @overload
    async def start(
        self,
        ticket: Ticket,
        /,
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
        timeout: float | None = None,
    ) -> Workflow: ...
    async def start(
        self,
        event_id: str | Ticket,
        definition_id: str = "",
        *,
        configuration: Mapping[str, ParameterValue] | None = None,
        with_operations: bool = False,
        with_configuration: bool = False,
        timeout: float | None = None,
    ) -> Workflow:
        """Start a workflow on an event, or what a ticket says; sent once, on a connection of its own, and never again.

        A ticket of `prepare_start` can be stored before it is sent; sent twice, it starts twice.

        Values of `configuration` are sent as texts (True as "true"). The server keeps them with the event, even when it
        refuses the start, so later workflows on the event get them too.

        Up to Opencast 11 the server checks for an active workflow in an index that is up to 10 s late. It accepts a
        second start on the same event within that time, and both workflows run. Do not rely on `StartConflict` there.

        Args:
            event_id: the event, or a ticket, with nothing besides.
            definition_id: the definition.
            configuration: for this workflow.
            with_operations: fill `operations`.
            with_configuration: fill `configuration`.
            timeout: seconds for the whole call, the wait for a connection and a login included. `Timeouts.call` if
                None. `Timeouts.exchange` does not limit a start.

        Raises:
            StartConflict: another workflow is active on the event; `message` is the server's.
            StartRejected: the server refused it, so it was not started; `status` says why. A 404 is a `NotFound` too,
                a 403 a `Forbidden`, and so on.
            NotSent: it did not even reach the server. With `at_login`, any error says that.
            StartOutcomeUnknown: it may have been started; `reconcile(error.ticket)` looks for it.
            InvalidArgument: for what cannot be sent, for a ticket of another system or server, and for a `timeout` that
                is not above 0.

        Source: POST /api/workflows; needs ROLE_API_WORKFLOW_INSTANCE_CREATE; contract: opencast.md 2.1.
        """
        positive_seconds("timeout", timeout)
        ticket = self._starts.from_arguments(event_id, definition_id, configuration)
        include = including(operations=with_operations, configuration=with_configuration)
        workflow = await self._starts.send(ticket, include, timeout=timeout)
        self.poller.note_existing(workflow.id, workflow)
        return workflow

    async def for_event(self, event_id: str, *, unreadable: OnUnreadable = "raise") -> tuple[Workflow, ...]:
        """All workflows of one event, oldest first: what is left of listing on Opencast 12 and later.

        An internal endpoint of Opencast 12 and later: needs **ROLE_ADMIN**. The records are complete: they hold
        `operations`, `configuration` and `created`.

        Args:
            event_id: the event.
            unreadable: what to do about workflows without a readable id or state: "raise" one `DecodeError` that names
                them, or "skip" them.

        Raises:
            Forbidden: not an admin, or the event may not be read.
            DecodeError: the answer, or a workflow in it, cannot be read.
            InvalidArgument: at once, for an id that cannot stand in a path.

        Source: GET /workflow/mediaPackage/{id}/instances.json; contract: opencast.md 1.7.
        """
        return await self._transport.send(calls.workflows_of_event(event_id, unreadable=unreadable))

    async def start_and_wait(
        self,
        event_id: str,
        definition_id: str,
        *,
        configuration: Mapping[str, ParameterValue] | None = None,
        timeout: float | None = None,
        poll: Poll = Poll(),
        parked: monitor.WhenParked = "wait",
        check: bool = False,
    ) -> Workflow:
        """Start a workflow and wait for its end: `start`, then `wait`, with what either raises.

        Args: as for `start` and `wait`; the deadline counts from the start's answer.
        """
        options = WaitOptions[Workflow](timeout=timeout, poll=poll, parked=parked)
        workflow = await self.start(event_id, definition_id, configuration=configuration)
        return await wait(self.poller, workflow.id, options, check=check)

    def watch(
        self,
        workflow_ids: Iterable[int | str] | None = None,
        *,
        poll: Poll = Poll(),
        operations: bool = False,
        stalled_after: float | timedelta | None = None,
        **filter: Unpack[filters.WorkflowFilters],
    ) -> monitor.Watch[Workflow]:
        """Watch workflows change: `async with oc.workflows.watch(ids) as changes: async for change in changes: …`.

        Args:
            workflow_ids: whom to watch; more can be added, and some dropped, while watching.
            poll: how often to look.
            operations: tell every transition of every operation too; every look then costs as much as they weigh.
            stalled_after: tell a step in which nothing changes (`Stalled`): for longer than a timedelta, or for this
                many times its usual length, which is known once three of its kind have ended.
            **filter: instead of ids: all active workflows that pass, those that appear later included; Opencast 6 to 11
                only. See `WorkflowFilters`.

        Raises:
            InvalidArgument: at once, for neither or both of ids and filter, or for what cannot be sent.
            ListingNotSupported: while iterating, for a filter on Opencast 12 and later.
        """
        if (workflow_ids is None) == (not filter):
            raise InvalidArgument("workflow_ids", "must be given, or filters in their place, but not both")
        return monitor.watching(
            self.poller,
            workflow_ids,
            None if workflow_ids is not None else self._active_listing(filter, operations=operations),
            poll=poll,
            operations=operations,
            stalled_after=stalled_after,
        )

    def _active_listing(self, filter: filters.WorkflowFilters, *, operations: bool) -> Callable[[], Listing[Workflow]]:
        """The list of active workflows that pass, to be asked for again and again."""
        unless_ended: filters.WorkflowFilters = {"state_not": ENDED}
        shown = filter if "state" in filter or "state_not" in filter else {**unless_ended, **filter}
        call = calls.list_workflows(
            filter=WorkflowQuery.of(**shown).on_the_wire(),
            sort="",
            include=including(operations=operations, configuration=False),
            size=PAGE_SIZE,
        )
        return lambda: Listing(self._list, call, lambda workflow: workflow.id, unreadable="skip")

    async def _list(self, call: Call[T], /) -> T:
        """Send the call for a page. Errors say for which rows it was, or the server's version if there is no list."""
        try:
            return await self._transport.send(call)
        except CallError as error:
            caught = error
        if isinstance(caught, ListingNotSupported):
            caught.version = await self._version()
        else:
            rows = describe_rows(call)
            caught.part = f"{rows}{SKIP_HINT}" if rows and may_be_a_row(caught) else rows
        raise caught

    async def _version(self) -> str | None:
        try:
            return (await self._transport.send(calls.get_version())).default
        except CallError:
            return None
