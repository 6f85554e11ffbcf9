"""Records as JSON types: `to_dict()` and `--json`."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.unit.test_public import RECORDS, specimen
from workflow_async import Phase, batch, monitor, opencast, preservica
from workflow_async._records.record import Record
from workflow_async._records.tree import tree
from workflow_async.cli import records as cli_records
from workflow_async.errors import NotFound
from workflow_async.monitor import Change

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
KINDS = {name: kind for name, kind in RECORDS.items() if issubclass(kind, Record)}
ENCODE = opencast.Operation(
    operation="encode", state=opencast.OperationState.SKIPPED, state_text="skipped", start=NOON, if_="${hd}"
)
WORKFLOW = opencast.Workflow(
    id=1603, state=opencast.State.PAUSED, state_text="paused", event_id="e-1", operations=(ENCODE,)
)


def test_every_record_event_outcome_and_result_has_to_dict() -> None:
    without = {name for name, kind in RECORDS.items() if not hasattr(kind, "to_dict")}
    assert {name for name in without if not name.startswith("workflow_async.settings.")} == set()
    others = {batch.Run, batch.Ticket, batch.StatusKind, batch.Gate, batch.Slot, batch.Journal, batch.Entry}
    results = {getattr(batch, name) for name in batch.__all__} - others
    assert {kind for kind in results if isinstance(kind, type) and not issubclass(kind, Record)} == set()


@pytest.mark.parametrize("complete", [False, True], ids=["required fields", "all fields"])
@pytest.mark.parametrize("name", KINDS)
def test_to_dict_holds_json_types_only(name: str, complete: bool) -> None:  # noqa: FBT001 - a column
    members = specimen(KINDS[name], complete=complete).to_dict()
    assert json.loads(json.dumps(members, allow_nan=False)) == members


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"workflow_async.monitor.events.Change"}))
def test_to_dict_is_what_the_command_line_prints(name: str) -> None:
    record = specimen(KINDS[name], complete=True)
    printed = cli_records.tree(record)
    printed.pop("source", None)  # says where a list found a workflow
    assert list(record.to_dict().items()) == list(printed.items())


@pytest.mark.parametrize("name", KINDS)
def test_to_dict_costs_an_instance_nothing(name: str) -> None:
    assert not hasattr(specimen(KINDS[name], complete=False), "__dict__")
    assert Record.__slots__ == ()


def test_to_dict_holds_the_words_of_the_server_and_the_phase() -> None:
    members = WORKFLOW.to_dict()
    assert (members["id"], members["state"], members["phase"]) == (1603, "paused", "parked")
    (operation,) = members["operations"]
    assert (operation["state"], operation["start"], operation["if"]) == ("skipped", "2026-03-04T12:00:00.000Z", "${hd}")


def test_to_dict_of_a_preservica_workflow_has_the_spelling_of_queries_and_the_phase() -> None:
    record = preservica.Workflow(id=7, state=preservica.State.ACTIVE, state_text="ACTIVE", started=NOON)
    members = record.to_dict()
    assert (members["state"], members["state_text"], members["phase"]) == ("Active", "ACTIVE", "running")
    assert (members["started"], members["finished"]) == ("2026-03-04T12:00:00.000Z", None)


def test_to_dict_of_a_change_holds_the_whole_workflow() -> None:
    change = Change(workflow=WORKFLOW, was=None, now=Phase.PARKED, seen_at=NOON, key="k")
    assert change.to_dict() == {
        "workflow": WORKFLOW.to_dict(),
        "was": None,
        "now": "parked",
        "seen_at": "2026-03-04T12:00:00.000Z",
        "operations": [],
        "key": "k",
        "id": 1603,
    }


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (monitor.Finished(workflow=WORKFLOW), {"id": 1603, "succeeded": False}),
        (monitor.ConditionMet(workflow=WORKFLOW), {"id": 1603, "succeeded": True}),
        (monitor.TimedOut(id=7), {"id": 7, "succeeded": False, "workflow": None}),
        (monitor.Vanished(id=7, error=NotFound(404)), {"error": str(NotFound(404))}),
        (batch.NotStarted(key="k", error=NotFound(404)), {"key": "k", "id": None, "succeeded": False}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_to_dict_of_an_outcome_holds_the_id_the_success_and_the_error(record: Any, expected: dict[str, Any]) -> None:
    assert expected.items() <= record.to_dict().items()


def test_an_instant_is_written_in_utc() -> None:
    assert tree(NOON.astimezone(timezone(timedelta(hours=2)))) == "2026-03-04T12:00:00.000Z"


def test_a_value_that_json_does_not_have_becomes_a_text_or_a_list() -> None:
    assert tree({1: timedelta(seconds=1), "set": {1}}) == {"1": "0:00:01", "set": [1]}


def test_the_location_of_a_start_has_no_key() -> None:
    record = opencast.Workflow(
        id=1, state=opencast.State.RUNNING, state_text="running", event_id="e", location="https://oc/api/workflows/1"
    )
    assert "location" not in record.to_dict()
