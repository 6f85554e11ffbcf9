"""Starts workflows at most once, one or many: tickets, batches, their results and their journal."""

from workflow_async.batch.conflicts import OnConflict
from workflow_async.batch.entries import Entry, JournalContents, StartStatus, StatusKind, planned_status, status_after
from workflow_async.batch.entry_json import entry_from_json, entry_to_json
from workflow_async.batch.gate import Gate, Slot
from workflow_async.batch.journals import Journal
from workflow_async.batch.ledger import read_journal
from workflow_async.batch.operation_durations import OperationDuration
from workflow_async.batch.reconcile import Ambiguous, NoStartFound, ReconcileResult, StartFound
from workflow_async.batch.results import (
    AlreadyDone,
    Completed,
    Conflicted,
    NotStarted,
    OutcomeUnknown,
    Rejected,
    Result,
    Skipped,
)
from workflow_async.batch.run import Run
from workflow_async.batch.tickets import Ticket

__all__ = [
    "AlreadyDone",
    "Ambiguous",
    "Completed",
    "Conflicted",
    "Entry",
    "Gate",
    "Journal",
    "JournalContents",
    "NoStartFound",
    "NotStarted",
    "OnConflict",
    "OperationDuration",
    "OutcomeUnknown",
    "ReconcileResult",
    "Rejected",
    "Result",
    "Run",
    "Skipped",
    "Slot",
    "StartFound",
    "StartStatus",
    "StatusKind",
    "Ticket",
    "entry_from_json",
    "entry_to_json",
    "planned_status",
    "read_journal",
    "status_after",
]
