"""Gets the workflows of one event, in the way that the server allows."""

from collections.abc import Sequence
from operator import attrgetter

from workflow_async._core.call import OnUnreadable
from workflow_async._listing.listing import Listing
from workflow_async._listing.prefetch import Send
from workflow_async.errors import Forbidden, InvalidArgument, ListingNotSupported, NotFound
from workflow_async.opencast import calls, event_calls, params
from workflow_async.opencast.event_sender import with_successors
from workflow_async.opencast.list_routes import ListRoutes
from workflow_async.opencast.query import WorkflowQuery
from workflow_async.opencast.records import Workflow

PAGE_SIZE = 100


async def get_workflows_of_event(
    send: Send, routes: ListRoutes, event_id: str, unreadable: OnUnreadable
) -> tuple[Workflow, ...]:
    """Return the workflows of one event, oldest first, each with the id of the next one.

    From Opencast 12 on they come from an internal endpoint, before from the list of workflows.

    Raises:
        Forbidden, NotFound: the internal endpoint refused the request, and the server has no list.
    """
    call = event_calls.workflows_of_event(event_id, unreadable=unreadable)
    if routes.has_list:
        listed = await _listed(send, routes, event_id, unreadable)
        if listed is not None:
            return with_successors(listed, "list")
    try:
        return with_successors(await send(call), "event")
    except (Forbidden, NotFound) as error:
        refused = error
    listed = None if routes.skips_list else await _listed(send, routes, event_id, unreadable)
    if listed is None:
        raise refused
    return with_successors(listed, "list")


async def _listed(send: Send, routes: ListRoutes, event_id: str, unreadable: OnUnreadable) -> Sequence[Workflow] | None:
    """Return the workflows of an event from the list of workflows. None if there is no list."""
    try:
        filter = WorkflowQuery.of(event_id=event_id).on_the_wire()
    except InvalidArgument:
        return None
    include = params.including(withoperations=True, withconfiguration=True)
    first = calls.list_workflows(filter=filter, sort="", include=include, size=PAGE_SIZE)
    try:
        found = [w async for w in Listing(send, first, attrgetter("id"), unreadable=unreadable)]
    except ListingNotSupported as error:
        routes.no_list, routes.has_list = error.seen, False
        return None
    routes.has_list = True
    return sorted(found, key=attrgetter("id"))
