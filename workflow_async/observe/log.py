"""The observer that is always on: writes events to the logger `workflow_async`.

Messages are constant, so that they can be counted. The fields of the event are attributes of the log record, as is the
server.
"""

import logging

from workflow_async.observe.events import (
    ClientEvent,
    LoggedIn,
    Outage,
    Polled,
    RemedyFailed,
    Reported,
    RequestSent,
    Retrying,
    SlowedDown,
)

log = logging.getLogger("workflow_async")
log.addHandler(logging.NullHandler())  # without a handler, the standard library would print warnings to stderr

LINES: dict[type[ClientEvent], tuple[int, str]] = {
    RequestSent: (logging.DEBUG, "request sent"),
    Retrying: (logging.DEBUG, "retrying"),
    LoggedIn: (logging.INFO, "logged in"),
    Polled: (logging.DEBUG, "polled"),
    Reported: (logging.DEBUG, "reported"),
    RemedyFailed: (logging.WARNING, "stalled workflow could not be retried"),
}
"""The level and the message of events that have one of each."""


def log_event(event: ClientEvent, server: str = "") -> None:
    """Write an event to the log, unless its level is disabled."""
    level, message = _line(event)
    if log.isEnabledFor(level):
        log.log(level, message, extra={**event.to_dict(), "server": server})


def _line(event: ClientEvent) -> tuple[int, str]:
    if isinstance(event, Outage):
        return logging.WARNING, "outage over" if event.over else "outage"
    if not isinstance(event, SlowedDown):
        return LINES[type(event)]
    if event.factor == 1:
        return logging.INFO, "normal speed"
    return (logging.WARNING if event.was == 1 else logging.DEBUG), "slowed down"
