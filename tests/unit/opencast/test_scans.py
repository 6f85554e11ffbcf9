"""Listing workflows of an Opencast with each consistency: what is sent, returned and refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.opencast_releases import on_11
from workflow_async import OpencastClient
from workflow_async._listing.scan import Consistency
from workflow_async.errors import InvalidArgument, ListingNotSupported
from workflow_async.opencast import State, filters
from workflow_async.opencast.filters import WorkflowFilters
from workflow_async.sandbox import ManualClock, Sandbox

each_way = pytest.mark.parametrize("consistency", ["fast", "anchored", "partitioned"])
exactly = pytest.mark.parametrize("consistency", ["anchored", "partitioned"])


def sent(sandbox: Sandbox, name: str) -> list[str]:
    return [request.parameters.get(name, [""])[0] for request in sandbox.opencast.requests]


@on_11
@each_way
async def test_every_consistency_returns_every_workflow_once(
    consistency: Consistency, sandbox: Sandbox, oc: OpencastClient
) -> None:
    ids = sandbox.opencast.seed(300)
    listing = oc.workflows.list(consistency=consistency, page_size=20)
    assert sorted([workflow.id async for workflow in listing]) == ids
    assert listing.report.consistency == consistency
    assert listing.report.rows == 300
    assert listing.report.requests == len(sandbox.opencast.requests)
    assert listing.report.lag == 10.0


@on_11
@each_way
async def test_a_list_of_one_page_costs_at_most_one_more_request(
    consistency: Consistency, sandbox: Sandbox, oc: OpencastClient
) -> None:
    ids = sandbox.opencast.seed(7)
    assert {workflow.id async for workflow in oc.workflows.list(consistency=consistency)} == set(ids)
    assert len(sandbox.opencast.requests) == (1 if consistency == "fast" else 2)


@on_11
@exactly
async def test_exact_listings_compare_states_here(
    consistency: Consistency, sandbox: Sandbox, oc: OpencastClient
) -> None:
    sandbox.opencast.seed(120, definitions=["fast", "fails"], age=60)
    filters: WorkflowFilters = {
        "state": (word for word in ["failed", "running"]),
        "definition_id": "fails",
    }
    exact = [w async for w in oc.workflows.list(consistency=consistency, page_size=20, limit=30, **filters)]
    assert {workflow.state for workflow in exact} <= {State.FAILED, State.RUNNING}
    assert not any("state" in filter for filter in sent(sandbox, "filter"))
    assert all("workflow_definition_identifier:fails" in filter for filter in sent(sandbox, "filter"))
    filters = {"state": ["failed", "running"], "definition_id": "fails"}
    fast = {w.id async for w in oc.workflows.list(**filters)}
    assert len(exact) == min(30, len(fast))
    assert {w.id for w in exact} <= fast
    filters = {"state_not": ["succeeded", "failed", "stopped"]}
    assert {w.id async for w in oc.workflows.list(consistency=consistency, **filters)} == {
        w.id async for w in oc.workflows.list(**filters)
    }


@on_11
async def test_windows_stay_within_the_requested_dates(sandbox: Sandbox, oc: OpencastClient, time: ManualClock) -> None:
    sandbox.opencast.seed(200, age=86_400.0)
    now = datetime.fromtimestamp(time(), UTC)
    dates = (now - timedelta(days=400), now + timedelta(days=400, microseconds=5))
    listing = oc.workflows.list(consistency="partitioned", page_size=20, event_created=dates)
    assert {w.id async for w in listing} == {w.id async for w in oc.workflows.list(event_created=dates)}
    windows = [filter for filter in sent(sandbox, "filter") if filter]
    assert windows[0] == f"event_created:{filters.period('event_created', dates)}"
    assert all(filter.count("event_created") == 1 for filter in windows)


@on_11
@pytest.mark.parametrize(("workflows", "size"), [(60, 2), (40, 1), (100, 5)])
async def test_rows_of_one_second_that_fill_several_pages_cost_few_requests_more(
    sandbox: Sandbox, oc: OpencastClient, workflows: int, size: int
) -> None:
    """Three events share each date."""
    ids = sandbox.opencast.seed(workflows)
    listing = oc.workflows.list(consistency="partitioned", page_size=size)
    assert sorted([workflow.id async for workflow in listing]) == ids
    assert listing.report.requests <= 6 * workflows / size


@on_11
@each_way
async def test_an_event_without_a_date_is_listed_as_one_of_1970(
    consistency: Consistency, sandbox: Sandbox, oc: OpencastClient
) -> None:
    sandbox.opencast.seed(40)
    undated = sandbox.opencast.start(sandbox.opencast.event(created=0.0), "fast")
    sandbox.opencast.state.commit()
    found = [workflow.id async for workflow in oc.workflows.list(consistency=consistency, page_size=10)]
    assert found.count(undated) == 1
    epoch = "1970-01-01T00:00:00Z/1970-01-01T00:00:00Z"
    assert [w.id async for w in oc.workflows.list(consistency=consistency, event_created=epoch)] == [undated]


@on_11
async def test_the_first_page_is_requested_alone_and_then_more_pages_concurrently(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    sandbox.opencast.seed(300)
    pages = oc.workflows.list(page_size=20).pages()
    counts = []
    async for _ in pages:
        counts.append(len(sandbox.opencast.requests))  # noqa: PERF401 - each at its time
    assert counts[0] == 1
    assert all(count <= place + min(place, 15) + 1 for place, count in enumerate(counts))
    assert max(count - place for place, count in enumerate(counts)) > 4
    assert len(sandbox.opencast.requests) <= 16 + 15


@on_11
async def test_pages_can_be_requested_one_by_one(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(300)
    assert len([w async for w in oc.workflows.list(page_size=20, ahead=1)]) == 300
    assert [int(offset) for offset in sent(sandbox, "offset")] == [*range(0, 320, 20)]


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"consistency": "partitioned"}, "consistency='partitioned'"),
        ({"offset": 1}, "offset"),
        ({"keep_raw": True}, "keep_raw"),
        ({"sort": "definition_id:asc"}, "sort"),
    ],
)
async def test_what_events_cannot_do_raises_without_a_list(
    arguments: dict[str, Any], argument: str, oc: OpencastClient
) -> None:
    with pytest.raises(ListingNotSupported) as caught:
        await oc.workflows.list(**arguments).first()
    assert caught.value.argument == argument


async def test_a_listing_by_events_has_no_resume_point(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(3)
    listing = oc.workflows.list()
    beginning = listing.resume_point
    await listing.first()
    assert listing.resume_point is None
    with pytest.raises(ListingNotSupported) as caught:
        await oc.workflows.list(resume=beginning).first()
    assert caught.value.argument == "resume"


@pytest.mark.parametrize(
    ("argument", "asked"),
    [
        ("consistency", {"consistency": "exact"}),
        ("offset", {"consistency": "anchored", "offset": 1}),
        ("offset", {"consistency": "partitioned", "offset": 1}),
        ("sort", {"consistency": "partitioned", "sort": "event_title:asc"}),
        ("page_size", {"consistency": "anchored", "page_size": 1}),
        ("ahead", {"ahead": 0}),
        ("ahead", {"ahead": True}),
        ("state", {"consistency": "anchored", "state": "no such"}),
        ("state", {"consistency": "partitioned", "state": []}),
    ],
)
def test_arguments_that_exclude_each_other_are_refused_immediately(argument: str, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        OpencastClient("https://oc.example.org", auth=("user", "secret")).workflows.list(**asked)
    assert caught.value.argument == argument


def test_years_are_written_with_four_digits() -> None:
    first = datetime(1, 1, 1, tzinfo=UTC)
    assert filters.period("event_created", (first, first)) == "0001-01-01T00:00:00Z/0001-01-01T00:00:00Z"
