"""Waits for workflows and watches them, with one poll task per client."""

from workflow_async.monitor._engine.subscription import WatchEvent
from workflow_async.monitor.events import (
    Change,
    ConditionMet,
    Finished,
    OperationChange,
    Outcome,
    Parked,
    PollingFailed,
    Replaced,
    Stalled,
    TimedOut,
    Vanished,
)
from workflow_async.monitor.spec.poll_once import PollResult, poll_once
from workflow_async.monitor.spec.snapshot import ActiveSnapshot, snapshot_active
from workflow_async.monitor.spec.watch_spec import WatchSpec
from workflow_async.monitor.waits import OnChange, OutcomeStream, Predicate, WhenParked
from workflow_async.monitor.watch import EventHook, Watch

__all__ = [
    "ActiveSnapshot",
    "Change",
    "ConditionMet",
    "EventHook",
    "Finished",
    "OnChange",
    "OperationChange",
    "Outcome",
    "OutcomeStream",
    "Parked",
    "PollResult",
    "PollingFailed",
    "Predicate",
    "Replaced",
    "Stalled",
    "TimedOut",
    "Vanished",
    "Watch",
    "WatchEvent",
    "WatchSpec",
    "WhenParked",
    "poll_once",
    "snapshot_active",
]
