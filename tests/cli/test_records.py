import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from workflow_async import opencast, preservica
from workflow_async.cli.records import tree
from workflow_async.cli.showing import facts
from workflow_async.cli.systems.opencast import OpencastSystem
from workflow_async.cli.systems.preservica import PreservicaSystem
from workflow_async.cli.timeline import Span, total_duration

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def spans(record: opencast.Workflow | preservica.Workflow) -> Sequence[Span]:
    if isinstance(record, opencast.Workflow):
        return OpencastSystem(opencast.OpencastClient("https://oc.example.org", auth=("u", "p"))).spans(record)
    client = preservica.PreservicaClient("pv.example.org", username="u", password="p", tenant="T")
    return PreservicaSystem(client).spans(record)


def lasted(record: opencast.Workflow | preservica.Workflow, now: datetime) -> timedelta | None:
    return total_duration(spans(record), now)


def workflow(state: opencast.State, *operations: opencast.Operation) -> opencast.Workflow:
    return opencast.Workflow(id=1603, state=state, state_text=state.value, event_id="e-1", operations=operations)


def encode(state: opencast.OperationState, start: datetime | None = None) -> opencast.Operation:
    return opencast.Operation(operation="encode", state=state, state_text=state.value, start=start, if_="${hd}")


def test_a_record_is_converted_for_json() -> None:
    record = tree(workflow(opencast.State.PAUSED, encode(opencast.OperationState.SKIPPED, NOON)))
    assert record["id"] == 1603
    assert (record["state"], record["phase"]) == ("paused", "parked")
    assert record["operations"][0]["state"] == "skipped"
    assert record["operations"][0]["start"] == "2026-03-04T12:00:00.000Z"
    assert json.loads(json.dumps(record)) == record


def test_a_preservica_workflow_is_one_span_named_by_its_step() -> None:
    record = preservica.Workflow(
        id=7,
        state=preservica.State.ACTIVE,
        state_text="ACTIVE",
        current_step="Store",
        context_name="Ingest",
        started=NOON,
    )
    (span,) = spans(record)
    assert (span.name, span.done) == ("Store", False)
    assert lasted(record, NOON + timedelta(seconds=5)) == timedelta(seconds=5)


def test_a_running_operation_of_a_stopped_workflow_has_ended() -> None:
    record = workflow(opencast.State.STOPPED, encode(opencast.OperationState.RUNNING, NOON))
    assert lasted(record, NOON + timedelta(days=1)) == timedelta(0)


def test_the_duration_without_operations_is_none() -> None:
    assert lasted(workflow(opencast.State.RUNNING), NOON) is None


def test_facts_have_dotted_names_and_no_empty_values() -> None:
    record = {"title": "Optics", "creator": None, "text": "", "extra": {"errors": [{"code": 7}]}, "ok": False}
    assert list(facts(record)) == [("title", "Optics"), ("extra.errors.0.code", "7"), ("ok", "False")]
