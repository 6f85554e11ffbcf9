"""The state of one call: its attempts, and the error that it ends with."""

import pytest

from workflow_async._core.call import Call, Replay
from workflow_async._core.call_state import CallState
from workflow_async.errors import (
    ConnectFailed,
    ConnectionBroken,
    DeadlineExceeded,
    NotFound,
    NotSentInTime,
    ServerError,
    Unauthorized,
)

URL = "https://oc.example.org/api/7"


def state(replay: Replay = Replay.SAFE) -> CallState:
    """Return the state of a call that began at 100 s."""
    return CallState(Call("GET", "/api/7", lambda reply: reply, replay=replay), URL, 100.0)


def test_an_error_gets_the_place_the_time_and_the_attempts_of_its_call() -> None:
    call, error = state(), ServerError(503)
    call.record_attempt(ServerError(503), 101.0, 0.5)
    call.record_attempt(error, 102.0, None)
    assert call.finalize(error, 102.0) is error
    assert (error.method, error.url, error.elapsed) == ("GET", URL, 2.0)
    assert [(attempt.ended, attempt.wait) for attempt in error.history] == [(1.0, 0.5), (2.0, None)]


def test_an_error_of_a_login_keeps_its_own_place() -> None:
    error = Unauthorized(401)
    error.at_login, error.url = True, "https://pv.example.org/login"
    assert state().finalize(error, 102.0).url == "https://pv.example.org/login"


def test_a_call_without_any_attempt_on_the_wire_was_not_sent_in_time() -> None:
    call = state()
    call.record_attempt(ConnectFailed("refused"), 101.0, 0.5)
    assert type(call.deadline_error(5.0)) is NotSentInTime


@pytest.mark.parametrize("in_flight", [False, True])
def test_a_call_that_may_have_reached_the_server_exceeded_its_deadline(in_flight: bool) -> None:  # noqa: FBT001 - a column
    call = state()
    if in_flight:
        call.in_flight = True
    else:
        call.record_attempt(ConnectionBroken("ReadError"), 101.0, 0.5)
    assert type(call.deadline_error(5.0)) is DeadlineExceeded


def test_a_404_after_an_attempt_to_delete_that_may_have_worked_means_deleted() -> None:
    call = state(Replay.DELETE)
    assert not call.is_already_deleted(NotFound(404))
    call.record_attempt(ConnectionBroken("ReadError"), 101.0, 0.5)
    assert call.is_already_deleted(NotFound(404))
    assert not call.is_already_deleted(ServerError(503))
