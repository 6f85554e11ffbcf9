"""Seeing what a client does: middlewares, events, counters, and two observers, for logging and for OpenTelemetry.

The log is always on. OpenTelemetry is in `workflow_async.observe.otel` and needs the extra `otel`.
"""

from workflow_async.observe.events import (
    ClientEvent,
    LoggedIn,
    OnEvent,
    Outage,
    Polled,
    RemedyFailed,
    Reported,
    RequestSent,
    Retrying,
    SlowedDown,
)
from workflow_async.observe.log import log_event
from workflow_async.observe.messages import Middleware, Reply, Request, Send
from workflow_async.observe.stats import Stats

__all__ = [
    "ClientEvent",
    "LoggedIn",
    "Middleware",
    "OnEvent",
    "Outage",
    "Polled",
    "RemedyFailed",
    "Reply",
    "Reported",
    "Request",
    "RequestSent",
    "Retrying",
    "Send",
    "SlowedDown",
    "Stats",
    "log_event",
]
