"""Starting at most once, and starting many: tickets, verdicts, batches and their journal."""

from workflow_async.batch.entries import Item, Kind, Recorded
from workflow_async.batch.ledger import recorded
from workflow_async.batch.pipeline import OnConflict
from workflow_async.batch.reconcile import Ambiguous, NotSeen, Started, Verdict
from workflow_async.batch.results import Conflicted, Earlier, NotSent, Ran, Refused, Result, Skipped, Unknown
from workflow_async.batch.run import Run
from workflow_async.batch.tickets import Ticket

__all__ = [
    "Ambiguous",
    "Conflicted",
    "Earlier",
    "Item",
    "Kind",
    "NotSeen",
    "NotSent",
    "OnConflict",
    "Ran",
    "Recorded",
    "Refused",
    "Result",
    "Run",
    "Skipped",
    "Started",
    "Ticket",
    "Unknown",
    "Verdict",
    "recorded",
]
