"""Records as types of pydantic: validation, serialization and the JSON schema."""

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from tests.unit.test_public import RECORDS, specimen
from workflow_async import Phase, batch, monitor, opencast, preservica
from workflow_async._records.record import Record
from workflow_async._records.schema import json_schema
from workflow_async.errors import NotFound
from workflow_async.monitor import Change, Outcome, WatchEvent

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
KINDS = {name: kind for name, kind in RECORDS.items() if issubclass(kind, Record)}
W = TypeVar("W")
AnyEvent = WatchEvent[opencast.Workflow]
AnyOutcome = Outcome[opencast.Workflow]
AnyResult = batch.Result[opencast.Workflow]


class Model(BaseModel):
    workflow: opencast.Workflow
    others: list[preservica.Workflow] = []


def workflow() -> opencast.Workflow:
    return opencast.Workflow(id=7, state=opencast.State.RUNNING, state_text="running", event_id="e-1")


def schema_of(kind: Any) -> dict[str, Any]:
    return TypeAdapter(kind).json_schema(mode="serialization")


@pytest.mark.parametrize("name", KINDS)
def test_a_record_passes_through_pydantic_and_is_written_as_to_dict(name: str) -> None:
    record, adapter = specimen(KINDS[name], complete=True), TypeAdapter[Any](KINDS[name])
    assert adapter.validate_python(record) is record
    assert adapter.dump_python(record) == record.to_dict()
    assert adapter.dump_python(record, mode="json") == record.to_dict()


@pytest.mark.parametrize("name", KINDS)
def test_the_json_schema_names_every_key_of_to_dict(name: str) -> None:
    schema, members = schema_of(KINDS[name]), specimen(KINDS[name], complete=True).to_dict()
    assert list(schema["properties"]) == schema["required"] == list(members)
    untyped = {key for key, shown in schema["properties"].items() if not {"type", "anyOf", "$ref"} & shown.keys()}
    assert untyped <= {"workflow", "found"}  # events that are not annotated with their workflow


def test_a_model_may_have_fields_of_records() -> None:
    record = preservica.Workflow(id=7, state=preservica.State.ACTIVE, state_text="ACTIVE")
    model = Model(workflow=workflow(), others=[record])
    assert model.model_dump(mode="json") == {"workflow": workflow().to_dict(), "others": [record.to_dict()]}
    names = Model.model_json_schema(mode="serialization")["$defs"].keys()
    assert {f"workflow_async__{system}__records__Workflow" for system in ("opencast", "preservica")} <= names


@pytest.mark.parametrize("value", [{"id": 7}, None, "7", preservica.State.ACTIVE])
def test_pydantic_makes_no_record_of_another_value(value: object) -> None:
    with pytest.raises(ValidationError, match="instance of Workflow"):
        Model(workflow=value)  # type: ignore[arg-type]


def test_the_schema_in_requests_is_the_same() -> None:
    assert TypeAdapter(opencast.Workflow).json_schema(mode="validation") == schema_of(opencast.Workflow)


def test_words_dates_lists_and_mappings_have_their_types() -> None:
    schema = schema_of(opencast.Workflow)
    definitions, properties = schema["$defs"], schema["properties"]
    assert definitions["State"]["enum"] == [state.value for state in opencast.State]
    assert definitions["Phase"]["enum"] == [phase.value for phase in Phase]
    assert properties["created"]["anyOf"] == [{"type": "string", "format": "date-time"}, {"type": "null"}]
    assert properties["operations"]["anyOf"][0] == {"type": "array", "items": {"$ref": "#/$defs/Operation"}}
    assert properties["extra"] == {"type": "object", "additionalProperties": True, "title": "Extra"}
    assert schema["description"] == opencast.Workflow.__doc__


def test_an_event_shows_the_workflow_that_it_is_annotated_with() -> None:
    schema = schema_of(Change[preservica.Workflow])
    assert "current_step" in schema["$defs"]["Workflow"]["properties"]
    assert schema["properties"]["workflow"] == {"$ref": "#/$defs/Workflow"}


def test_an_event_without_an_annotation_shows_any_workflow() -> None:
    assert schema_of(Change)["properties"]["workflow"] == {"title": "Workflow"}


def test_events_of_either_system_show_both_workflows() -> None:
    schema = schema_of(tuple[Change[opencast.Workflow], Change[opencast.Workflow | preservica.Workflow]])
    one, both = (schema["$defs"][item["$ref"].rpartition("/")[2]] for item in schema["prefixItems"])
    assert len(both["properties"]["workflow"]["anyOf"]) == 2
    assert list(one["properties"]["workflow"]) == ["$ref"]


@pytest.mark.parametrize(
    ("union", "record"),
    [
        (AnyEvent, monitor.Vanished(id=7, error=NotFound(404))),
        (AnyOutcome, monitor.TimedOut(id=7, workflow=workflow())),
        (AnyResult, batch.NotStarted(key="k", error=NotFound(404))),
    ],
    ids=["an event", "an outcome", "a result"],
)
def test_each_member_of_a_union_is_written_as_itself(union: Any, record: Record) -> None:
    adapter = TypeAdapter[Any](union)
    assert adapter.dump_python(adapter.validate_python(record), mode="json") == record.to_dict()
    names = {choice["$ref"].rpartition("/")[2] for choice in schema_of(union)["anyOf"]}
    assert any(name.startswith(type(record).__name__) for name in names)


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}),
        (frozenset[str], {"type": "array", "items": {"type": "string"}}),
        (Mapping[str, Any], {"type": "object", "additionalProperties": True}),
        (NotImplementedError, {"type": "string"}),
        (float | None, {"anyOf": [{"type": "number"}, {"type": "null"}]}),
        (object, {}),
        (W, {}),
    ],
    ids=str,
)
def test_every_type_of_a_field_has_a_json_schema(hint: Any, expected: dict[str, Any]) -> None:
    assert GenerateJsonSchema().generate(json_schema(hint, {}), mode="serialization") == expected


def test_to_dict_imports_no_pydantic() -> None:
    script = (
        "import sys; from workflow_async import opencast, monitor; opencast.Me(username='u').to_dict();"
        "print(*[name for name in sys.modules if name.startswith('pydantic')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
