"""A listing whose connection breaks half-way is continued by a new client, over a socket against the sandbox."""

from typing import Any

import pytest

from tests.support.loopback_system import LoopbackSystem, loopback_system as serving
from workflow_async.errors import CallError, InvalidArgument
from workflow_async.sandbox import Fault, Faults

LISTS = {"11": "/api/workflows", "preservica": "/sdb/rest/workflow/instances"}
SEED = 130
each_system = pytest.mark.parametrize("kind", LISTS)
each_way = pytest.mark.parametrize("consistency", ["fast", "anchored"])


def broken_after(loopback: LoopbackSystem, pages: int) -> Faults:
    """Return the plan of a server that closes the connection in the middle of every later page."""
    return Faults(script=(None,) * pages, rates={Fault.CUT_BODY: 1.0}, paths=LISTS[loopback.kind])


async def read(client: Any, found: list[int], **options: Any) -> str | None:
    """Read a listing as far as it goes. Return the point of the error that broke it, or None at its end."""
    listing = client.workflows.list(page_size=20, ahead=1, **options)
    items = aiter(listing)
    try:
        while (workflow := await anext(items, None)) is not None:
            found.append(workflow.id)
    except CallError as error:
        return error.resume_point if error.resume_point == listing.resume_point else "two points"
    return None


@each_system
@each_way
@pytest.mark.parametrize("pages", [0, 1, 4])
async def test_a_new_client_continues_where_the_connection_broke(kind: str, consistency: str, pages: int) -> None:
    async with serving(kind) as loopback:
        ids = loopback.system.seed(SEED)
        found: list[int] = []
        loopback.system.faults = broken_after(loopback, pages)
        async with loopback.client() as client:
            point = await read(client, found, consistency=consistency)
        assert bool(found) is bool(pages)
        assert point is not None
        loopback.system.faults = Faults()
        async with loopback.client() as client:
            assert await read(client, found, consistency=consistency, resume=point) is None
        assert len(found) == SEED
        assert sorted(found) == sorted(ids)


@each_system
async def test_a_point_between_two_rows_of_a_page_continues_there(kind: str) -> None:
    async with serving(kind) as loopback, loopback.client() as client:
        loopback.system.seed(SEED)
        whole = [workflow.id async for workflow in client.workflows.list()]
        listing, found = client.workflows.list(page_size=50), []
        async for workflow in listing:
            found.append(workflow.id)
            if len(found) == 77:
                break
        async with loopback.client() as another:
            rest = [each.id async for each in another.workflows.list(page_size=30, resume=listing.resume_point)]
        assert found + rest == whole


@each_system
async def test_a_filtered_listing_continues_with_the_same_filter_only(kind: str) -> None:
    async with serving(kind) as loopback, loopback.client() as client:
        loopback.system.seed(SEED, age=60.0)
        states = ("Completed", "Failed") if kind == "preservica" else ("succeeded", "failed")
        listing = client.workflows.list(state=states, limit=7)
        first = [workflow.id async for workflow in listing]
        rest = client.workflows.list(state=states[::-1], resume=listing.resume_point)
        whole = [workflow.id async for workflow in client.workflows.list(state=states)]
        assert first + [workflow.id async for workflow in rest] == whole
        others: dict[str, Any] = {"state": states[0]}
        for options in (others, {}, {"state": states, "consistency": "anchored"}, {"consistency": "partitioned"}):
            with pytest.raises(InvalidArgument, match="^resume: "):
                client.workflows.list(**options, resume=listing.resume_point)
        assert client.workflows.list(consistency="partitioned").resume_point is None


async def test_a_point_of_one_system_is_refused_by_the_other() -> None:
    async with serving("11") as one, serving("preservica") as other, one.client() as oc, other.client() as pv:
        with pytest.raises(InvalidArgument, match="^resume: is a point of opencast"):
            pv.workflows.list(resume=oc.workflows.list().resume_point)
        with pytest.raises(InvalidArgument, match="^resume: is a point of preservica"):
            oc.workflows.list(resume=pv.workflows.list().resume_point)
        with pytest.raises(InvalidArgument, match="^offset: must be 0 with resume"):
            oc.workflows.list(offset=3, resume=oc.workflows.list().resume_point)


async def test_a_point_of_another_order_or_server_is_refused() -> None:
    async with serving("11") as first, serving("11") as second, first.client() as oc, second.client() as other:
        point = oc.workflows.list().resume_point
        with pytest.raises(InvalidArgument, match="^resume: is a point of another listing"):
            other.workflows.list(resume=point)
        with pytest.raises(InvalidArgument, match="^resume: is a point of another listing"):
            oc.workflows.list(sort="event_title:asc", resume=point)


async def test_an_offset_and_a_literal_filter_continue_too() -> None:
    async with serving("11") as loopback, loopback.client() as oc:
        loopback.system.seed(SEED)
        listing = oc.workflows.list(offset=100, limit=10)
        part = [workflow.id async for workflow in listing]
        rest = [workflow.id async for workflow in oc.workflows.list(resume=listing.resume_point)]
        assert part + rest == [workflow.id async for workflow in oc.workflows.list(offset=100)]
