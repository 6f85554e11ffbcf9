"""Settings, and the values that they refuse."""

import math
import time
from typing import Any

import anyio
import attrs
import pytest

from workflow_async import Clock, Limits, Poll, Retry, Timeouts
from workflow_async.errors import InvalidArgument
from workflow_async.settings import check_int, check_optional_int

NONSENSE = [
    *(
        (Timeouts, name, value)
        for name in ("call", "exchange", "connect")
        for value in (0, -1, math.nan, "5", None, True)
    ),
    *((Retry, "attempts", value) for value in (0, -1, 2.5, math.inf, math.nan, "4", None, True)),
    *((Retry, name, value) for name in ("base", "cap") for value in (0, -1, math.nan, "1")),
    *((Retry, name, value) for name in ("max_retry_after", "budget") for value in (-1, math.nan, "1", None)),
    *((Limits, name, value) for name in ("connections", "wire", "body") for value in (0, -1, 1.5, math.inf, "8", True)),
    *((Limits, "rate", value) for value in (0, -1, math.nan, "20", True)),
    *((Limits, "keepalive", value) for value in (-1, math.nan, "4")),
    *((Poll, name, value) for name in ("initial", "outage") for value in (-1, math.nan, "0")),
    *((Poll, name, value) for name in ("interval", "ceiling") for value in (0, -1, math.nan, "2")),
    *((Poll, "backoff", value) for value in (0.9, 101, math.inf, math.nan, "1.5")),
    *((Poll, "jitter", value) for value in (-0.1, 1.1, math.nan, "0.2")),
    (Poll, "ceiling", 1.0),
]


@pytest.mark.parametrize(("settings", "name", "value"), NONSENSE)
def test_an_invalid_setting_is_refused_immediately_and_named(settings: Any, name: str, value: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        settings(**{name: value})
    assert caught.value.argument == name


@pytest.mark.parametrize("settings", [Timeouts, Retry, Limits, Poll])
def test_settings_are_frozen_and_their_defaults_are_valid(settings: Any) -> None:
    made = settings()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(made, attrs.fields(settings)[0].name, 1)


def test_a_timeout_can_be_infinite_and_a_limit_minimal() -> None:
    assert Timeouts(call=math.inf).call == math.inf
    assert Retry(attempts=1, budget=0, max_retry_after=0).attempts == 1
    assert Limits(rate=0.001).rate == 0.001
    assert Limits(connections=1, keepalive=0, wire=1, body=1).connections == 1
    assert Poll(interval=2, ceiling=2, backoff=1, jitter=0).ceiling == 2


def test_the_default_clock_is_monotonic_and_really_sleeps() -> None:
    clock = Clock()
    assert clock.now is time.monotonic
    assert clock.sleep is anyio.sleep
    assert {0 <= clock.jitter() < 1 for _ in range(100)} == {True}


@pytest.mark.parametrize("value", [None, 1, 500])
def test_an_optional_int_can_be_none(value: int | None) -> None:
    check_optional_int("limit", value, least=1)


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "5", math.nan])
def test_a_value_that_is_not_an_int_is_refused_by_name(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="limit: must be a whole number of at least 1"):
        check_int("limit", value, least=1)
