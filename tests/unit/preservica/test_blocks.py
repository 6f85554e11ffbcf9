"""The optional blocks of a list of workflows."""

import pytest

from workflow_async.preservica import PreservicaClient
from workflow_async.sandbox import ManualClock
from workflow_async.sandbox.systems import FakePreservica

BLOCKS = {
    "with_errors": ("includeErrors", "Errors"),
    "with_active_steps": ("includeActiveSteps", "ActiveSteps"),
    "with_step_inputs": ("includeStepInputs", "StepInputs"),
    "with_start_inputs": ("includeStartInputs", "StartInputs"),
    "with_outputs": ("includeOutputs", "Outputs"),
}
"""The parameter of the query and the element, by the flag of `list`."""


@pytest.fixture(autouse=True)
def _workflows(archive: FakePreservica, time: ManualClock) -> None:
    archive.seed(200, age=60.0)
    archive.state.archive.start_workflow(archive.state.archive.contexts["42"], {"a": "b"}, "own")
    time.advance(2.5)


@pytest.mark.parametrize("flag", BLOCKS)
async def test_a_list_has_the_blocks_that_are_requested(
    flag: str, archive: FakePreservica, pv: PreservicaClient
) -> None:
    parameter, element = BLOCKS[flag]
    found = [workflow async for workflow in pv.workflows.list(**{flag: True})]  # type: ignore[arg-type]
    assert {name for workflow in found for name in workflow.extra} & {e for _, e in BLOCKS.values()} == {element}
    pages = [request for request in archive.requests if request.path.endswith("/instances")]
    assert len(pages) > 2
    assert all(request.parameters[parameter] == ["true"] for request in pages)


async def test_without_a_flag_no_block_is_requested(archive: FakePreservica, pv: PreservicaClient) -> None:
    assert await pv.workflows.list(limit=1).first() is not None
    assert "include" not in archive.requests[-1].query


@pytest.mark.parametrize("consistency", ["anchored", "partitioned"])
async def test_an_exact_list_has_the_blocks_too(consistency: str, pv: PreservicaClient) -> None:
    listing = pv.workflows.list(consistency=consistency, with_start_inputs=True)  # type: ignore[arg-type]
    own = [workflow async for workflow in listing if workflow.correlation_id == "own"]
    assert [workflow.extra["StartInputs"] for workflow in own] == [{"Parameter": {"Key": "a", "Value": "b"}}]
