"""Listings of workflows on servers without a list of workflows, over a socket."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.opencast.conftest import Connect
from workflow_async import Clock, OpencastClient, Retry
from workflow_async.errors import (
    ConnectionBroken,
    DecodeError,
    ListingIncomplete,
    ListingNotSupported,
    ServerError,
    TransportError,
)
from workflow_async.monitor import Change
from workflow_async.opencast import State, Workflow, WorkflowFilters
from workflow_async.sandbox import CannedResponse, Fault, Faults, ManualClock, Sandbox

INTEGRATION = ("integration", "integration")
VIEWER = ("viewer", "viewer")
INSTANCES = re.compile("/workflow/mediaPackage/.*")
later = pytest.mark.parametrize("sandbox", ["16", "19"], indirect=True)
ACTIVE = ("instantiated", "running", "paused", "failing")
DAY = 86_400.0


def paths(sandbox: Sandbox) -> list[str]:
    return [request.path for request in sandbox.opencast.requests]


async def listed(oc: OpencastClient, **arguments: Any) -> list[int]:
    return [workflow.id async for workflow in oc.workflows.list(**arguments)]


async def until_incomplete(oc: OpencastClient, **arguments: Any) -> tuple[list[Workflow], ListingIncomplete]:
    items, found = aiter(oc.workflows.list(**arguments)), []
    try:
        while True:
            found.append(await anext(items))
    except ListingIncomplete as error:
        return found, error


# An administrator


@later
async def test_an_admin_gets_every_workflow_once_with_its_source(sandbox: Sandbox, oc: OpencastClient) -> None:
    ids = sandbox.opencast.seed(130)
    listing = oc.workflows.list()
    found = [workflow async for workflow in listing]
    assert sorted(workflow.id for workflow in found) == sorted(ids)
    assert {workflow.source for workflow in found} == {"event"}
    assert all(workflow.operations is None and workflow.configuration is None for workflow in found)
    assert paths(sandbox).count("/api/workflows") == 1
    assert listing.report.rows == 130
    assert listing.report.requests == len(paths(sandbox)) - paths(sandbox).count("/api/version")


async def test_the_requests_of_a_listing_are_known_before(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(100)
    assert len(await listed(oc)) == 100
    events = paths(sandbox).count("/api/events")
    assert 6 <= events <= 5 + 16
    assert len(paths(sandbox)) == 1 + events + 100
    assert len(await listed(oc, limit=1)) == 1
    assert len(paths(sandbox)) <= 1 + 2 * events + 100 + 20


@pytest.mark.parametrize("consistency", ["fast", "anchored"])
async def test_workflows_come_by_the_date_of_their_events_and_then_by_creation(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, consistency: str
) -> None:
    ids: dict[float, list[int]] = {}
    for date in (3 * DAY, DAY, 2 * DAY):
        event = sandbox.opencast.event(created=date)
        for _ in range(2):
            ids.setdefault(date, []).append(sandbox.opencast.start(event, "noop"))
            time.advance(60)
    assert await listed(oc, consistency=consistency, page_size=2) == [*ids[DAY], *ids[2 * DAY], *ids[3 * DAY]]
    newest = oc.workflows.list(sort="event_created:desc")
    assert [(w.id, w.superseded_by) async for w in newest][:2] == [
        (ids[3 * DAY][0], ids[3 * DAY][1]),
        (ids[3 * DAY][1], None),
    ]


FILTERS: Sequence[WorkflowFilters] = (
    {"state": "running"},
    {"state": ["paused", "FAILED"]},
    {"state_not": ACTIVE},
    {"state_not": ["succeeded", "failed", "stopped"]},
    {"definition_id": "FAST"},
    {"current_operation": ["none", "encode"]},
    {"current_operation_not": "none"},
    {"event_title": "optics"},
    {"event_title": "o*s? part ?", "state": "succeeded"},
    {"event_creator": "ada"},
    {"event_contributor": "rosalind"},
    {"event_language": "eng"},
    {"event_license": "cc"},
    {"event_subject": "law"},
    {"series_title": "law in"},
    {"text_filter": "roman"},
    {"event_created": (datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 11, 10, tzinfo=UTC))},
)


def populate(sandbox: Sandbox, time: ManualClock) -> None:
    """Start workflows of several definitions, and let some of them end."""
    for definition in ("fast", "publish", "review", "fails", "noop") * 12:
        sandbox.opencast.start(sandbox.opencast.event(), definition)
        time.advance(3)
    sandbox.opencast.state.commit()


@pytest.mark.parametrize("filters", FILTERS, ids="-".join)
async def test_a_filter_means_the_same_on_both_sides_of_opencast_12(filters: WorkflowFilters, clock: Clock) -> None:
    found = []
    for release in ("11", "16"):
        time = ManualClock(1.7e9)
        with Sandbox(release, time) as sandbox:
            populate(sandbox, time)
            async with OpencastClient(sandbox.opencast.url, auth=sandbox.opencast.auth, clock=clock) as oc:
                found.append(sorted([workflow.event_id async for workflow in oc.workflows.list(**filters)]))
    assert found[0] == found[1]
    assert 0 < len(found[0]) < 60


async def test_ids_of_events_and_series_are_sent_as_filters(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(30)
    event = sandbox.opencast.event(series="s-1")
    id = sandbox.opencast.start(event, "publish")
    for filters in ({"event_id": event}, {"series_id": "s-1"}, {"event_id": event, "state": "instantiated"}):
        before = len(paths(sandbox))
        assert await listed(oc, **filters) == [id]
        assert len(paths(sandbox)) - before <= 3


async def test_active_workflows_cost_only_the_busy_events(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    sandbox.opencast.seed(60, definitions=["noop"], age=600)
    ids = [sandbox.opencast.start(sandbox.opencast.event(), name) for name in ("review", "publish", "publish")]
    time.advance(20)
    assert sorted(await listed(oc, state_not=["succeeded", "failed", "stopped"])) == ids
    assert len(paths(sandbox)) == 1 + 3 + 3


async def test_operations_and_configuration_come_on_request(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.start(sandbox.opencast.event(), "publish", {"a": "b"})
    full = await oc.workflows.list(with_operations=True, with_configuration=True).first()
    assert full is not None
    assert full.operations
    assert full.configuration == {"a": "b"}
    assert full.created is not None


async def test_literal_filters_are_compared_with_events_too(sandbox: Sandbox, oc: OpencastClient) -> None:
    ids = [sandbox.opencast.start(sandbox.opencast.event(title=title), "noop") for title in ("Why?", "Why!")]
    assert await listed(oc, event_title="why?", literal=True) == ids[:1]
    assert sorted(await listed(oc, event_title="why?")) == ids


async def test_a_workflow_of_an_event_whose_latest_workflow_was_deleted_is_found(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    event = sandbox.opencast.event()
    first = sandbox.opencast.start(event, "noop")
    time.advance(60)
    second = sandbox.opencast.start(event, "noop")
    time.advance(60)
    await oc.workflows.delete(second)
    assert await listed(oc) == [first]


async def test_requests_for_workflows_are_bounded_by_ahead(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.opencast.seed(60)
    running = most = 0
    async with connect() as oc:
        send = oc.workflows._by_events.send

        async def counting(call: Any) -> Any:
            nonlocal running, most
            if not INSTANCES.fullmatch(call.path):
                return await send(call)
            running += 1
            most = max(most, running)
            try:
                return await send(call)
            finally:
                running -= 1

        oc.workflows._by_events.send = counting
        assert len(await listed(oc, ahead=3)) == 60
    assert most == 3


# Without ROLE_ADMIN


@later
async def test_without_admin_the_started_workflows_come_first_and_then_the_error(
    sandbox: Sandbox, connect: Connect, time: ManualClock
) -> None:
    others = [sandbox.opencast.event() for _ in range(3)]
    for event in others:
        sandbox.opencast.start(event, "publish")
    own = sandbox.opencast.event()
    sandbox.opencast.event()
    async with connect(auth=INTEGRATION) as oc:
        first = (await oc.workflows.start(own, "noop")).id
        time.advance(60)
        second = (await oc.workflows.start(own, "publish")).id
        found, error = await until_incomplete(oc)
        assert [(w.id, w.source, w.superseded_by) for w in found] == [(first, "known", second), (second, "known", None)]
        assert isinstance(error, ListingNotSupported)
        assert set(error.events) == {own, *others}
        assert (error.role, error.version) == ("ROLE_ADMIN", (await oc.version()).default)
        assert "the workflows of 4 events are not all known" in str(error)
        assert "instances.json (403, which needs ROLE_ADMIN)" in str(error)
        refused = sum(bool(INSTANCES.fullmatch(path)) for path in paths(sandbox))
        await until_incomplete(oc)
    assert refused == sum(bool(INSTANCES.fullmatch(path)) for path in paths(sandbox)) == 2
    assert paths(sandbox).count("/api/workflows") - 2 == 1  # two starts


async def test_without_admin_active_workflows_of_this_client_are_complete(
    sandbox: Sandbox, connect: Connect, time: ManualClock
) -> None:
    sandbox.opencast.seed(5, definitions=["noop"], age=600)
    async with connect(auth=INTEGRATION) as oc:
        ids = [(await oc.workflows.start(sandbox.opencast.event(), "publish")).id for _ in range(3)]
        time.advance(10)
        assert sorted(await listed(oc, state="running")) == ids
        assert await listed(oc, state="running", definition_id="fast") == []
        assert await listed(oc, state="paused") == []
        sandbox.opencast.start(sandbox.opencast.event(), "publish")
        time.advance(10)
        found, error = await until_incomplete(oc, state="running")
        assert (len(found), len(error.events)) == (3, 1)


async def test_a_batch_and_a_reconciled_start_are_known_too(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(auth=INTEGRATION) as oc:
        event = sandbox.opencast.event()
        async with oc.workflows.run_all([oc.workflows.prepare_start(event, "noop")]) as results:
            (result,) = [result async for result in results]
        found, _ = await until_incomplete(oc)
        assert [w.id for w in found] == [result.id]
    async with connect() as oc:
        ticket = oc.workflows.prepare_start(event, "noop", baseline=0)
        await oc.workflows.reconcile(ticket, wait=0)
        assert oc.workflows._starts.known.of(event) == (result.id,)


async def test_a_limit_ends_the_listing_without_the_error(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(auth=INTEGRATION) as oc:
        id = (await oc.workflows.start(sandbox.opencast.event(), "publish")).id
        assert await listed(oc, limit=1) == [id]


async def test_a_user_who_may_read_no_events_learns_which_role_is_missing(connect: Connect) -> None:
    async with connect(auth=VIEWER) as oc:
        _, error = await until_incomplete(oc)
    assert error.role == "ROLE_API_EVENTS_VIEW"
    assert "GET /api/events (403, which needs ROLE_API_EVENTS_VIEW)" in str(error)


async def test_a_known_workflow_that_was_deleted_or_may_not_be_read_is_left_out(
    sandbox: Sandbox, connect: Connect, time: ManualClock
) -> None:
    event = sandbox.opencast.event()
    async with connect(auth=INTEGRATION) as oc, connect() as admin:
        ids = []
        for _ in range(2):
            ids.append((await oc.workflows.start(event, "noop")).id)
            time.advance(60)
        await admin.workflows.delete(ids[0])
        sandbox.opencast.faults = Faults(paths=f"/api/workflows/{ids[1]}", rates={CannedResponse(403): 1.0})
        assert (await until_incomplete(oc))[0] == []
        sandbox.opencast.faults = Faults()
        assert [w.id for w in (await until_incomplete(oc))[0]] == ids[1:]
        assert oc.workflows._starts.known.of(event) == (ids[1],)


# Events and servers that change


@pytest.mark.parametrize("status", [403, 404])
async def test_a_refusal_for_one_event_leaves_the_others(sandbox: Sandbox, oc: OpencastClient, status: int) -> None:
    events = [sandbox.opencast.event(created=DAY * n) for n in (1, 2, 3)]
    ids = [sandbox.opencast.start(event, "publish") for event in events]
    path = f"/workflow/mediaPackage/{events[0]}/instances.json"
    sandbox.opencast.faults = Faults(paths=path, rates={CannedResponse(status): 1.0})
    found, error = await until_incomplete(oc)
    assert [w.id for w in found] == ids[1:]
    assert error.events == (events[0],)
    assert f"instances.json ({status}" in str(error)


async def test_an_event_that_is_deleted_during_the_listing_is_no_error(sandbox: Sandbox, oc: OpencastClient) -> None:
    events = [sandbox.opencast.event(created=DAY * n) for n in (1, 2)]
    ids = [sandbox.opencast.start(event, "publish") for event in events]
    path = f"/workflow/mediaPackage/{events[1]}/instances.json"
    sandbox.opencast.faults = Faults(paths=path, rates={CannedResponse(404): 1.0})
    found = []
    async for workflow in oc.workflows.list(page_size=1):
        found.append(workflow.id)
        del sandbox.opencast.state.event_index._states[events[1]]
    assert found == ids[:1]


async def test_a_workflow_that_can_be_read_at_the_end_is_returned(sandbox: Sandbox, oc: OpencastClient) -> None:
    ids = [sandbox.opencast.start(sandbox.opencast.event(created=DAY * n), "publish") for n in (1, 2)]
    sandbox.opencast.faults = Faults(paths=INSTANCES, script=(CannedResponse(403),))
    assert sorted(await listed(oc)) == ids


async def test_an_id_that_does_not_fit_into_a_path_is_not_requested(sandbox: Sandbox, oc: OpencastClient) -> None:
    event = sandbox.opencast.event(identifier="a/b")
    sandbox.opencast.start(event, "publish")
    found, error = await until_incomplete(oc)
    assert (found, error.events, error.role) == ([], ("a/b",), "")
    assert "try again" in str(error)


async def test_a_connection_that_breaks_in_the_middle_is_an_error_from_which_the_listing_goes_on(
    sandbox: Sandbox, connect: Connect
) -> None:
    ids = sandbox.opencast.seed(45)
    async with connect(retry=Retry(attempts=1)) as oc:
        await oc.workflows.list().first()
        before = len(paths(sandbox))
        cut = Faults(paths=INSTANCES, script=(*[None] * 25, *[Fault.CUT_BODY] * 3))
        sandbox.opencast.faults = cut
        listing = oc.workflows.list(ahead=1)
        items, found, failures = aiter(listing), list[int](), list[str]()
        while len(found) < 45:
            try:
                found.append((await anext(items)).id)
            except TransportError as error:
                failures.append(str(error))
        assert sorted(found) == sorted(ids)
        assert len(failures) == 3
        assert all("the workflows of event" in failure for failure in failures)
    instances = sum(bool(INSTANCES.fullmatch(path)) for path in paths(sandbox)[before:])
    assert instances == 45 + 3  # no event is asked again that was answered


async def test_workflows_that_the_server_cannot_return_are_named_or_skipped(sandbox: Sandbox, connect: Connect) -> None:
    events = [sandbox.opencast.event(created=DAY * n) for n in (1, 2)]
    ids = [sandbox.opencast.start(event, "publish") for event in events]
    path = f"/workflow/mediaPackage/{events[0]}/instances.json"
    sandbox.opencast.faults = Faults(paths=path, rates={CannedResponse(500, body="text"): 1.0})
    async with connect(retry=Retry(attempts=1)) as oc:
        with pytest.raises(ServerError, match=f"the workflows of event {events[0]}"):
            await listed(oc)
        listing = oc.workflows.list(unreadable="skip")
        assert [w.id async for w in listing] == ids[1:]
        (row,) = listing.report.unreadable
        assert f"the workflows of event {events[0]}" in row.faults[0]


async def test_a_workflow_that_cannot_be_read_does_not_hide_the_others(sandbox: Sandbox, oc: OpencastClient) -> None:
    events = [sandbox.opencast.event(created=DAY * n) for n in (1, 2)]
    ids = [sandbox.opencast.start(event, "publish") for event in events]
    path = f"/workflow/mediaPackage/{events[0]}/instances.json"
    body = '{"workflows": {"workflow": {"id": 7}}}'
    answer = CannedResponse(200, body=body, content_type="application/json")
    sandbox.opencast.faults = Faults(paths=path, rates={answer: 1.0})
    items = aiter(oc.workflows.list())
    assert (await anext(items)).id == ids[1]
    with pytest.raises(DecodeError, match="state"):
        await anext(items)


async def test_a_state_that_moves_between_the_lists_of_events_comes_once(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    event = sandbox.opencast.event()
    id = sandbox.opencast.start(event, "review")
    found = []
    async for page in oc.workflows.list(state_not=["succeeded", "failed", "stopped"]).pages():
        found += [workflow.id for workflow in page.items]
        time.advance(30)
    assert found == [id]


async def test_an_unknown_version_does_not_hide_the_error(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.opencast.start(sandbox.opencast.event(), "publish")
    sandbox.opencast.faults = Faults(paths="/api/version", rates={Fault.CUT_BEFORE: 1.0})
    async with connect(auth=INTEGRATION, retry=Retry(attempts=1)) as oc:
        _, error = await until_incomplete(oc)
    assert (error.version, ConnectionBroken.__name__ in str(error)) == (None, False)


@pytest.mark.parametrize("sandbox", ["11"], indirect=True)
async def test_a_wrong_first_response_does_not_hide_the_list_for_good(sandbox: Sandbox, oc: OpencastClient) -> None:
    ids = sandbox.opencast.seed(3)
    wrong = CannedResponse(200, body="{}", content_type="application/json")
    sandbox.opencast.faults = Faults(paths="/api/workflows", script=(wrong,))
    await until_incomplete(oc)
    assert sorted(await listed(oc)) == sorted(ids)
    assert {w.source async for w in oc.workflows.list()} == {"list"}


async def test_a_server_that_loses_its_list_is_asked_for_the_events(sandbox: Sandbox, oc: OpencastClient) -> None:
    event = sandbox.opencast.event()
    id = sandbox.opencast.start(event, "publish")
    oc.workflows._by_events.routes.has_list = True
    assert [(w.id, w.source) for w in await oc.workflows.for_event(event)] == [(id, "event")]
    assert not oc.workflows._by_events.routes.has_list


# Watching a filter


async def test_without_admin_a_filter_shows_the_workflows_of_this_client_to_their_end(
    sandbox: Sandbox, connect: Connect
) -> None:
    sandbox.opencast.seed(3, definitions=["noop"], age=600)
    async with connect(auth=INTEGRATION) as oc:
        id = (await oc.workflows.start(sandbox.opencast.event(), "fast")).id
        states: list[State] = []
        async with oc.workflows.watch(definition_id="fast") as changes:
            async for change in changes:
                assert isinstance(change, Change)
                assert change.id == id
                states.append(change.workflow.state)
                if change.now.final:
                    break
    assert states[-1] is State.SUCCEEDED
    assert f"/api/workflows/{id}" in paths(sandbox)


async def test_a_filter_whose_workflows_cannot_be_found_ends_the_watch(sandbox: Sandbox, connect: Connect) -> None:
    event = sandbox.opencast.event()
    sandbox.opencast.start(event, "publish")
    async with connect(auth=INTEGRATION) as oc, oc.workflows.watch(state_not="succeeded") as changes:
        with pytest.raises(ListingIncomplete) as caught:
            await anext(changes)
    assert caught.value.events == (event,)


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
async def test_many_workflows_come_whole_and_by_limit(sandbox: Sandbox, oc: OpencastClient, count: int) -> None:
    ids = sandbox.opencast.seed(count)
    assert len(await listed(oc, limit=500)) == 500
    assert len(paths(sandbox)) < 1000
    assert sorted(await listed(oc)) == sorted(ids)
    assert {w.state async for w in oc.workflows.list(state="running", limit=5)} == {State.RUNNING}
