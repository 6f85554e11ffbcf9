"""The lists of the documentation of pyPreservica's Workflow API, row by row, over a socket."""

from typing import Any, get_args

import pytest

from workflow_async.preservica import PreservicaClient, State, WorkflowType
from workflow_async.sandbox import ManualClock
from workflow_async.sandbox.systems import FakePreservica

CRAWL = "com.preservica.core.workflow.web.crawl.and.ingest"
TYPES = ("Ingest", "Access", "Transformation", "DataManagement")
STATES = ("Aborted", "Active", "Completed", "Finished_Mixed_Outcome", "Pending", "Suspended", "Unknown", "Failed")


def test_the_types_of_the_document_are_those_of_the_annotation() -> None:
    assert get_args(WorkflowType) == TYPES


@pytest.mark.parametrize("type", TYPES)
async def test_contexts_of_a_type_are_listed(type: Any, archive: FakePreservica, pv: PreservicaClient) -> None:
    found = [context.id async for context in pv.contexts.list(type=type)]
    known = archive.state.archive.contexts.values()
    assert found == [context.id for context in known if context.active and context.type == type]
    assert archive.requests[-1].query == f"type={type}"


async def test_contexts_of_a_definition_are_listed(archive: FakePreservica, pv: PreservicaClient) -> None:
    assert [context.name async for context in pv.contexts.list(definition_id=CRAWL)] == ["Web Crawl & Ingest"]
    assert archive.requests[-1].parameters == {"workflowDefinitionId": [CRAWL]}


@pytest.mark.parametrize("state", STATES)
async def test_workflows_in_a_state_are_listed(
    state: str, archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    ids = archive.seed(60, age=120.0)
    active = archive.seed(2, contexts=["42"])
    time.advance(1)
    await pv.workflows.terminate(active[0])
    time.advance(30)
    archive.seed(2, contexts=["42"])
    every = [workflow async for workflow in pv.workflows.list()]
    found = [workflow async for workflow in pv.workflows.list(state=state)]
    assert {workflow.id for workflow in found} == {w.id for w in every if w.state is State.read(state)}
    assert archive.requests[-1].parameters["state"] == [state]
    assert len(every) > len(ids)


@pytest.mark.parametrize("type", TYPES)
async def test_workflows_of_a_type_and_a_state_are_listed(
    type: Any, archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.seed(60, age=120.0)
    contexts = archive.state.archive.contexts
    found = [workflow async for workflow in pv.workflows.list(state="Completed", type=type)]
    assert {contexts[workflow.context_id or ""].type for workflow in found} <= {type}
    assert {workflow.state for workflow in found} <= {State.COMPLETED}
    assert archive.requests[-1].parameters["type"] == [type]


async def test_a_workflow_is_returned_by_its_id(archive: FakePreservica, pv: PreservicaClient) -> None:
    (id,) = archive.seed(1)
    assert (await pv.workflows.get(id)).id == id


async def test_a_context_object_is_started(archive: FakePreservica, pv: PreservicaClient) -> None:
    context = await pv.contexts.list(type="Ingest").first()
    assert context is not None
    started = await pv.workflows.start(context)
    assert started.workflow is not None
    assert (started.workflow.context_id, started.workflow.context_name) == (context.id, context.name)


async def test_the_web_crawl_of_the_example_is_started_with_its_parameters(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    context = await pv.contexts.list(definition_id=CRAWL).first()
    assert context is not None
    started = await pv.workflows.start(context, {"seedUrl": "", "maxDepth": "8", "maxHops": "10"})
    assert started.id is not None
    run = archive.engine.get(started.id)
    assert run is not None
    assert run.parameters == {"seedUrl": "", "maxDepth": "8", "maxHops": "10"}
