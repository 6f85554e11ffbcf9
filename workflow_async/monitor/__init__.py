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
from workflow_async.monitor.waits import OnChange, OutcomeStream, Predicate, WhenParked
from workflow_async.monitor.watch import EventHook, Watch
from workflow_async.monitor.watch_spec import WatchSpec, poll_once

__all__ = [
    "Change",
    "ConditionMet",
    "EventHook",
    "Finished",
    "OnChange",
    "OperationChange",
    "Outcome",
    "OutcomeStream",
    "Parked",
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
]
