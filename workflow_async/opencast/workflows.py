"""Lists, gets, starts, watches and waits for the workflows of an Opencast."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TypeVar, Unpack

from attrs import define

from workflow_async import monitor
from workflow_async._core.call import Call, OnUnreadable, parse_id
from workflow_async._decode.json import json_tree
from workflow_async._decode.raw import with_raw
from workflow_async._listing.listing import Listing
from workflow_async._listing.options import ListOptions
from workflow_async._listing.scan import MAX_AHEAD, Consistency
from workflow_async._listing.unreadable import may_be_caused_by_row
from workflow_async.errors import CallError, InvalidArgument, ListingNotSupported
from workflow_async.monitor.watch import watching
from workflow_async.opencast import calls, filters
from workflow_async.opencast.control import including
from workflow_async.opencast.query import ENDED, WorkflowQuery
from workflow_async.opencast.records import Workflow
from workflow_async.opencast.scans import describe_rows, workflow_listing
from workflow_async.opencast.single_starts import SingleStarts
from workflow_async.settings import Poll

T = TypeVar("T")

SKIP_HINT = ", one of which the server cannot return (workflows.list with unreadable='skip' skips it)"
PAGE_SIZE = 100


@define(eq=False)
class Workflows(SingleStarts):
    """The workflows of an Opencast, as `client.workflows`."""

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
        resume: str | None = None,
        keep_raw: bool = False,
        **filter: Unpack[filters.WorkflowFilters],
    ) -> Listing[Workflow]:
        """List workflows, page by page. Opencast 6 to 11 only.

        The server returns no total. The first page is requested alone, then 1, 2, 4 and more pages concurrently. Some
        of them may lie beyond the end. The list may lag up to 10 s behind `get`. Needs ROLE_API_WORKFLOW_INSTANCE_VIEW.

        `consistency` decides what is returned while the list changes. A row on two pages is always returned once.

        - `fast`: one request for each page. Rows move between pages while their workflows run, and a row that moves up
          can be missed. A page that is shorter than requested counts as the last one, because no Opencast limits its
          pages.
        - `anchored`: each page overlaps the one before, or the listing steps back. Every workflow that is listed
          throughout is returned if the rows that stay keep their order. Opencast moves a workflow whose state changes
          among those on events of the same date, so in a busy list a miss is unlikely but possible. Costs about 5 %
          more requests, and one request for each step back.
        - `partitioned`: one window of event dates after the other, each in one response. Every workflow that is listed
          throughout is returned, in no order, wherever rows move. A workflow whose event's date is edited during the
          listing is certain to be returned only if all rows fit into one page. An event without a date counts as one of
          1970-01-01, as in the server's index. Costs 2.5 to 6 times the requests, and about 30 requests to find the
          dates of the list. Where more events than `page_size` have dates within 18 hours, larger pages are requested.

        `anchored` and `partitioned` do not send `state` and `state_not`. They read the list of all states and compare
        each row here. "Listed" means in the list and matching all other filters. `report` of the listing says what was
        done.

        Args:
            sort: one key with its direction. The server's default is the event's date, oldest first. Preservica orders
                by the start only, so it has `newest_first` instead. Several keys are
                refused, because the server would use an arbitrary one of them. Sort the rows in your code.
            limit: the maximum number of rows. All rows if None.
            offset: the number of rows to skip at the beginning.
            page_size: the number of rows that a request asks for.
            consistency: see above.
            ahead: the maximum number of pages that are requested concurrently and held.
            literal: match `*` and `?` in text filters literally instead of as wildcards. Rows are compared here with
                their events. That costs one request for each page and needs ROLE_API_EVENTS_VIEW. A workflow whose
                event is deleted or may not be read is left out. Without such a character it has no effect.
            with_operations: fill `operations`.
            with_configuration: fill `configuration`.
            unreadable: what to do about rows without a readable id or state. "raise" raises one `DecodeError` for all
                of them after the other rows. "skip" leaves them out. `report.unreadable` of the listing holds them in
                both cases. Opencast itself cannot return some rows. One workflow without a creator turns each page that
                contains it into a 500, which raises `ServerError` immediately. With "skip" and `fast`, such a page is
                read in parts, with up to 100 requests, and each row that the server cannot return is skipped.
            resume: the `resume_point` of an earlier listing with the same filters, sort and consistency. The listing
                continues after the last row that was yielded. `limit` counts from there. Not for `partitioned`.
            keep_raw: fill `raw` of each record with what the server sent. Reading takes twice the time.
            **filter: see `WorkflowFilters`.

        Raises:
            InvalidArgument: immediately, if a filter does not fit into the server's grammar, for `offset` with
                `anchored`, for `offset` or `sort` with `partitioned`, and if `resume` is a point of another listing.
            ServerError: while iterating, if the server cannot return a row. `part` names the rows.
            ListingNotSupported: while iterating, on Opencast 12 and later, with the server's version.
            ListingInconsistent: while iterating, if continuing would not end or would lose rows.

        Source: GET /api/workflows. See tests/contract/opencast.md, section 1.
        """
        return workflow_listing(
            self._list,
            self._poller.source.server_key,
            ListOptions(consistency=consistency, page_size=page_size, ahead=ahead),
            WorkflowQuery.of(**filter),
            sort=sort,
            include=including(operations=with_operations, configuration=with_configuration),
            limit=limit,
            offset=offset,
            unreadable=unreadable,
            literal=literal,
            resume=resume,
            keep_raw=keep_raw,
        )

    async def get(
        self,
        workflow_id: int | str,
        *,
        with_operations: bool = False,
        with_configuration: bool = False,
        keep_raw: bool = False,
    ) -> Workflow:
        """Get the current record of one workflow. Preservica has no flags here, because it returns all of the record.

        Args:
            workflow_id: the workflow.
            with_operations: fill `operations`.
            with_configuration: fill `configuration`.
            keep_raw: fill `raw` with the object that the server sent.

        Raises:
            NotFound: there is no such workflow, or it belongs to another tenant.
            Forbidden: this user is neither admin nor creator nor allowed to read the event.

        Source: GET /api/workflows/{id}. Needs ROLE_API_WORKFLOW_INSTANCE_VIEW. See tests/contract/opencast.md, section
        2.2.
        """
        include = including(operations=with_operations, configuration=with_configuration)
        call = calls.get_workflow(parse_id("workflow_id", workflow_id), include)
        return await self._transport.send(with_raw(call, json_tree) if keep_raw else call)

    async def for_event(self, event_id: str, *, unreadable: OnUnreadable = "raise") -> tuple[Workflow, ...]:
        """Get all workflows of one event, oldest first. This replaces the list on Opencast 12 and later.

        It uses an internal endpoint of Opencast 12 and later, which needs **ROLE_ADMIN**. The records are complete:
        they hold `operations`, `configuration` and `created`.

        Args:
            event_id: the event.
            unreadable: what to do about workflows without a readable id or state. "raise" raises one `DecodeError` that
                names them. "skip" leaves them out.

        Raises:
            Forbidden: this user is not an admin, or may not read the event.
            DecodeError: the response, or a workflow in it, cannot be read.
            InvalidArgument: immediately, if the id does not fit into a path.

        Source: GET /workflow/mediaPackage/{id}/instances.json. See tests/contract/opencast.md, section 1.7.
        """
        return await self._transport.send(calls.workflows_of_event(event_id, unreadable=unreadable))

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
            workflow_ids: the workflows to watch. Ids can be added and dropped while watching.
            poll: how often to check.
            operations: also report every transition of every operation. Every check then reads the operations.
                Preservica's records have no operations. It has `retry_stalled` instead, which Opencast cannot do.
            stalled_after: report a step in which nothing changes (`Stalled`). A timedelta is the time until then. A
                number is a factor of the step's usual duration, which is known once three steps of its kind have ended.
            **filter: in place of ids, all active workflows that match, including workflows that appear later. Opencast
                6 to 11 only. See `WorkflowFilters`.

        Raises:
            InvalidArgument: immediately, for neither or both of ids and filters, or if an argument cannot be sent.
            ListingNotSupported: while iterating, for filters on Opencast 12 and later.
        """
        if (workflow_ids is None) == (not filter):
            raise InvalidArgument("workflow_ids", "must be given, or filters in their place, but not both")
        return watching(
            self._poller,
            workflow_ids,
            None if workflow_ids is not None else self._active_listing(filter, operations=operations),
            poll=poll,
            operations=operations,
            stalled_after=stalled_after,
        )

    def _active_listing(self, filter: filters.WorkflowFilters, *, operations: bool) -> Callable[[], Listing[Workflow]]:
        """Return a function that lists the matching workflows that are active. The monitor calls it repeatedly."""
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
        """Send the call for a page. Add to an error the rows of the page, or the server's version if it has no list."""
        try:
            return await self._transport.send(call)
        except CallError as error:
            caught = error
        if isinstance(caught, ListingNotSupported):
            caught.version = await self._version()
        else:
            rows = describe_rows(call)
            caught.part = f"{rows}{SKIP_HINT}" if rows and may_be_caused_by_row(caught) else rows
        raise caught
