"""Credentials that were refused and never accepted are sent only once."""

import pytest

from workflow_async._core.auth import Refusable
from workflow_async._core.lockout import LockoutGuard
from workflow_async.errors import NotFound, Unauthorized

WRONG, RIGHT = Refusable("wrong", "open a new client"), Refusable("right", "open a new client")


def refused(credentials: Refusable = WRONG) -> LockoutGuard:
    guard = LockoutGuard()
    guard.record_failure(Unauthorized(401, message="wrong password"), credentials)
    return guard


def test_a_refused_password_is_not_sent_again() -> None:
    message = "wrong password; these credentials are not tried again: open a new client"
    with pytest.raises(Unauthorized, match=message) as caught:
        refused().check(Refusable("wrong", ""))
    assert caught.value.at_login


def test_the_first_refusal_says_how_to_go_on() -> None:
    error = Unauthorized(401)
    LockoutGuard().record_failure(error, WRONG)
    assert error.message == "these credentials are not tried again: open a new client"


def test_another_password_is_sent() -> None:
    refused().check(RIGHT)


def test_every_call_raises_a_refusal_of_its_own() -> None:
    guard, raised = refused(), []
    for _ in range(2):
        with pytest.raises(Unauthorized) as caught:
            guard.check(WRONG)
        raised.append(caught.value)
    assert raised[0] is not raised[1]


def test_a_password_that_worked_before_is_sent_again() -> None:
    guard = LockoutGuard()
    guard.record_success(RIGHT)
    guard.record_failure(Unauthorized(401), RIGHT)
    guard.check(RIGHT)


def test_a_password_is_not_sent_again_because_another_one_worked() -> None:
    guard = LockoutGuard()
    guard.record_success(RIGHT)
    guard.record_failure(Unauthorized(401), WRONG)
    with pytest.raises(Unauthorized):
        guard.check(WRONG)
    guard.check(RIGHT)


def test_a_success_of_a_concurrent_call_lifts_a_refusal() -> None:
    guard = refused(RIGHT)
    guard.record_success(RIGHT)
    guard.check(RIGHT)


@pytest.mark.parametrize(
    ("failure", "sent"),
    [(Unauthorized(401), None), (Unauthorized(302), WRONG), (NotFound(404), WRONG)],
    ids=["credentials that change", "a login page", "another status"],
)
def test_only_a_401_to_credentials_that_stay_refused_is_remembered(
    failure: Unauthorized | NotFound, sent: Refusable | None
) -> None:
    guard = LockoutGuard()
    guard.record_failure(failure, sent)
    guard.check(sent)
    guard.check(WRONG)


def test_refused_credentials_have_no_repr() -> None:
    assert "wrong" not in repr(refused()).replace("wrong password", "")
