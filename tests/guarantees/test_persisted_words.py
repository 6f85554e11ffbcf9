"""JSON keys, words and exit codes that other processes read do not change."""

import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from workflow_async import Phase, opencast, preservica
from workflow_async.batch.entries import StatusKind
from workflow_async.batch.schema import ENTRY, START
from workflow_async.batch.start_records import OpencastStart, PreservicaStart, StartRecord
from workflow_async.batch.tickets import Ticket
from workflow_async.cli import records
from workflow_async.cli.exit_codes import Exit
from workflow_async.cli.reporting import Row
from workflow_async.cli.summary import Summary
from workflow_async.cli.tally import COLUMNS, WaitResult
from workflow_async.monitor import Change
from workflow_async.monitor.watch_spec import Cursor, SavedOperation, SavedWorkflow, WatchSpec

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def keys(tree: Any) -> Any:
    """Return the keys of JSON objects, without their values."""
    if isinstance(tree, dict):
        return {key: keys(value) for key, value in tree.items()}
    return [keys(value) for value in tree] if isinstance(tree, list) else None


def names(*words: str) -> dict[str, None]:
    return dict.fromkeys(" ".join(words).split())


def fields(kind: type) -> list[str]:
    return [field.name for field in attrs.fields(kind)]


def test_the_json_of_a_watch_spec_keeps_its_keys() -> None:
    operation = SavedOperation(operation="encode", state_text="RUNNING")
    workflow = SavedWorkflow(id=1, phase=Phase.RUNNING, state_text="RUNNING", operations=(operation,))
    spec = WatchSpec(url="https://oc.example.org", cursors=(Cursor(id=1, since=0.0, workflow=workflow),))
    cursor = names(
        "id since got_at listed_at changed_at unchanged changes misses missing_since failing_since failures announced",
        "foreign foreign_since expected stalled ending over checked_at",
    )
    record = {**names("id phase state_text step"), "operations": [names("operation state_text")]}
    poll = names("initial interval backoff ceiling jitter outage")
    assert keys(json.loads(spec.to_json())) == {
        **names("url operations lists pages version"),
        "poll": poll,
        "cursors": [{**cursor, "workflow": record, "identity": []}],
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            OpencastStart(event_id="e", definition_id="d", configuration={"a": "b"}),
            {**names("event_id definition_id"), "configuration": {"a": None}},
        ),
        (
            PreservicaStart(context_id="42", context_name=None, parameters={"a": "b"}),
            {**names("context_id context_name"), "parameters": {"a": None}},
        ),
    ],
    ids=["opencast", "preservica"],
)
def test_the_json_of_a_ticket_keeps_its_keys(arguments: StartRecord, expected: dict[str, Any]) -> None:
    ticket = Ticket(server="https://oc.example.org", arguments=arguments, correlation_id="c", prepared_at=NOON, key="k")
    tree = keys(json.loads(ticket.to_json()))
    assert tree.pop("arguments") == expected
    assert tree == names("version system server correlation_id prepared_at key baseline baseline_lag")


def test_the_tables_of_a_journal_keep_their_columns_and_words() -> None:
    assert "(n INTEGER PRIMARY KEY, key TEXT NOT NULL, ticket TEXT NOT NULL, digest TEXT NOT NULL)" in START
    columns = "at key kind word workflow text server_start server_end operation attempt host digest"
    assert [column.split()[0] for column in ENTRY.partition("(")[2].split(", ")] == ["n", *columns.split()]
    words = ["planned", "intent", "started", "change", "left", "ended", "not started", "unknown"]
    assert [kind.value for kind in StatusKind] == words


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (WaitResult, "id outcome workflow error"),
        (Summary, "system workflows outcomes median p90 longest requests"),
        (
            Row,
            (
                "key outcome id state seconds start intended_at started_at ended_at detail server_start server_end"
                " failed_operation failed_attempt failed_host"
            ),
        ),
        (
            opencast.Workflow,
            (
                "id state state_text title description definition_id event_id creator created operations"
                " configuration extra"
            ),
        ),
        (
            preservica.Workflow,
            (
                "id state state_text display_state correlation_id started finished current_step context_id context_name"
                " definition_id definition_name creator archival_process_id group_id monitor_id extra"
            ),
        ),
    ],
    ids=str,
)
def test_json_of_the_command_line_keeps_the_keys_of_a_record(kind: type, expected: str) -> None:
    assert fields(kind) == expected.split()


def test_json_of_a_change_keeps_its_keys() -> None:
    workflow = preservica.Workflow(id=7, state=preservica.State.ACTIVE, state_text="ACTIVE", current_step="Store")
    change = Change(workflow=workflow, was=Phase.WAITING, now=Phase.RUNNING, seen_at=NOON, key="k")
    assert json.dumps(records.tree(change)) == (
        '{"id": 7, "was": "waiting", "now": "running", "state": "ACTIVE", "step": "Store"}'
    )


def test_the_words_of_phases_and_of_the_command_line_stay() -> None:
    phases = ["waiting", "running", "parked", "succeeded", "partial", "failed", "stopped", "unknown"]
    assert [phase.value for phase in Phase] == phases
    outcomes = ["timed out", "unobserved", "vanished", "replaced", "not started"]
    assert list(COLUMNS) == ["unseen", *phases, *outcomes]


def test_exit_codes_stay() -> None:
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 130, 141]
