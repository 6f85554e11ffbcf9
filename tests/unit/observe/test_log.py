"""The log: constant messages, levels, and the data of each event as attributes of the record."""

import logging
import subprocess
import sys
from datetime import UTC, datetime
from typing import get_args

import pytest

from workflow_async.observe import (
    ClientEvent,
    LoggedIn,
    Outage,
    Polled,
    RemedyFailed,
    Reported,
    RequestSent,
    Retrying,
    SlowedDown,
    log_event,
)

BEGAN = datetime(2026, 3, 4, 12, tzinfo=UTC)
SENT = RequestSent(
    call="workflows.get",
    method="GET",
    route="/api/workflows/{id}",
    attempt=1,
    status=200,
    error=None,
    seconds=0.1,
    queued=0.0,
    bytes=9,
)
LINES: list[tuple[ClientEvent, str, str]] = [
    (SENT, "DEBUG", "request sent"),
    (Retrying(call="workflows.get", attempt=1, wait=0.5, error="ServerError"), "DEBUG", "retrying"),
    (LoggedIn(seconds=0.2, renewed=True), "INFO", "logged in"),
    (Polled(by="list", ids=7, requests=1, changes=0, seconds=0.1), "DEBUG", "polled"),
    (SlowedDown(factor=2.0, was=1.0), "WARNING", "slowed down"),
    (SlowedDown(factor=4.0, was=2.0), "DEBUG", "slowed down"),
    (SlowedDown(factor=1.4, was=2.0), "DEBUG", "slowed down"),
    (SlowedDown(factor=1.0, was=1.4), "INFO", "normal speed"),
    (Outage(began=BEGAN, seconds=1.0, error="ConnectFailed", over=False), "WARNING", "outage"),
    (Outage(began=BEGAN, seconds=6.0, error="ConnectFailed", over=True), "WARNING", "outage over"),
    (Reported(id=7, kind="Change", phase="running", lag=None), "DEBUG", "reported"),
    (RemedyFailed(id=7, error="ServerError"), "WARNING", "stalled workflow could not be retried"),
]


@pytest.mark.parametrize(("event", "level", "message"), LINES)
def test_an_event_is_a_constant_message_with_its_data_in_the_record(
    event: ClientEvent, level: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "workflow_async")
    log_event(event, "oc.example.org")
    (record,) = caplog.records
    assert (record.levelname, record.getMessage(), record.args) == (level, message, ())
    assert {**event.to_dict(), "server": "oc.example.org"}.items() <= vars(record).items()


def test_every_kind_of_event_is_logged() -> None:
    assert {type(event) for event, _, _ in LINES} == set(get_args(ClientEvent))


def test_a_disabled_level_writes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "workflow_async")
    log_event(SENT)
    assert caplog.records == []


def test_a_program_without_logging_sees_no_warning_on_stderr() -> None:
    script = (
        "from datetime import UTC, datetime; from workflow_async.observe import Outage, log_event; "
        "log_event(Outage(began=datetime.now(UTC), seconds=1.0, error='ConnectFailed', over=False))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_datetime_is_text_in_the_record(caplog: pytest.LogCaptureFixture) -> None:
    log_event(LINES[8][0])
    assert vars(caplog.records[0])["began"] == "2026-03-04T12:00:00.000Z"
