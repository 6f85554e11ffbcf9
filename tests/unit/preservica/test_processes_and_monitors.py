"""Processes and their monitors over a real socket."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from workflow_async import Clock
from workflow_async.errors import InvalidArgument, NotFound
from workflow_async.preservica import PreservicaClient
from workflow_async.sandbox import Fault, Faults, ManualClock
from workflow_async.sandbox.systems import FakePreservica


async def test_processes_are_listed_by_their_types(archive: FakePreservica, pv: PreservicaClient) -> None:
    assert len([process async for process in pv.processes.list()]) == 4
    assert {process.type async for process in pv.processes.list(type=["S3", "OPEX"])} == {"S3", "OPEX"}
    assert [process.type async for process in pv.processes.list(type="SFTP")] == ["SFTP"]
    assert [request.query for request in archive.requests[1:]] == ["", "types=S3&types=OPEX", "types=SFTP"]


async def test_processes_and_contexts_are_limited_after_the_response(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    assert len([process async for process in pv.processes.list(limit=3)]) == 3
    assert len([context async for context in pv.contexts.list(limit=2)]) == 2
    assert [request.query for request in archive.requests[1:]] == ["", ""]
    for listing in (pv.processes.list, pv.contexts.list):
        with pytest.raises(InvalidArgument, match="^limit"):
            listing(limit=0)


async def test_a_process_is_switched_off_and_on(archive: FakePreservica, pv: PreservicaClient) -> None:
    process = await pv.processes.list(type="OPEX").first()
    assert process is not None
    assert await pv.processes.deactivate(process.id) is False
    assert [p.active async for p in pv.processes.list(type="OPEX")] == [False]
    assert await pv.processes.activate(process.id) is True
    bodies = [request.body for request in archive.requests if request.method == "PUT"]
    assert bodies == [b"false", b"true"]


async def test_a_switch_is_retried_after_an_outage(archive: FakePreservica, pv: PreservicaClient) -> None:
    process = await pv.processes.list().first()
    assert process is not None
    archive.faults = Faults(script=(Fault.SERVER_ERROR, Fault.CUT_BEFORE), methods=("PUT",))
    assert await pv.processes.deactivate(process.id) is False


async def test_an_unknown_process_is_not_found(pv: PreservicaClient) -> None:
    with pytest.raises(NotFound):
        await pv.processes.activate("no-such")


async def test_all_monitors_are_listed_page_by_page(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.seed(130)
    pages = [page async for page in pv.monitors.list().pages()]
    assert [len(page.items) for page in pages] == [25, 25, 25, 25, 25, 5]
    assert {page.total for page in pages} == {130}
    assert len({monitor.id for page in pages for monitor in page.items}) == 130


async def test_the_url_of_the_next_page_never_leads_to_another_host(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.seed(30)
    assert archive.state.archive is not None
    assert len([monitor async for monitor in pv.monitors.list()]) == 30
    assert [request.path for request in archive.requests[1:]] == ["/api/processmonitor/monitors"] * 2


async def test_monitors_are_filtered(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.seed(200, age=60.0)
    listing = pv.monitors.list(status=["Succeeded", "Failed"], category="Ingest", subcategory="OPEX", limit=40)
    found = [monitor async for monitor in listing]
    assert found
    assert {monitor.subcategory for monitor in found} == {"OPEX"}
    assert archive.requests[1].query == "status=Succeeded%2CFailed&category=Ingest&subcategory=OPEX&max=40"


async def test_a_monitor_is_found_by_its_name(archive: FakePreservica, pv: PreservicaClient) -> None:
    started = await pv.workflows.start(42, {"OpexContainerDirectory": "opex/batch, 1"})
    (monitor,) = [monitor async for monitor in pv.monitors.list(name="opex/batch, 1")]
    assert started.workflow is not None
    assert monitor.id == started.workflow.monitor_id


async def test_monitors_since_are_requested_in_the_servers_format(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    await pv.monitors.list(since=datetime(2025, 1, 1, tzinfo=UTC)).first()
    assert archive.requests[-1].parameters == {"startedFrom": ["2025-01-01T00:00:00.000Z"]}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("status", "Active"),
        ("category", "Access"),
        ("subcategory", "a,b"),
        ("name", ""),
        ("since", "2025-01-01"),
        ("limit", 0),
    ],
)
async def test_invalid_filters_of_monitors_are_refused(argument: str, value: Any, pv: PreservicaClient) -> None:
    with pytest.raises(InvalidArgument) as caught:
        pv.monitors.list(**{argument: value})
    assert caught.value.argument == argument


async def test_messages_have_their_workflow_and_are_filtered_and_limited(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    started = await pv.workflows.start(42)
    time.advance(60)
    assert started.workflow is not None
    monitor = started.workflow.monitor_id or ""
    every = [message async for message in pv.monitors.messages(monitor, page_size=3)]
    infos = [message async for message in pv.monitors.messages(monitor, status=["Info", "Error"], page_size=3)]
    assert len(every) > len(infos) > 3
    assert {message.workflow_id for message in every} == {started.id}
    assert {message.status for message in infos} == {"Info"}
    assert [m.id async for m in pv.monitors.messages(monitor, page_size=3, limit=4)] == [m.id for m in every[:4]]


async def test_messages_of_several_monitors_or_of_none_are_refused(pv: PreservicaClient) -> None:
    for monitor in ("a,b", ""):
        with pytest.raises(InvalidArgument, match="^monitor_id"):
            pv.monitors.messages(monitor)
    with pytest.raises(InvalidArgument, match="^page_size"):
        pv.monitors.messages("a", page_size=0)
    with pytest.raises(InvalidArgument, match="^limit"):
        pv.monitors.messages("a", limit=0)


async def test_a_timeseries_is_returned(archive: FakePreservica, pv: PreservicaClient, time: ManualClock) -> None:
    started = await pv.workflows.start(42)
    time.advance(60)
    assert started.workflow is not None
    series = await pv.monitors.timeseries(started.workflow.monitor_id or "")
    assert [point["filesProcessed"] for point in series] == [4, 8, 12, 16]
    with pytest.raises(NotFound):
        await pv.monitors.timeseries("0" * 32)


async def test_monitors_are_requested_as_json_and_workflows_as_xml(scripted: Callable[..., Any], clock: Clock) -> None:
    server = scripted(lambda _: httpx.Response(404))
    async with server.client(clock) as pv:
        for listing in (pv.monitors.list(), pv.processes.list(), pv.contexts.list(), pv.workflows.list()):
            with pytest.raises(NotFound):
                await listing.first()
    accepted = [request.headers["accept"] for request in server.requests]
    assert accepted == ["application/json", "application/json", "application/xml", "application/xml"]
