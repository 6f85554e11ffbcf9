"""Credentials that were refused and never accepted are sent only once."""

import pytest

from workflow_async._core.lockout import LockoutGuard
from workflow_async.errors import NotFound, Unauthorized


def test_a_refused_password_is_not_sent_again() -> None:
    guard = LockoutGuard()
    guard.record_failure(Unauthorized(401, message="wrong password"), fixed=True)
    with pytest.raises(Unauthorized, match="wrong password; these credentials are not tried again") as caught:
        guard.check()
    assert caught.value.at_login


def test_every_call_raises_a_refusal_of_its_own() -> None:
    guard = LockoutGuard()
    guard.record_failure(Unauthorized(401), fixed=True)
    raised = []
    for _ in range(2):
        with pytest.raises(Unauthorized) as caught:
            guard.check()
        raised.append(caught.value)
    assert raised[0] is not raised[1]


def test_a_password_that_worked_before_is_sent_again() -> None:
    guard = LockoutGuard()
    guard.record_success()
    guard.record_failure(Unauthorized(401), fixed=True)
    guard.check()


def test_a_success_of_a_concurrent_call_lifts_a_refusal() -> None:
    guard = LockoutGuard()
    guard.record_failure(Unauthorized(401), fixed=True)
    guard.record_success()
    guard.check()


@pytest.mark.parametrize(
    ("failure", "fixed"),
    [(Unauthorized(401), False), (Unauthorized(302), True), (NotFound(404), True)],
    ids=["credentials that change", "a login page", "another status"],
)
def test_only_a_401_to_fixed_credentials_is_remembered(failure: Unauthorized | NotFound, fixed: bool) -> None:  # noqa: FBT001 - a column
    guard = LockoutGuard()
    guard.record_failure(failure, fixed=fixed)
    guard.check()
