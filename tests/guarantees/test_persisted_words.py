"""JSON keys, words and exit codes that other processes read do not change."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from workflow_async import Phase, batch, monitor, opencast, preservica
from workflow_async._records.tree import keys_of
from workflow_async.batch.entries import Entry, StatusKind
from workflow_async.batch.schema import ENTRY, START
from workflow_async.batch.start_records import OpencastStart, PreservicaStart, StartRecord
from workflow_async.batch.tickets import Ticket
from workflow_async.cli import records
from workflow_async.cli.exit_codes import Exit
from workflow_async.cli.reporting import Row
from workflow_async.cli.summary import Summary
from workflow_async.cli.tally import COLUMNS, WaitResult
from workflow_async.distributed.nats.journal_messages import (
    CLOSED,
    OPENED,
    MessageHead,
    encode,
    entry_record,
    start_record,
    total_record,
)
from workflow_async.monitor import Change, WatchSpec
from workflow_async.monitor.spec.records import Cursor, SavedOperation, SavedWorkflow

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def keys(tree: Any) -> Any:
    """Return the keys of JSON objects, without their values."""
    if isinstance(tree, dict):
        return {key: keys(value) for key, value in tree.items()}
    return [keys(value) for value in tree] if isinstance(tree, list) else None


def names(*words: str) -> dict[str, None]:
    return dict.fromkeys(" ".join(words).split())


def fields(kind: type) -> list[str]:
    """Return the fields that are converted to JSON: those that records are compared by."""
    return [field.name for field in attrs.fields(kind) if field.eq]


def test_the_messages_of_a_journal_in_a_stream_keep_their_keys() -> None:
    head = MessageHead(system="opencast", server="https://oc.example.org", number=1, runner="here 7")
    entry = Entry(at=NOON, key="a", kind=StatusKind.STARTED, word="started", id=7)
    ticket = Ticket(
        server=head.server,
        arguments=OpencastStart(event_id="e", definition_id="fast", configuration=None),
        correlation_id="mark",
        prepared_at=NOON,
        key="a",
    )
    records = [OPENED, start_record(ticket), total_record(1), entry_record(entry), CLOSED]
    tree = json.loads(encode(head, records))
    assert keys(tree["head"]) == names("system server number runner version")
    assert [keys(record) for record in tree["records"]] == [
        names("opened"),
        names("start"),
        names("total"),
        {"entry": names("at key kind word id")},
        names("closed"),
    ]
    assert tree.keys() == {"head", "records"}


def test_the_json_of_a_watch_spec_keeps_its_keys() -> None:
    operation = SavedOperation(operation="encode", state_text="RUNNING")
    workflow = SavedWorkflow(id=1, phase=Phase.RUNNING, state_text="RUNNING", operations=(operation,))
    spec = WatchSpec(url="https://oc.example.org", cursors=(Cursor(id=1, since=0.0, workflow=workflow),))
    cursor = names(
        "id since got_at listed_at changed_at unchanged changes misses missing_since failing_since failures announced",
        "foreign foreign_since expected stalled ending over checked_at",
    )
    record = {**names("id phase state_text step kind"), "operations": [names("operation state_text")]}
    poll = names("initial interval backoff ceiling jitter outage")
    assert keys(json.loads(spec.to_json())) == {
        **names("url operations lists pages version label stalled_after filters"),
        "durations": {},
        "server": names(
            "paused_until factor refused_at eased_at refusals announced announced_until list_rows list_failures",
            "list_unanswered only_list unchanged_lists distrusts_list list_disabled_until bulk_failures",
            "bulk_disabled_until",
        ),
        "poll": poll,
        "cursors": [{**cursor, "workflow": record, "identity": []}],
    }


PACKED = (
    "d2ZhAQAAAUN42o1R7W6DMAx8F//2KKXqqvIqDFUpGMjIEpSYfgjx7nPox7ofkxYJwdl3viMuJhi9gRw65iHkq5WrErqor8FQ4nwL"
    "CG4gr1g7GyBnPxLC4IwoJtBWs1bymSYpCmLypwizCI+q6l3TQL5OtggVaaNtC/lm4X5qFnIUZmIwsmoptqQ3I5zIB7GTOQhGHSmm"
    "s7rt2FwlTj0+00zQqMCQF2JRzjNmuEZJVcfKe7rB/a5EaB0fVCTtt2hHY6Q02qpTtqVIzDCVyg2HKFywrsmy5qsUigI+xlSOeC92"
    "JRalPCmu5QVB24qibpc+Dr69gGU4VT3VtxSPVia8e5yz831j3DkZOhXirAL8aG28rjvlYfZkBlZMB6YL/5NOw0IkW7ma/uS9rlp+"
    "fPrZvazgoYVX86f1XP41tNe2XsyX2/vFmstvSbnM5BI0VngSNBI0EjQSNFZ4kBI="
)
"""A watch that the first version has packed."""


def test_a_watch_that_the_first_version_has_packed_is_read() -> None:
    workflow = SavedWorkflow(
        id=1603,
        phase=Phase.RUNNING,
        state_text="running",
        step="encode",
        operations=(SavedOperation(operation="encode", state_text="running"),),
        kind="fast",
    )
    known = Cursor(
        id=1603,
        since=1_700_000_000.0,
        workflow=workflow,
        got_at=1_700_000_010.5,
        checked_at=1_700_000_020.0,
        unchanged=2,
        changes=1,
        identity=("12345678-1234-1234-1234-123456789012", "fast"),
    )
    assert WatchSpec.from_bytes(base64.b64decode(PACKED)) == WatchSpec(
        url="https://oc.example.org",
        cursors=(known, Cursor(id=1700)),
        label="nightly",
        durations={"fast": (1.5,)},
        operations=True,
    )


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
    columns = "at key kind word workflow text server_start server_end operation attempt host operations digest"
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


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            opencast.Operation,
            (
                "operation state state_text id description start completion time_in_queue host if unless"
                " fail_workflow_on_error error_handler_workflow retry_strategy max_attempts failed_attempts"
                " configuration extra"
            ),
        ),
        (
            opencast.Definition,
            "id title description tags configuration_panel configuration_panel_json operations extra",
        ),
        (
            opencast.Event,
            ("id title status processing_state created series series_title start duration location presenters extra"),
        ),
        (opencast.Version, "default versions extra"),
        (opencast.Option, "name type default choices label required minimum maximum"),
        (opencast.Me, "username name email provider userrole roles extra"),
        (preservica.Context, "id name extra"),
        (preservica.Started, "id correlation_id workflow"),
        (preservica.Process, "id name description type active trigger extra"),
        (
            preservica.Monitor,
            (
                "id name status category subcategory started completed progress_text percent_complete files_pending"
                " files_processed size warnings errors can_retry extra phase"
            ),
        ),
        (
            preservica.Message,
            (
                "id monitor_id monitor_name workflow_id workflow_name path date status message display_message"
                " security_descriptor entity_title entity_ref source_id extra"
            ),
        ),
        (monitor.OperationChange, "operation position was now at"),
        (monitor.Change, "workflow was now seen_at operations key id"),
        (monitor.Stalled, "workflow seen_at seconds usual key remedied id"),
        (monitor.Finished, "workflow id succeeded"),
        (monitor.Parked, "workflow succeeded id"),
        (monitor.ConditionMet, "workflow succeeded id"),
        (monitor.Vanished, "id error workflow key succeeded"),
        (monitor.TimedOut, "id workflow succeeded"),
        (monitor.PollingFailed, "id error workflow key succeeded"),
        (monitor.Replaced, "id workflow found key succeeded"),
        (batch.Completed, "key ticket outcome id succeeded"),
        (batch.AlreadyDone, "key ticket id word succeeded"),
        (batch.NotStarted, "key error ticket id succeeded"),
        (batch.Rejected, "key error ticket id succeeded"),
        (batch.Conflicted, "key error ticket id succeeded"),
        (batch.Skipped, "key ticket why id succeeded"),
        (batch.OutcomeUnknown, "key ticket search_result error id succeeded"),
        (batch.StartFound, "workflow evidence"),
        (batch.NoStartFound, "observed_for checks"),
        (batch.Ambiguous, "candidates why"),
        (
            batch.StartStatus,
            (
                "key kind word id state detail ticket intended_at started_at ended_at server_start server_end"
                " failed_operation failed_attempt failed_host operations"
            ),
        ),
        (batch.OperationDuration, "operation seconds"),
        (batch.JournalContents, "system server items total"),
    ],
    ids=str,
)
def test_to_dict_keeps_its_keys(kind: type, expected: str) -> None:
    assert list(keys_of(kind)) == expected.split()


@pytest.mark.parametrize("kind", [opencast.Workflow, preservica.Workflow], ids=["opencast", "preservica"])
def test_to_dict_of_a_workflow_has_its_fields_and_its_phase(kind: type) -> None:
    assert list(keys_of(kind)) == [*fields(kind), "phase"]


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
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 4, 5, 130, 141]
