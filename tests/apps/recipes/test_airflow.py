"""A task of Airflow whose first try lost the answer of its start finds the workflow in its second try."""

import json
import shutil
from collections.abc import Callable

import pytest

from tests.apps.recipes.conftest import HERE, Engine, starts
from workflow_async.sandbox import Fault, Faults, Sandbox

pytestmark = [pytest.mark.recipe, pytest.mark.timeout(900)]


@pytest.fixture
def airflow(engine: Callable[..., Engine]) -> Engine:
    """Prepare an Airflow with this one DAG, and a delay of one second between tries."""
    made = engine("apache-airflow==3.3.2")
    dags = made.folder / "dags"
    dags.mkdir()
    shutil.copy(HERE / "airflow_app.py", dags)
    core = {"LOAD_EXAMPLES": "False", "DAGS_FOLDER": str(dags), "DEFAULT_TASK_RETRY_DELAY": "1"}
    made.variables |= {f"AIRFLOW__CORE__{name}": value for name, value in core.items()}
    made.variables |= {"AIRFLOW_HOME": str(made.folder), "PYTHONPATH": str(dags)}
    made.output(made.start("airflow", "db", "migrate"), timeout=300)
    return made


def test_a_task_starts_a_workflow_once_and_a_trigger_waits_for_its_end(airflow: Engine, quick_sandbox: Sandbox) -> None:
    quick_sandbox.opencast.faults = Faults(methods="POST", script=[Fault.CUT_BEFORE])
    given = json.dumps({"event": quick_sandbox.opencast.event()})
    log = airflow.output(airflow.start("airflow", "dags", "test", "publish", "--conf", given), timeout=300)
    assert "state=success" in log
    assert "StartOutcomeUnknown" in log
    assert starts(quick_sandbox) == 1
    assert len(quick_sandbox.opencast.engine.runs) == 1
