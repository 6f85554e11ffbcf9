"""When an outage begins and ends."""

import pytest

from workflow_async._core.outage import OutageDetector, is_unanswered
from workflow_async.errors import (
    ConnectFailed,
    ContentEncodingError,
    DeadlineExceeded,
    MiddlewareFailed,
    NotFound,
    ResponseTooLarge,
)


def test_three_failures_over_a_second_begin_an_outage_once() -> None:
    detector = OutageDetector()
    assert [detector.failed(10.0 + at, 1e9 + at) for at in (0.0, 0.5, 1.0, 1.5, 9.0)] == [
        False,
        False,
        True,
        False,
        False,
    ]
    assert (detector.began, detector.began_wall, detector.failures) == (10.0, 1e9, 5)


def test_many_failures_at_once_are_no_outage() -> None:
    detector = OutageDetector()
    assert not any(detector.failed(0.9, 0.0) for _ in range(100))
    assert not detector.answered()


def test_two_failures_are_no_outage() -> None:
    detector = OutageDetector()
    assert not detector.failed(0.0, 0.0)
    assert not detector.failed(99.0, 0.0)


def test_a_response_ends_an_outage_once() -> None:
    detector = OutageDetector()
    for at in (0.0, 1.0, 2.0):
        detector.failed(at, at)
    assert detector.reported
    assert detector.answered()
    assert not detector.reported
    assert not detector.answered()


def test_after_a_response_failures_count_from_the_beginning() -> None:
    detector = OutageDetector()
    detector.failed(0.0, 0.0)
    detector.failed(5.0, 0.0)
    detector.answered()
    assert not detector.failed(6.0, 7.0)
    assert (detector.failures, detector.began_wall) == (1, 7.0)


@pytest.mark.parametrize("error", [ConnectFailed("refused"), DeadlineExceeded("late")])
def test_an_error_without_a_response_is_the_servers(error: Exception) -> None:
    assert is_unanswered(error)


@pytest.mark.parametrize(
    "error",
    [
        ResponseTooLarge("large"),
        ContentEncodingError("br"),
        MiddlewareFailed("mine", sent=True),
        NotFound(404),
        KeyError(),
    ],
)
def test_other_errors_say_nothing_about_the_server(error: Exception) -> None:
    assert not is_unanswered(error)
