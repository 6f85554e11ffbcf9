"""Lists, gets, starts, watches and waits for the workflows of an Opencast."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from operator import attrgetter
from typing import TypeVar, Unpack

from attrs import define

from workflow_async import monitor
from workflow_async._core.call import Call, OnUnreadable, parse_id
from workflow_async._decode.json import json_tree
from workflow_async._decode.raw import with_raw
from workflow_async._listing.listing import Listing
from workflow_async._listing.options import ListOptions
from workflow_async._listing.scan import MAX_AHEAD, Consistency, LinkScan
from workflow_async._listing.unreadable import may_be_caused_by_row
from workflow_async.errors import CallError, InvalidArgument, ListingNotSupported
from workflow_async.monitor.watch import watching
from workflow_async.opencast import calls, filters
from workflow_async.opencast.control import including
from workflow_async.opencast.event_search import EventSearch
from workflow_async.opencast.of_event import get_workflows_of_event
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
        """List workflows, page by page.

        Opencast 12 and later have no list of workflows. There the events are listed, and then the workflows of each
        event. `source` of each record says where it was found:

        - `list`: the list of workflows, on Opencast 6 to 11. Needs ROLE_API_WORKFLOW_INSTANCE_VIEW.
        - `event`: the workflows of an event. Needs ROLE_ADMIN and ROLE_API_EVENTS_VIEW. Costs one request for each 20
          events, and one for each event.
        - `known`: an id that this client has started, of the last 10,000 events. Used where ROLE_ADMIN is missing.
          Needs ROLE_API_EVENTS_VIEW. Costs one request for each 100 events, and one for each id.

        Without ROLE_ADMIN `ListingIncomplete` is raised after all rows if an event may have other workflows. An active
        workflow is the only one of its event. Any event with a state may have earlier workflows that have ended.

        By events, filters of ids, of the event's date and of active states select the events on the server. All other
        filters are compared here, so that all events are read. The order is that of the events: by their date, or by
        `sort`. With several active states, it is the order within pending, processing and paused events. A workflow
        whose event was deleted is missing. So is an active workflow whose event's status is not yet in the server's
        index. Sorts other than by title, creator, date and series title, `offset`, `resume`, `keep_raw` and
        `partitioned` are not possible, and `resume_point` of the listing is None.

        The server returns no total. The first page is requested alone, then 1, 2, 4 and more pages concurrently. Some
        of them may lie beyond the end. The list of Opencast 6 to 11 may lag up to 10 s behind `get`.

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
            ahead: the maximum number of pages that are requested concurrently and held. By events also the maximum
                number of concurrent requests for workflows.
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
            ListingIncomplete: after all rows, on Opencast 12 and later, if workflows may be missing. It says what was
                tried, the role that is missing, and the ids of the events.
            ListingNotSupported: while iterating, on Opencast 12 and later, for arguments that need the list.
            ListingInconsistent: while iterating, if continuing would not end or would lose rows.

        Source: GET /api/workflows, GET /api/events, GET /workflow/mediaPackage/{id}/instances.json. See
        tests/contract/opencast.md, section 1.
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
            by_events=self._by_events,
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
        """Get all workflows of one event, oldest first.

        From Opencast 12 on it uses an internal endpoint, which needs **ROLE_ADMIN**. Up to Opencast 11 it uses the list
        of workflows, which needs ROLE_API_WORKFLOW_INSTANCE_VIEW and may lag up to 10 s.

        The records hold `operations`, `configuration` and, from Opencast 12 on, `created`. `superseded_by` of each but
        the last is the id of the workflow that was created next.

        Args:
            event_id: the event.
            unreadable: what to do about workflows without a readable id or state. "raise" raises one `DecodeError` that
                names them. "skip" leaves them out.

        Raises:
            Forbidden: this user is not an admin, or may not read the event. `role` names the role.
            DecodeError: the response, or a workflow in it, cannot be read.
            InvalidArgument: immediately, if the id does not fit into a path.

        Source: GET /workflow/mediaPackage/{id}/instances.json, GET /api/workflows. See tests/contract/opencast.md,
        sections 1 and 1.7.
        """
        return await get_workflows_of_event(self._transport.send, self._by_events.routes, event_id, unreadable)

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
            **filter: in place of ids, all active workflows that match, including workflows that appear later. See
                `WorkflowFilters`. On Opencast 12 and later they are found as by `list`: each check costs one request
                for each status of events, and one for each event that is listed. An end is only reported after a `get`
                has confirmed it.

        Raises:
            InvalidArgument: immediately, for neither or both of ids and filters, or if an argument cannot be sent.
            ListingIncomplete: while iterating, for filters on Opencast 12 and later, if workflows cannot be found with
                the roles of this user. Immediately at first, later after `poll.outage` seconds.
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
        shown = filter.copy()
        if "state" not in filter and "state_not" not in filter:
            shown["state_not"] = ENDED
        query, include = WorkflowQuery.of(**shown), including(operations=operations, configuration=False)
        call = calls.list_workflows(filter=query.on_the_wire(), sort="", include=include, size=PAGE_SIZE)
        options = ListOptions(consistency="fast", page_size=PAGE_SIZE, ahead=MAX_AHEAD)

        def listing() -> Listing[Workflow]:
            send, start = self._by_events.bind(
                self._list, partial(LinkScan, call), EventSearch(query), options, include=include, unreadable="skip"
            )
            return Listing(send, start, attrgetter("id"), unreadable="skip")

        return listing

    async def _list(self, call: Call[T], /) -> T:
        """Send the call for a page. Add to an error the rows of the page."""
        try:
            return await self._transport.send(call)
        except CallError as error:
            rows = "" if isinstance(error, ListingNotSupported) else describe_rows(call)
            error.part = f"{rows}{SKIP_HINT}" if rows and may_be_caused_by_row(error) else rows
            raise
