"""Listing contexts and workflows of a Preservica over a real socket."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workflow_async import Clock
from workflow_async._core.call import Call
from workflow_async._core.transport import Transport
from workflow_async._listing.scan import Consistency
from workflow_async.errors import InvalidArgument, ListingInconsistent
from workflow_async.preservica import PreservicaClient, State
from workflow_async.sandbox import Fault, Faults, ManualClock
from workflow_async.sandbox.fault_middleware import RecordedRequest
from workflow_async.sandbox.systems import FakePreservica

INSTANCES = "/sdb/rest/workflow/instances"


def requests(archive: FakePreservica, method: str = "GET", path: str = INSTANCES) -> list[RecordedRequest]:
    return [request for request in archive.requests if (request.method, request.path) == (method, path)]


def sent(archive: FakePreservica) -> list[dict[str, str]]:
    """Return the query of each list request."""
    return [{key: ",".join(values) for key, values in request.parameters.items()} for request in requests(archive)]


# Contexts


async def test_contexts_are_listed_by_definition_by_type_and_by_both(pv: PreservicaClient) -> None:
    ingest = [context.id async for context in pv.contexts.list(definition_id="com.preservica.core.workflow.ingest")]
    every = [context.id async for context in pv.contexts.list(type="Ingest")]
    both = pv.contexts.list(definition_id="com.preservica.core.workflow.ingest", type="Access")
    assert ingest == ["43", "45"]
    assert set(ingest) < set(every)
    assert [context async for context in both] == []


async def test_all_contexts_are_listed_in_one_request_and_again(archive: FakePreservica, pv: PreservicaClient) -> None:
    listing = pv.contexts.list()
    assert len([context async for context in listing]) == len([context async for context in listing]) == 12
    assert [request.query for request in archive.requests[1:]] == ["", ""]


async def test_a_blank_definition_is_refused_immediately(pv: PreservicaClient) -> None:
    with pytest.raises(InvalidArgument, match="^definition_id"):
        pv.contexts.list(definition_id=" ")


# Listing


@pytest.mark.sweep
async def test_ten_thousand_workflows_are_listed_once_each_newest_first(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    ids = archive.seed(10_000)
    pages = [page async for page in pv.workflows.list().pages()]
    assert [workflow.id for page in pages for workflow in page.items] == sorted(ids, reverse=True)
    assert [len(page.items) for page in pages] == [100] * 100
    assert {page.total for page in pages} == {10_000}
    assert sorted(int(query["start"]) for query in sent(archive)) == [*range(0, 10_000, 100)]


async def test_pages_are_requested_as_they_are_needed(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.seed(300)
    async for _ in pv.workflows.list():
        break
    assert len(requests(archive)) == 1


async def test_rows_are_skipped_by_the_server(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.seed(80)
    ids = [workflow.id async for workflow in pv.workflows.list(newest_first=False, page_size=20)]
    archive.app.requests.clear()
    rest = pv.workflows.list(newest_first=False, offset=30, page_size=20, limit=25)
    assert [workflow.id async for workflow in rest] == ids[30:55]
    assert [request.parameters["start"] for request in archive.requests] == [["30"], ["50"]]


@pytest.mark.parametrize("consistency", ["anchored", "partitioned"])
async def test_an_exact_list_cannot_skip_rows(consistency: Consistency, pv: PreservicaClient) -> None:
    with pytest.raises(InvalidArgument, match="^offset: must be 0 with consistency="):
        pv.workflows.list(consistency=consistency, offset=1)


async def test_a_limit_reaches_the_wire(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.seed(300)
    assert len([workflow async for workflow in pv.workflows.list(limit=150)]) == 150
    assert [(query["start"], query["max"]) for query in sent(archive)] == [("0", "100"), ("100", "50")]


async def test_a_server_that_limits_its_pages_is_read_completely(
    serve: Callable[..., FakePreservica], clock: Clock
) -> None:
    archive = serve(page_cap=30)
    ids = archive.seed(100)
    async with PreservicaClient(archive.url, username=archive.username, password=archive.password, clock=clock) as pv:
        found = [workflow.id async for workflow in pv.workflows.list(newest_first=False)]
    assert found == ids
    assert [query["start"] for query in sent(archive)] == ["0", "30", "60", "90"]


async def test_short_pages_lose_nothing(archive: FakePreservica, pv: PreservicaClient) -> None:
    ids = archive.seed(250)
    archive.faults = Faults(script=(Fault.SHORT_PAGE, None, Fault.SHORT_PAGE), paths=(INSTANCES,))
    assert [workflow.id async for workflow in pv.workflows.list(newest_first=False)] == ids


async def test_a_page_that_is_repeated_endlessly_is_an_error(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.seed(300)
    archive.faults = Faults(rates={Fault.REPEATED_PAGE: 1.0}, paths=(INSTANCES,))
    with pytest.raises(ListingInconsistent):
        [workflow async for workflow in pv.workflows.list()]


async def test_every_filter_reaches_the_wire(archive: FakePreservica, pv: PreservicaClient) -> None:
    since, until = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 10, tzinfo=UTC)
    listing = pv.workflows.list(
        state=["Active", State.PENDING], type="Ingest", context=42, creator="bob", since=since, until=until, limit=5
    )
    assert [workflow async for workflow in listing] == []
    assert requests(archive)[0].query == (
        "type=Ingest&state=Active%2CPending&contextId=42&creator=bob&from=2025-01-01T00%3A00%3A00.000Z"
        "&to=2026-01-01T10%3A00%3A00.000Z&latestFirst=true&start=0&max=5"
    )


async def test_without_filters_every_state_is_named(archive: FakePreservica, pv: PreservicaClient) -> None:
    await pv.workflows.list(newest_first=False).first()
    every = "Aborted,Active,Completed,Finished_Mixed_Outcome,Pending,Suspended,Unknown,Failed"
    assert sent(archive) == [{"state": every, "latestFirst": "false", "start": "0", "max": "100"}]


@pytest.mark.parametrize("state", ["Completed", "Failed", "Suspended", "Finished_Mixed_Outcome", "Aborted"])
async def test_only_the_requested_state_is_listed(state: str, archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.seed(200, age=60.0)
    found = [workflow async for workflow in pv.workflows.list(state=state)]
    assert found
    assert {workflow.state.value for workflow in found} == {state}


async def test_workflows_are_listed_by_context_and_since(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    archive.seed(50, age=3600.0)
    context = await pv.contexts.list(type="Access").first()
    assert context is not None
    started = await pv.workflows.start(context)
    since = datetime.fromtimestamp(time(), UTC) - timedelta(minutes=1)
    assert [workflow.id async for workflow in pv.workflows.list(context=context, since=since)] == [started.id]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("state", "Running"),
        ("state", []),
        ("type", "Export"),
        ("context", "a name"),
        ("creator", "a,b"),
        ("since", datetime(2025, 1, 1)),  # noqa: DTZ001 - the naive one is the point
        ("limit", 0),
        ("offset", -1),
        ("page_size", 0),
        ("page_size", True),
        ("ahead", 0),
        ("consistency", "exact"),
    ],
)
async def test_invalid_arguments_are_refused_immediately(
    argument: str, value: Any, archive: FakePreservica, pv: PreservicaClient
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        pv.workflows.list(**{argument: value})
    assert caught.value.argument == argument
    assert archive.requests == []


async def test_a_sparse_server_is_read_too(serve: Callable[..., FakePreservica], clock: Clock) -> None:
    archive = serve(sparse=True)
    archive.seed(10)
    async with PreservicaClient(archive.url, username=archive.username, password=archive.password, clock=clock) as pv:
        found = [workflow async for workflow in pv.workflows.list()]
    assert {workflow.context_id is None for workflow in found} == {True, False}


# Consistency


@pytest.mark.parametrize("consistency", ["fast", "anchored", "partitioned"])
async def test_every_consistency_returns_every_workflow_once(
    consistency: Consistency, archive: FakePreservica, pv: PreservicaClient
) -> None:
    ids = archive.seed(300, age=86_400.0)
    listing = pv.workflows.list(consistency=consistency, page_size=20)
    assert sorted([workflow.id async for workflow in listing]) == ids
    assert listing.report.requests == len(requests(archive))
    assert (listing.report.rows, listing.report.lag) == (300, 0.0)


async def test_pages_are_requested_concurrently_up_to_the_total(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.seed(250)
    counts = [len(requests(archive)) async for _ in pv.workflows.list(page_size=20).pages()]
    assert (counts[0], counts[-1]) == (1, 13)
    assert len(requests(archive)) == 13


@pytest.mark.parametrize("consistency", ["anchored", "partitioned"])
async def test_exact_listings_compare_states_here(
    consistency: Consistency, archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.seed(200, age=60.0)
    fast = {workflow.id async for workflow in pv.workflows.list(state=["Completed", "Failed"])}
    states = (word for word in ["Completed", "Failed"])
    exact = [w.id async for w in pv.workflows.list(state=states, consistency=consistency, page_size=20)]
    assert sorted(exact) == sorted(fast)
    every = "Aborted,Active,Completed,Finished_Mixed_Outcome,Pending,Suspended,Unknown,Failed"
    assert {query["state"] for query in sent(archive) if query["max"] == "20"} == {every}


async def test_windows_stay_within_the_requested_dates(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.seed(200, age=3600.0)
    starts = sorted([workflow.started async for workflow in pv.workflows.list() if workflow.started is not None])
    since = starts[100]
    plain = {workflow.id async for workflow in pv.workflows.list(since=since)}
    listing = pv.workflows.list(since=since, consistency="partitioned", page_size=20)
    assert {workflow.id async for workflow in listing} == plain
    assert 0 < len(plain) < 200
    earliest = min(query["from"] for query in sent(archive) if query["max"] == "20")
    assert earliest == since.strftime("%Y-%m-%dT%H:%M:%S.") + f"{since.microsecond // 1000:03}Z"


async def test_a_watch_requests_its_pages_one_by_one(
    archive: FakePreservica, connect: Callable[..., PreservicaClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    send, going, most = Transport.send, set[Any](), []

    async def counted(transport: Transport, call: Call[Any]) -> Any:
        if "from" in dict(call.params):
            going.add(call.params)
            most.append(len(going))
        try:
            return await send(transport, call)
        finally:
            going.discard(call.params)

    monkeypatch.setattr(Transport, "send", counted)
    archive.seed(700)
    since = datetime(2000, 1, 1, tzinfo=UTC)
    async with connect(clock=Clock()) as pv:  # on a clock that each sleep advances, the polls would delay the list
        async with pv.workflows.watch(since=since) as changes:
            ids = set[int]()
            async for event in changes:
                ids.add(event.id)
                if len(ids) == 250:
                    break
        assert len(requests(archive)) >= 3
        assert max(most) == 1
        assert len([workflow async for workflow in pv.workflows.list(since=since)]) == 700
    assert max(most) == 6
