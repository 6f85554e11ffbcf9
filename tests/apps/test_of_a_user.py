"""A test as a user of the library writes it: the user's own function, and the fixture of the pytest plugin."""

import pytest

from workflow_async import OpencastClient, Poll
from workflow_async.errors import StartConflict, WorkflowFailed
from workflow_async.opencast import Workflow
from workflow_async.sandbox import Sandbox, Step, StepResult


async def republish(oc: OpencastClient, event: str) -> Workflow | None:
    """Publish an event again. Return None if it is busy. This is the code under test."""
    try:
        workflow = await oc.workflows.start(event, "publish", {"publishLive": False})
    except StartConflict:
        return None
    return await oc.workflows.wait(workflow.id, poll=Poll(interval=0.01, ceiling=0.02), check=True)


@pytest.fixture
def sandbox(workflow_sandbox: Sandbox) -> Sandbox:
    workflow_sandbox.opencast.define("publish", [Step("encode", 0.05)])
    workflow_sandbox.opencast.define("long", [Step("encode", 3600)])
    return workflow_sandbox


async def test_an_event_is_published(sandbox: Sandbox) -> None:
    fake = sandbox.opencast
    async with OpencastClient(fake.url, auth=fake.auth) as oc:
        done = await republish(oc, fake.event(title="Algebra"))
    assert done is not None
    assert done.state_text == "succeeded"


async def test_a_busy_event_is_left_alone(sandbox: Sandbox) -> None:
    event = sandbox.opencast.event()
    sandbox.opencast.start(event, "long")
    async with OpencastClient(sandbox.opencast.url, auth=sandbox.opencast.auth) as oc:
        assert await republish(oc, event) is None


async def test_a_failure_is_raised(sandbox: Sandbox) -> None:
    sandbox.opencast.define("publish", [Step("encode", 0.05, StepResult.FAILED)])
    async with OpencastClient(sandbox.opencast.url, auth=sandbox.opencast.auth) as oc:
        with pytest.raises(WorkflowFailed, match="encode"):
            await republish(oc, sandbox.opencast.event())
