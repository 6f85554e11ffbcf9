"""Starts on a Preservica: each is sent once, and its result is true."""

from typing import Any

import httpx
import pytest

from workflow_async import Clock, Phase
from workflow_async.errors import (
    BadRequest,
    ConnectFailed,
    Forbidden,
    InvalidArgument,
    NotFound,
    StartOutcomeUnknown,
)
from workflow_async.preservica import Context, PreservicaClient
from workflow_async.sandbox import Fault, Faults
from workflow_async.sandbox.systems import FakePreservica

INSTANCES = "/sdb/rest/workflow/instances"


async def test_a_start_returns_id_correlation_id_and_workflow(archive: FakePreservica, pv: PreservicaClient) -> None:
    started = await pv.workflows.start(42, {"OpexContainerDirectory": "opex/batch-1"})
    assert started.workflow is not None
    assert started.id == started.workflow.id
    assert archive.starts == [started.correlation_id]
    assert started.workflow.correlation_id == started.correlation_id
    assert (started.workflow.context_id, started.workflow.phase) == ("42", Phase.WAITING)


async def test_every_start_has_its_own_correlation_id_unless_one_is_given(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    first, second = await pv.workflows.start(42), await pv.workflows.start(42)
    await pv.workflows.start(42, correlation_id="my mark")
    assert first.correlation_id != second.correlation_id
    assert archive.starts == [first.correlation_id, second.correlation_id, "my mark"]


@pytest.mark.parametrize("context", [43, "43", "Ingest Packages", Context(id="43", name="Ingest Packages")])
async def test_a_context_is_a_record_an_id_or_a_name(context: Context | int | str, pv: PreservicaClient) -> None:
    started = await pv.workflows.start(context)
    assert started.workflow is not None
    assert started.workflow.context_id == "43"


@pytest.mark.parametrize("context", ["", " ", True, -1, None, 1.5])
async def test_a_value_that_is_not_a_context_is_refused_before_a_request_is_sent(
    context: Any, archive: FakePreservica, pv: PreservicaClient
) -> None:
    with pytest.raises(InvalidArgument, match="^context: must be"):
        await pv.workflows.start(context)
    assert archive.requests == []


async def test_a_start_of_an_unknown_context_is_not_found(archive: FakePreservica, pv: PreservicaClient) -> None:
    with pytest.raises(NotFound, match="No workflow context"):
        await pv.workflows.start("no such")
    assert archive.starts == []


@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.CUT_BEFORE, Fault.CUT_BODY])
async def test_a_start_of_unknown_outcome_is_sent_once_and_its_error_says_what_to_look_for(
    fault: Fault, archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(rates={fault: 1.0}, methods=("POST",), paths=(INSTANCES,))
    with pytest.raises(StartOutcomeUnknown) as caught:
        await pv.workflows.start(Context(id="42", name="Ingest OPEX (Incremental)"), correlation_id="mark-1")
    unknown = caught.value
    assert archive.starts == ["mark-1"]
    assert unknown.correlation_id == "mark-1"
    wanted = "the correlation id 'mark-1' among the workflows of context 'Ingest OPEX (Incremental)'"
    assert unknown.look_for == wanted
    assert wanted in str(unknown)


async def test_the_correlation_id_of_the_error_finds_the_workflow(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(script=(Fault.CUT_BEFORE,), methods=("POST",), paths=(INSTANCES,))
    with pytest.raises(StartOutcomeUnknown) as caught:
        await pv.workflows.start(42)
    found = [w async for w in pv.workflows.list(context=42) if w.correlation_id == caught.value.correlation_id]
    assert len(found) == 1


@pytest.mark.parametrize(("status", "kind"), [(400, BadRequest), (403, Forbidden), (404, NotFound)])
async def test_a_start_that_is_refused_was_not_started(
    status: int, kind: type[Exception], scripted: Any, clock: Clock
) -> None:
    server = scripted(lambda _: httpx.Response(status, text="no"))
    async with server.client(clock) as pv:
        with pytest.raises(kind):
            await pv.workflows.start(42)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_any_successful_response_is_a_start_even_without_a_body(status: int, scripted: Any, clock: Clock) -> None:
    server = scripted(lambda _: httpx.Response(status))
    async with server.client(clock) as pv:
        started = await pv.workflows.start("Ingest", correlation_id="mark-1")
    assert (started.id, started.correlation_id, started.workflow) == (None, "mark-1", None)


@pytest.mark.parametrize("answer", [{"status_code": 204}, {"status_code": 200, "html": "<html>portal</html>"}])
async def test_a_successful_response_of_another_kind_leaves_a_start_unknown(
    answer: dict[str, Any], scripted: Any, clock: Clock
) -> None:
    server = scripted(lambda _: httpx.Response(**answer))
    async with server.client(clock) as pv:
        with pytest.raises(StartOutcomeUnknown, match="of context 42"):
            await pv.workflows.start(42)
    assert len(server.requests) == 1


async def test_a_start_that_cannot_connect_was_not_sent(scripted: Any, clock: Clock) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with scripted(refuse).client(clock) as pv:
        with pytest.raises(ConnectFailed):
            await pv.workflows.start(42)
