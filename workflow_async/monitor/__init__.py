"""Waiting for workflows and watching them, with one poll loop a client."""

from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor._engine.subscription import Event, Subscription
from workflow_async.monitor.events import (
    Change,
    Finished,
    OperationChange,
    Outcome,
    Parked,
    Reached,
    Replaced,
    Stalled,
    TimedOut,
    Unobserved,
    Vanished,
)
from workflow_async.monitor.service import Monitored
from workflow_async.monitor.watch import Outcomes, Remedy, Until, Watch, WhenParked, watching
from workflow_async.monitor.watch_spec import WatchSpec, tick

__all__ = [
    "Change",
    "Event",
    "Finished",
    "Monitored",
    "OperationChange",
    "Outcome",
    "Outcomes",
    "Parked",
    "Poller",
    "Reached",
    "Remedy",
    "Replaced",
    "Stalled",
    "Subscription",
    "TimedOut",
    "Unobserved",
    "Until",
    "Vanished",
    "Watch",
    "WatchSpec",
    "WhenParked",
    "tick",
    "watching",
]
