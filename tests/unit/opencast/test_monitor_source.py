"""What the monitor requests from an Opencast, and how it identifies a record."""

import json
import string
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given, strategies as st

from tests.conftest import FakeTime
from tests.support.stub_clients import MockServer
from workflow_async import OpencastClient
from workflow_async.errors import RateLimited, ServerError
from workflow_async.monitor._engine.bulk import BULK_SIZE
from workflow_async.monitor._engine.observation import conflicting, merged
from workflow_async.opencast import Operation, OperationState, State, Workflow, event_calls
from workflow_async.opencast.monitor_source import OpencastSource, _fits_filter


def workflow(state: str = "running", **more: Any) -> Workflow:
    return Workflow(
        id=7, **{"state": State.read(state), "state_text": state, "event_id": "e", "definition_id": "fast", **more}
    )


def finished(name: str, state: str, handler: str = "") -> Operation:
    return Operation(operation=name, state=OperationState.read(state), state_text=state, error_handler_workflow=handler)


SOURCE = OpencastSource(None)  # type: ignore[arg-type]  # nothing is sent


def is_another(*records: Workflow) -> bool:
    """Return True if the last of these records counts as another workflow than the first."""
    *before, last = map(SOURCE.identity, records)
    known = before[0]
    for identity in before[1:]:
        known = merged(known, identity)
    return conflicting(known, last)


@pytest.mark.parametrize(
    ("other", "replaced"),
    [
        ({"event_id": "other"}, True),
        ({"event_id": "other", "state": "failed"}, True),
        ({"definition_id": "publish"}, True),
        ({"definition_id": "publish", "state": "succeeded"}, True),
        ({"event_id": "", "definition_id": ""}, False),
        ({"definition_id": ""}, False),
        ({"title": "edited", "creator": "another"}, False),
        ({"definition_id": "handler", "state": "failing"}, False),
        ({"definition_id": "handler", "state": "failed"}, False),
        ({"definition_id": "handler", "state": "stopped"}, False),
        ({"definition_id": "handler", "state": "paused", "operations": (finished("a", "failed", "handler"),)}, False),
        ({"definition_id": "publish", "state": "paused", "operations": (finished("a", "failed", "handler"),)}, True),
        ({"definition_id": "publish", "state": "paused", "operations": (finished("a", "succeeded"),)}, True),
    ],
)
def test_a_record_is_of_another_workflow_if_its_event_or_definition_differs(
    other: dict[str, Any], replaced: bool  # noqa: FBT001 - a case
) -> None:  # fmt: skip
    assert is_another(workflow(), workflow(**other)) == replaced
    assert is_another(workflow(), workflow("failing", definition_id="handler"), workflow(**other)) == replaced


def test_a_workflow_first_seen_with_its_error_handler_is_the_same_workflow() -> None:
    assert not is_another(workflow("failing", definition_id="handler"), workflow("failed", definition_id="handler"))


# The list


@pytest.mark.parametrize(("operations", "limit"), [(False, "500"), (True, "200")])
async def test_pages_with_operations_have_fewer_rows(*, operations: bool, limit: str) -> None:
    fake = MockServer("opencast", lambda _: httpx.Response(200, content=b"[]"))
    async with fake.client(FakeTime().clock) as oc:
        assert [row async for row in oc.workflows._poller.source.list_active(operations=operations)] == []
    assert [request.url.params["limit"] for request in fake.requests] == [limit]


# Bulk checks


def events(request: httpx.Request) -> list[str]:
    """Return the ids of the events that a request names."""
    terms = parse_qs(request.url.query.decode())["filter"][0]
    return [term.removeprefix("identifier:") for term in terms.split(",")]


def server() -> MockServer:
    return MockServer(
        "opencast",
        lambda request: httpx.Response(
            200,
            content=json.dumps([{"identifier": id, "processing_state": "RUNNING"} for id in events(request)]),
        ),
    )


async def changed(fake: MockServer, *names: str) -> list[int]:
    known = [workflow(event_id=name) for name in names]
    known = [
        Workflow(id=n, state=one.state, state_text="running", event_id=one.event_id) for n, one in enumerate(known)
    ]
    async with fake.client(FakeTime().clock) as oc:
        return list(await oc.workflows._poller.source.find_changed(known))


UNFIT_IDS = ["a,b", "\ud800", "\n", "", "x" * 101, "\N{SNOWMAN}"]


async def test_an_event_whose_id_does_not_fit_leaves_the_bulk_check_of_the_others_intact() -> None:
    fake = server()
    assert await changed(fake, "e1", *UNFIT_IDS, "a;b", "a:b", "e2") == list(range(1, 1 + len(UNFIT_IDS)))
    (request,) = fake.requests
    assert events(request) == ["e1", "a;b", "a:b", "e2"]


async def test_without_an_event_whose_id_fits_no_request_is_sent() -> None:
    fake = server()
    assert await changed(fake, *UNFIT_IDS) == list(range(len(UNFIT_IDS)))
    assert not fake.requests


@given(st.lists(st.text(string.ascii_letters + "-_.", max_size=300), min_size=BULK_SIZE, max_size=BULK_SIZE))
def test_the_url_of_a_bulk_check_is_short_enough_for_servers(names: list[str]) -> None:
    call = event_calls.event_states([name for name in names if _fits_filter(name)])
    assert len(str(httpx.QueryParams(call.params))) < 8000


# Pauses


@pytest.mark.parametrize(("status", "error"), [(429, RateLimited), (503, ServerError)])
async def test_a_retry_after_is_raised_to_the_monitor_immediately_and_obeyed_by_other_calls(
    status: int, error: type[Exception]
) -> None:
    time = FakeTime()
    fake = MockServer("opencast", lambda _: httpx.Response(status, headers={"retry-after": "7"}))
    async with fake.client(time.clock) as oc:
        assert isinstance(oc, OpencastClient)
        source = oc.workflows._poller.source
        for check in (source.get(7, operations=False), source.find_changed([workflow()])):
            with pytest.raises(error) as caught:
                await check
            assert (caught.value.attempts, caught.value.retry_after) == (1, 7)  # type: ignore[attr-defined]  # it is a CallError
        assert time.naps == []
        with pytest.raises(error):
            await oc.workflows.get(7)
        assert time.naps[0] == 7.5


async def test_an_error_without_a_retry_after_is_retried_for_the_monitor_too() -> None:
    time, fake = FakeTime(), MockServer("opencast", lambda _: httpx.Response(503))
    async with fake.client(time.clock) as oc:
        with pytest.raises(ServerError) as caught:
            await oc.workflows._poller.source.get(7, operations=False)
    assert caught.value.attempts == 4
