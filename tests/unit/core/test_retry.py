"""Whether and when a call is retried."""

import math
from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as st

from workflow_async import Retry
from workflow_async._core.call import Replay, Reply
from workflow_async._core.retry import (
    Budget,
    budget_cost,
    is_wrong_shape,
    may_have_happened,
    retry_after,
    retry_delay,
    retryable,
)
from workflow_async._core.status import foreign_response, status_error
from workflow_async.errors import (
    CallError,
    ConnectFailed,
    ConnectionBroken,
    ContentEncodingError,
    CountNotSupported,
    DeadlineExceeded,
    DecodeError,
    ListingInconsistent,
    ListingNotSupported,
    ResponseMismatch,
    ResponseTooLarge,
    TLSVerificationFailed,
    UnexpectedContent,
)

DATE = "Mon, 23 Nov 2026 10:00:00 GMT"
RETRIED_ERRORS = {408, 425, 429, 500, 502, 503, 504}
RETRIED = [
    *(status_error(Reply(status, {}, b"")) for status in sorted(RETRIED_ERRORS)),
    *(foreign_response(Reply(status, {}, b"")) for status in (101, 204, 302, 404, 405, 600, 999)),
    ConnectFailed("refused"),
    ConnectionBroken("cut"),
    DeadlineExceeded("late"),
    ContentEncodingError("cut"),
    DecodeError("@ $"),
    UnexpectedContent("@ $"),
    ResponseMismatch("1", "2"),
]
FINAL_ERRORS = [
    *(status_error(Reply(status, {}, b"")) for status in range(400, 600) if status not in RETRIED_ERRORS),
    TLSVerificationFailed("unknown"),
    ResponseTooLarge("large"),
    ListingNotSupported("405"),
    CountNotSupported(("current_operation",), "404"),
    ListingInconsistent("2 pages"),
]


def name(error: object) -> str:
    return f"{type(error).__name__}{getattr(error, 'status', '')}"


@pytest.mark.parametrize("error", RETRIED, ids=name)
def test_a_temporary_error_is_retried(error: CallError) -> None:
    assert retryable(error, Replay.SAFE)
    assert retryable(error, Replay.DELETE)


@pytest.mark.parametrize("error", FINAL_ERRORS, ids=name)
def test_a_permanent_error_is_not_retried(error: CallError) -> None:
    assert retry_delay(Retry(), error, Replay.SAFE, attempt=1, jitter=0.5) is None


@pytest.mark.parametrize("error", RETRIED, ids=name)
def test_a_request_that_must_not_be_repeated_is_not_retried(error: CallError) -> None:
    assert retry_delay(Retry(), error, Replay.ONCE, attempt=1, jitter=0.5) is None


@pytest.mark.parametrize(
    ("attempt", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (6, 16.0), (7, 20.0), (5000, 20.0)]
)
def test_the_longest_delay_doubles_up_to_the_cap(attempt: int, longest: float) -> None:
    policy = Retry(attempts=10_000)
    error = ConnectionBroken("cut")
    assert retry_delay(policy, error, Replay.SAFE, attempt=attempt, jitter=0.0) == 0
    assert retry_delay(policy, error, Replay.SAFE, attempt=attempt, jitter=1.0) == longest


def test_delays_are_spread_evenly_over_their_range() -> None:
    waits = [
        retry_delay(Retry(), ConnectionBroken("cut"), Replay.SAFE, attempt=3, jitter=n / 1000) for n in range(1000)
    ]
    tenths = [sum(1 for wait in waits if wait is not None and n / 5 <= wait < (n + 1) / 5) for n in range(10)]
    assert all(95 <= tenth <= 105 for tenth in tenths)


def test_the_last_attempt_is_not_retried() -> None:
    assert retry_delay(Retry(attempts=4), ConnectionBroken("cut"), Replay.SAFE, attempt=3, jitter=0.5) is not None
    assert retry_delay(Retry(attempts=4), ConnectionBroken("cut"), Replay.SAFE, attempt=4, jitter=0.5) is None
    assert retry_delay(Retry(attempts=1), ConnectionBroken("cut"), Replay.SAFE, attempt=1, jitter=0.5) is None


def test_a_stale_connection_is_retried_immediately_but_only_once() -> None:
    stale = ConnectionBroken("cut", reused=True)
    assert retry_delay(Retry(), stale, Replay.SAFE, attempt=1, jitter=0.5) == 0
    assert retry_delay(Retry(), stale, Replay.SAFE, attempt=2, jitter=0.5) == 0.5
    assert retry_delay(Retry(), stale, Replay.ONCE, attempt=1, jitter=0.5) is None


def test_an_html_page_instead_of_data_is_retried_once() -> None:
    assert retry_delay(Retry(), UnexpectedContent("@ $"), Replay.SAFE, attempt=1, jitter=0.5) is not None
    assert retry_delay(Retry(), UnexpectedContent("@ $"), Replay.SAFE, attempt=2, jitter=0.5) is None


def test_a_response_of_the_wrong_shape_is_retried_once() -> None:
    wrong_shape = DecodeError("expected an object @ $")
    assert retry_delay(Retry(), wrong_shape, Replay.SAFE, attempt=1, jitter=0.5, wrong_shapes=0) is not None
    assert retry_delay(Retry(), wrong_shape, Replay.SAFE, attempt=2, jitter=0.5, wrong_shapes=1) is None
    assert retry_delay(Retry(), wrong_shape, Replay.SAFE, attempt=2, jitter=0.5) is None


def test_earlier_errors_of_another_kind_do_not_count() -> None:
    for attempt in (2, 3):
        assert (
            retry_delay(Retry(), DecodeError("@ $"), Replay.SAFE, attempt=attempt, jitter=0.5, wrong_shapes=0)
            is not None
        )
    assert (
        retry_delay(Retry(), status_error(Reply(503, {}, b"")), Replay.SAFE, attempt=3, jitter=0.5, wrong_shapes=2)
        is not None
    )


def test_a_response_that_does_not_parse_gets_every_attempt() -> None:
    garbage = DecodeError("not JSON @ $", parsed=False)
    for attempt in (1, 2, 3):
        assert retry_delay(Retry(), garbage, Replay.SAFE, attempt=attempt, jitter=0.5, wrong_shapes=1) is not None
    assert retry_delay(Retry(), garbage, Replay.SAFE, attempt=4, jitter=0.5) is None


def test_only_a_response_that_parsed_has_the_wrong_shape() -> None:
    assert is_wrong_shape(DecodeError("@ $"))
    assert is_wrong_shape(UnexpectedContent("a page @ $"))
    assert not is_wrong_shape(DecodeError("not JSON @ $", parsed=False))
    assert not is_wrong_shape(ConnectionBroken("cut"))


def test_a_failed_login_is_not_retried_by_the_call() -> None:
    error = status_error(Reply(503, {}, b""))
    assert may_have_happened(error)
    error.at_login = True
    assert not may_have_happened(error)
    assert retry_delay(Retry(), error, Replay.SAFE, attempt=1, jitter=0.5) is None


def test_retry_after_is_respected_with_jitter_added() -> None:
    error = status_error(Reply(429, {}, b""))
    error.retry_after = 7.0
    assert retry_delay(Retry(), error, Replay.SAFE, attempt=1, jitter=0.0) == 7.0
    assert retry_delay(Retry(), error, Replay.SAFE, attempt=1, jitter=0.5) == 7.5


def test_a_retry_after_beyond_the_limit_gives_up() -> None:
    error = status_error(Reply(429, {}, b""))
    error.retry_after = 60.0
    assert retry_delay(Retry(max_retry_after=60), error, Replay.SAFE, attempt=1, jitter=0.5) == 60.5
    error.retry_after = 60.1
    assert retry_delay(Retry(max_retry_after=60), error, Replay.SAFE, attempt=1, jitter=0.5) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("1000000000", 1e9),
        ("9" * 400, math.inf),
        ("Mon, 23 Nov 2026 10:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 11:00:30 +0100", 30),
        ("Mon, 23 Nov 2026 09:00:00 GMT", 0),
        ("-1", None),
        ("", None),
        ("inf", None),
        ("nan", None),
        ("1e9", None),
        ("1.5", None),
        ("5, 10", None),
        ("\u0667", None),
        ("\uff17", None),
        ("Mon, 23 Nov 100000 10:00:00 GMT", None),
        ("Mon, 23 Nov 2026 10:00:30", None),
        ("Mon, 23 Nov 2026 10:00:30 -0000", None),
        ("Mon, 32 Nov 2026 10:00:00 GMT", None),
        ("Mon, 23 Nov 2026 25:00:00 GMT", None),
        ("Mon, 23 Nov 2026 10:00:00 +9999", None),
        ("soon", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text, "date": DATE}) == seconds


@pytest.mark.parametrize("date", ["", "soon", "Mon, 32 Nov 2026 10:00:00 GMT", "Mon, 23 Nov 2026 10:00:00"])
def test_a_date_without_the_servers_clock_is_ignored(date: str) -> None:
    assert retry_after({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT", "date": date}) is None
    assert retry_after({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT"}) is None
    assert retry_after({}) is None


@given(st.text() | st.from_regex(r"\w{3}, -?\d+ \w{3} \d+ \d+:\d+:\d+ [-+\w]+"), st.text() | st.just(DATE))
def test_any_header_is_read_or_ignored(text: str, date: str) -> None:
    seconds = retry_after({"retry-after": text, "date": date})
    assert seconds is None or seconds >= 0


def test_a_budget_of_500_pays_for_100_retries() -> None:
    budget = Budget(500.0)
    assert sum(budget.take(budget_cost(ConnectionBroken("cut"))) for _ in range(500)) == 100
    assert sum(Budget(500.0).take(budget_cost(DeadlineExceeded("late"))) for _ in range(1)) == 1
    assert budget_cost(DeadlineExceeded("late")) == 2 * budget_cost(ConnectionBroken("cut"))


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 50))), st.floats(0, 500))
def test_a_budget_stays_between_0_and_its_capacity(moves: Iterable[tuple[bool, float]], capacity: float) -> None:
    budget = Budget(capacity)
    for cost, amount in moves:
        had = budget.left
        if cost:
            assert budget.take(amount) == (amount <= had)
        else:
            budget.give_back(amount)
        assert 0 <= budget.left <= capacity


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectFailed("refused"), False),
        (TLSVerificationFailed("unknown"), False),
        (DeadlineExceeded("queued", sent=False), False),
        (DeadlineExceeded("late"), True),
        (ConnectionBroken("cut"), True),
        (ResponseTooLarge("large"), True),
        (ContentEncodingError("cut"), True),
        (DecodeError("@ $"), True),
        (ResponseMismatch("1", "2"), True),
        *((status_error(Reply(status, {}, b"")), False) for status in range(400, 500)),
        *((status_error(Reply(status, {}, b"")), True) for status in (500, 502, 503, 504, 599)),
        *(
            (foreign_response(Reply(status, {}, b"")), True)
            for status in (101, 200, 202, 204, 302, 303, 404, 405, 600, 999)
        ),
    ],
    ids=name,
)
def test_the_error_decides_whether_the_server_may_have_acted(error: CallError, expected: bool) -> None:  # noqa: FBT001 - a column
    assert may_have_happened(error) is expected


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_unavailable_server_is_retried_for_a_minute(status: int) -> None:
    policy, away = Retry(), status_error(Reply(status, {}, b""))
    assert retry_delay(policy, away, Replay.SAFE, attempt=9, jitter=0.5, elapsed=59.0) == policy.cap / 2
    assert retry_delay(policy, away, Replay.SAFE, attempt=9, jitter=0.5, elapsed=60.0) is None
    assert retry_delay(policy, away, Replay.SAFE, attempt=4, jitter=0.5) is None
    assert retry_delay(policy, away, Replay.ONCE, attempt=1, jitter=0.5, elapsed=0.0) is None


@pytest.mark.parametrize(
    "error", [status_error(Reply(500, {}, b"")), ConnectionBroken("cut"), DecodeError("@ $")], ids=name
)
def test_any_other_error_gets_four_attempts(error: CallError) -> None:
    assert retry_delay(Retry(), error, Replay.SAFE, attempt=4, jitter=0.5, elapsed=3.0, wrong_shapes=0) is None
