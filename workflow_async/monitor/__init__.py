"""Waiting for workflows and watching them, with one poll loop a client."""

from workflow_async.monitor.monitored import Monitored
from workflow_async.monitor.outcomes import (
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
from workflow_async.monitor.poller import Poller
from workflow_async.monitor.spec import WatchSpec, tick
from workflow_async.monitor.subscription import Event, Subscription
from workflow_async.monitor.watch import Outcomes, Remedy, Until, Watch, WhenParked, watching

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
