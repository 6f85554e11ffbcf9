"""Defects of pyPreservica 4.2.2 that this library does not have.

The numbers are those of tests/contract/preservica.md, section 1.7.
"""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import anyio
import httpx
import pytest

from workflow_async import Clock, Retry, Timeouts
from workflow_async.errors import (
    DeadlineExceeded,
    Forbidden,
    InvalidArgument,
    ResponseMismatch,
    ServerError,
    StartOutcomeUnknown,
    Unauthorized,
    UnexpectedContent,
)
from workflow_async.preservica import PreservicaClient
from workflow_async.sandbox import Fault, Faults, ManualClock
from workflow_async.sandbox.systems import FakePreservica

INSTANCES = "/sdb/rest/workflow/instances"
CONTEXTS = "/sdb/rest/workflow/contexts"

Scripted = Callable[..., Any]


def instances(*rows: str, total: int | None = None) -> httpx.Response:
    count = "" if total is None else f"<TotalCount>{total}</TotalCount><Count>{len(rows)}</Count>"
    text = f'<WorkflowInstances xmlns="http://workflow.preservica.com">{count}{"".join(rows)}</WorkflowInstances>'
    return httpx.Response(200, text=text)


def row(id: int, more: str = "", state: str = "ACTIVE") -> str:
    return f"<WorkflowInstance>{more}<Id>{id}</Id><State>{state}</State></WorkflowInstance>"


def one(more: str = "", state: str = "ACTIVE") -> httpx.Response:
    return httpx.Response(200, text=row(7, more, state))


async def test_01_the_start_document_has_no_blank_in_its_tag(scripted: Scripted, clock: Clock) -> None:
    server = scripted(lambda _: httpx.Response(201))
    async with server.client(clock) as pv:
        await pv.workflows.start(42)
    body = server.requests[0].content
    assert b'<StartWorkflowRequest xmlns="http://workflow.preservica.com">' in body
    assert body.endswith(b"</StartWorkflowRequest>")


async def test_02_a_start_returns_the_id_of_the_new_workflow(archive: FakePreservica, pv: PreservicaClient) -> None:
    started = await pv.workflows.start(42)
    assert started.id is not None
    assert (await pv.workflows.get(started.id)).correlation_id == archive.starts[0]


async def test_03_a_started_workflow_can_be_read(pv: PreservicaClient, time: ManualClock) -> None:
    started = await pv.workflows.start(42)
    time.advance(60)
    assert started.id is not None
    assert (await pv.workflows.get(started.id)).started is not None


async def test_04_rows_and_single_workflows_have_the_same_aware_instants_with_milliseconds(
    scripted: Scripted, clock: Clock
) -> None:
    started = "<Started>2025-11-18T09:15:02.123Z</Started>"
    server = scripted(lambda request: one(started) if request.url.path.endswith("/7") else instances(row(7, started)))
    async with server.client(clock) as pv:
        single = await pv.workflows.get(7)
        listed = await pv.workflows.list().first()
    assert single == listed
    assert single.started == datetime(2025, 11, 18, 9, 15, 2, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2025-11-18T09:15:02Z", 0),
        ("2025-11-18T09:15:02.1Z", 100_000),
        ("2025-11-18T09:15:02.123456789Z", 123_456),
        ("2025-11-18T10:15:02.123+01:00", 123_000),
        ("2025-11-18T04:45:02.123-0430", 123_000),
    ],
)
async def test_05_every_form_of_an_instant_is_read(
    text: str, microsecond: int, scripted: Scripted, clock: Clock
) -> None:
    async with scripted(lambda _: one(f"<Started>{text}</Started>")).client(clock) as pv:
        workflow = await pv.workflows.get(7)
    assert workflow.started == datetime(2025, 11, 18, 9, 15, 2, microsecond, tzinfo=UTC)


async def test_06_a_listing_accepts_datetimes_and_explains_an_invalid_date(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    await pv.workflows.list(since=datetime(2025, 1, 1, tzinfo=UTC)).first()
    assert archive.requests[-1].parameters["from"] == ["2025-01-01T00:00:00.000Z"]
    day: Any = date(2025, 1, 1)
    with pytest.raises(InvalidArgument, match="^since: must be an aware datetime"):
        pv.workflows.list(since=day)


async def test_07_a_row_without_its_optional_elements_is_read(scripted: Scripted, clock: Clock) -> None:
    async with scripted(lambda _: instances(row(1), row(2), total=2)).client(clock) as pv:
        assert [(w.id, w.display_state, w.context_id) async for w in pv.workflows.list()] == [
            (1, None, None),
            (2, None, None),
        ]


async def test_08_an_empty_page_below_the_total_is_requested_once_more_and_then_ends_the_listing(
    scripted: Scripted, clock: Clock
) -> None:
    pages = [instances(row(1), row(2), total=5), instances(total=5), instances(total=5)]
    server = scripted(lambda _: pages.pop(0))
    async with server.client(clock) as pv:
        assert [w.id async for w in pv.workflows.list()] == [1, 2]
    assert [request.url.params["start"] for request in server.requests] == ["0", "2", "2"]


async def test_08_an_empty_page_below_a_total_that_then_shrinks_is_the_end(scripted: Scripted, clock: Clock) -> None:
    pages = [instances(row(1), row(2), total=5), instances(total=5), instances(total=2)]
    server = scripted(lambda _: pages.pop(0))
    async with server.client(clock) as pv:
        assert [w.id async for w in pv.workflows.list()] == [1, 2]


async def test_09_a_listing_of_all_states_misses_nothing_while_workflows_move_and_new_workflows_appear(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    ids = archive.seed(500)
    found = []
    async for page in pv.workflows.list(page_size=50).pages():
        found += [workflow.id for workflow in page.items]
        time.advance(5)
        await pv.workflows.start(42)
    assert sorted(found) == ids


async def test_10_parameters_map_any_text_to_texts_numbers_and_booleans(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    await pv.workflows.start(44, {"maxDepth": 8, "follow links": True, "from": "x"})
    with archive.lock:
        (run,) = archive.engine.all()
        assert dict(run.parameters) == {"maxDepth": "8", "follow links": "true", "from": "x"}


async def test_11_an_id_can_be_a_text_and_another_id_in_the_response_is_a_typed_error(
    scripted: Scripted, clock: Clock
) -> None:
    async with scripted(lambda _: one()).client(clock, retry=Retry(attempts=1)) as pv:
        assert (await pv.workflows.get("7")).id == 7
        with pytest.raises(ResponseMismatch) as caught:
            await pv.workflows.get(5)
    assert (caught.value.asked, caught.value.answered) == ("workflow 5", "workflow 7")


async def test_12_an_id_and_a_state_within_a_step_belong_to_the_step(scripted: Scripted, clock: Clock) -> None:
    steps = "<Steps><Step><Id>9001</Id><State>COMPLETED</State></Step></Steps>"
    async with scripted(lambda _: one(steps)).client(clock) as pv:
        workflow = await pv.workflows.get(7)
    assert (workflow.id, workflow.state_text) == (7, "ACTIVE")
    assert workflow.extra["Steps"]["Step"]["Id"] == "9001"


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "Not your workflow"},
        {"json": {"success": False, "message": "Not your workflow"}},
        {"text": "<ErrorResponse><Message>Not your workflow</Message></ErrorResponse>"},
    ],
)
async def test_13_an_error_has_its_own_type_and_the_servers_message(
    answer: dict[str, Any], scripted: Scripted, clock: Clock
) -> None:
    async with scripted(lambda _: httpx.Response(403, **answer)).client(clock) as pv:
        with pytest.raises(Forbidden) as caught:
            await pv.workflows.get(7)
    assert (caught.value.status, caught.value.message) == (403, "Not your workflow")
    where = "GET https://pv.example.org/sdb/rest/workflow/instances/7?includeErrors=true"
    assert str(caught.value).startswith(f"{where}: 403 Forbidden: Not your workflow: this call needs the Enterprise")


async def test_14_a_listing_refused_with_401_is_requested_again_with_the_same_query(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(script=(Fault.UNAUTHORIZED,), paths=(CONTEXTS,))
    assert await pv.contexts.list(type="Ingest").first()
    assert [e.query for e in archive.requests if e.path == CONTEXTS] == ["type=Ingest", "type=Ingest"]


async def test_15_a_start_refused_with_401_is_sent_again_with_the_same_bytes(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(script=(Fault.UNAUTHORIZED,), paths=(INSTANCES,))
    started = await pv.workflows.start(42)
    first, second = (exchange for exchange in archive.requests if exchange.path == INSTANCES)
    assert first.body == second.body
    assert archive.starts == [started.correlation_id]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_16_a_permanent_401_costs_two_requests_and_two_logins_and_is_a_typed_error(
    method: str, archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(rates={Fault.UNAUTHORIZED: 1.0}, paths=("/sdb/",))
    with pytest.raises(Unauthorized):
        await (pv.workflows.get(7) if method == "GET" else pv.workflows.start(42))
    assert archive.logins == 2
    assert len(archive.requests) == 4


async def test_17_many_calls_with_a_permanent_401_all_end(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.faults = Faults(rates={Fault.UNAUTHORIZED: 1.0}, paths=("/sdb/",))
    refused: list[Unauthorized] = []

    async def one() -> None:
        try:
            await pv.workflows.get(7)
        except Unauthorized as error:
            refused.append(error)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(one)
    assert len(refused) == 50
    assert threading.active_count() < 10


async def test_18_a_call_sent_again_after_a_401_has_its_timeouts_too(
    archive: FakePreservica, connect: Callable[..., PreservicaClient]
) -> None:
    short = Timeouts(call=5.0, exchange=0.1)
    async with connect(timeouts=short, retry=Retry(attempts=1)) as pv:
        await pv.contexts.list().first()
        archive.state.revoke()
        archive.faults = Faults(latency=(60.0, 60.0), paths=("/api/accesstoken/",))
        with anyio.fail_after(30), pytest.raises(DeadlineExceeded):
            await pv.contexts.list().first()


@pytest.mark.parametrize(
    ("fault", "kind", "attempts"), [(Fault.SERVER_ERROR, ServerError, 4), (Fault.LOGIN_PAGE, UnexpectedContent, 2)]
)
async def test_19_a_page_in_place_of_a_login_response_is_a_typed_error_after_few_attempts(
    fault: Fault, kind: type[Exception], attempts: int, archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(rates={fault: 1.0}, paths=("/api/accesstoken/",))
    with pytest.raises(kind, match="POST .*/api/accesstoken/login"):
        await pv.contexts.list().first()
    assert len(archive.requests) == attempts


async def test_20_a_call_to_a_server_that_never_responds_times_out(
    archive: FakePreservica, connect: Callable[..., PreservicaClient]
) -> None:
    async with connect(timeouts=Timeouts(call=0.3, exchange=0.2)) as pv:
        await pv.contexts.list().first()
        archive.faults = Faults(latency=(60.0, 60.0), paths=("/sdb/",))
        with anyio.fail_after(30), pytest.raises(DeadlineExceeded):
            await pv.workflows.get(7)
        with anyio.fail_after(30), pytest.raises(StartOutcomeUnknown):
            await pv.workflows.start(42)


async def test_21_monitors_and_messages_are_listed_to_the_last_page_without_a_repeated_parameter(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    archive.seed(60, age=60.0)
    monitors = [monitor async for monitor in pv.monitors.list(category=["Ingest", "Export"])]
    assert len(monitors) > 25
    done = next(monitor for monitor in monitors if monitor.status == "Succeeded")
    assert [message async for message in pv.monitors.messages(done.id, status=["Info", "Warning"], page_size=2)]
    for request in archive.requests[1:]:
        assert all(len(values) == 1 for values in request.parameters.values())
