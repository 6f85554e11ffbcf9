"""A durable workflow of DBOS sends its start once, although its process is killed between the start and the record."""

import signal
from collections.abc import Callable

import pytest

from tests.apps.recipes.conftest import HERE, Engine, starts
from tests.support.engine_environment import kill_at_start
from workflow_async.sandbox import Fault, Faults, Sandbox

pytestmark = [pytest.mark.recipe, pytest.mark.timeout(600)]

PROGRAM = str(HERE / "dbos_app.py")


@pytest.fixture
def dbos(engine: Callable[..., Engine]) -> Engine:
    return engine("dbos==3.4.0")


def test_a_process_that_is_killed_after_its_start_finds_it_when_it_runs_again(
    dbos: Engine, quick_sandbox: Sandbox
) -> None:
    arguments = (PROGRAM, quick_sandbox.opencast.event(), "publish")
    kill_at_start(quick_sandbox.opencast, lambda: dbos.started[0])
    assert dbos.start("python", *arguments).wait(60) == -signal.SIGKILL
    assert starts(quick_sandbox) == 1
    assert dbos.output(dbos.start("python", *arguments)) == "succeeded\n"
    assert starts(quick_sandbox) == 1
    assert len(quick_sandbox.opencast.engine.runs) == 1


def test_a_start_whose_answer_is_lost_is_found(dbos: Engine, quick_sandbox: Sandbox) -> None:
    quick_sandbox.opencast.faults = Faults(methods="POST", script=[Fault.CUT_BEFORE])
    process = dbos.start("python", PROGRAM, quick_sandbox.opencast.event(), "publish")
    assert dbos.output(process) == "succeeded\n"
    assert starts(quick_sandbox) == 1
