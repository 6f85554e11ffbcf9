"""Settings of a client, as frozen records that check their values when they are made."""

import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from attrs import Attribute, field, frozen

from workflow_async.errors import InvalidArgument

__all__ = ["Clock", "Limits", "Pace", "Poll", "Retry", "Timeouts"]

Pace = Callable[[], Awaitable[object]]
"""A coroutine function that returns when the next request may be sent, such as the `acquire` of a rate limiter.

A request that is cancelled cancels its call, which should then take no turn. An exception becomes `PaceFailed`.
"""


def _number_above(least: float) -> Callable[[Any, "Attribute[float]", float], None]:
    def check(_: object, attribute: "Attribute[float]", value: float) -> None:
        if not (_is_number(value) and value > least):
            raise InvalidArgument(attribute.name, f"must be a number above {least:g}")

    return check


def _number_at_least(least: float) -> Callable[[Any, "Attribute[float]", float], None]:
    def check(_: object, attribute: "Attribute[float]", value: float) -> None:
        if not (_is_number(value) and value >= least):
            raise InvalidArgument(attribute.name, f"must be a number of at least {least:g}")

    return check


def _number_between(least: float, most: float) -> Callable[[Any, "Attribute[float]", float], None]:
    def check(_: object, attribute: "Attribute[float]", value: float) -> None:
        if not (_is_number(value) and least <= value <= most):
            raise InvalidArgument(attribute.name, f"must be a number from {least:g} to {most:g}")

    return check


def _optional_number_above(least: float) -> Callable[[Any, "Attribute[float | None]", float | None], None]:
    def check(_: object, attribute: "Attribute[float | None]", value: float | None) -> None:
        if value is not None and not (_is_number(value) and value > least):
            raise InvalidArgument(attribute.name, f"must be a number above {least:g}, or None for no limit")

    return check


def _int_at_least(least: int) -> Callable[[Any, "Attribute[int]", int], None]:
    def check(_: object, attribute: "Attribute[int]", value: int) -> None:
        check_int(attribute.name, value, least=least)

    return check


def _is_number(value: object) -> bool:
    """Return True for a float, and for an int that fits into a float."""
    if isinstance(value, bool) or not isinstance(value, int):
        return isinstance(value, float)
    return abs(value) <= sys.float_info.max


def check_int(argument: str, value: int, *, least: int) -> None:
    """Raise `InvalidArgument` unless `value` is an int of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidArgument(argument, f"must be a whole number of at least {least}")


def check_timeout(argument: str, value: float | None) -> None:
    """Raise `InvalidArgument` unless `value` is None or a number of seconds above 0."""
    if value is not None and not (_is_number(value) and value > 0):
        raise InvalidArgument(argument, "must be a number of seconds above 0")


def check_optional_int(argument: str, value: int | None, *, least: int) -> None:
    """Raise `InvalidArgument` unless `value` is None or an int of at least `least`."""
    if value is not None:
        check_int(argument, value, least=least)


def check_positive(argument: str, value: float | None) -> None:
    """Raise `InvalidArgument` unless `value` is None or a number above 0."""
    if value is not None and not (_is_number(value) and value > 0):
        raise InvalidArgument(argument, "must be a number above 0")


def check_not_negative(argument: str, value: float) -> None:
    """Raise `InvalidArgument` unless `value` is a number of at least 0."""
    if not (_is_number(value) and value >= 0):
        raise InvalidArgument(argument, "must be a number of at least 0")


@frozen
class Clock:
    """The source of time and random numbers. Replace its functions to test without waiting."""

    now: Callable[[], float] = time.monotonic
    """Returns a monotonic time in seconds."""
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    """Sleeps for the given number of seconds."""
    jitter: Callable[[], float] = random.random
    """Returns a random number in [0, 1)."""
    wall: Callable[[], float] = time.time
    """Returns the seconds since 1970. One-time codes are computed from them."""


@frozen(kw_only=True)
class Timeouts:
    """Timeouts in seconds.

    `call` limits a whole call, including its wait for a connection, its retries and its login. `exchange` limits one
    request with its complete response. `connect` limits the opening of a connection. A start is never repeated on a
    guess, so `exchange` does not limit a start, only `call` does.
    """

    call: float = field(default=120.0, validator=_number_above(0))
    exchange: float = field(default=30.0, validator=_number_above(0))
    connect: float = field(default=5.0, validator=_number_above(0))


@frozen(kw_only=True)
class Retry:
    """When a safe call is retried. Starts and state changes are never retried.

    The delay before attempt n + 1 is drawn from [0, min(cap, base * 2 ** (n - 1))] seconds. A Retry-After up to
    `max_retry_after` seconds is respected, with jitter added. A longer one raises `RateLimited` immediately. All calls
    of a client share `budget`. A retry takes 5 from the budget, after a timeout 10, and a success gives 1 back.
    """

    attempts: int = field(default=4, validator=_int_at_least(1))
    patience: float = field(default=60.0, validator=_number_at_least(0))
    """Seconds for which 502, 503 and 504 are retried beyond `attempts`. A gateway needs time to reach its server."""
    base: float = field(default=0.5, validator=_number_above(0))
    cap: float = field(default=20.0, validator=_number_above(0))
    max_retry_after: float = field(default=60.0, validator=_number_at_least(0))
    budget: float = field(default=500.0, validator=_number_at_least(0))


@frozen(kw_only=True)
class Limits:
    """Limits of one client: connections, requests per second, idle connections, and bytes of one response."""

    connections: int = field(default=16, validator=_int_at_least(1))
    rate: float | None = field(default=None, validator=_optional_number_above(0))
    """Requests per second, including retries and logins. None for no limit.

    Requests are spaced evenly and sent in their order. After a pause, the requests of 0.1 s are sent without spacing.
    The wait for a turn counts for `Timeouts.call` and not for `Timeouts.exchange`. A call that times out before its
    turn raises `NotSent`.
    """
    keepalive: float = field(default=4.0, validator=_number_at_least(0))
    """Seconds that an idle connection is kept.

    Less than servers allow (5 s and more), so that a server does not close a connection just as it is reused.
    """
    wire: int = field(default=16 * 2**20, validator=_int_at_least(1))
    """Bytes of a response body as received."""
    body: int = field(default=64 * 2**20, validator=_int_at_least(1))
    """Bytes of a response body after decompression."""


@frozen(kw_only=True)
class Poll:
    """How often a workflow is checked, in seconds.

    The first check happens after `initial`. The delay grows by the factor `backoff` from `interval` to `ceiling` while
    nothing changes. Each delay varies by `jitter` (0.2 is 20 % either way). Failed checks are tolerated for `outage`
    seconds in a row. Delays that the server requests (`Retry-After`) do not count as an outage, up to one day. The time
    for which the client's machine was suspended does not count either.
    """

    initial: float = field(default=0.0, validator=_number_at_least(0))
    interval: float = field(default=2.0, validator=_number_above(0))
    backoff: float = field(default=1.5, validator=_number_between(1, 100))
    ceiling: float = field(default=30.0, validator=_number_above(0))
    jitter: float = field(default=0.2, validator=_number_between(0, 1))
    outage: float = field(default=300.0, validator=_number_at_least(0))

    def __attrs_post_init__(self) -> None:
        if self.ceiling < self.interval:
            raise InvalidArgument("ceiling", "must not be below interval")


def check_poll(poll: Poll) -> None:
    """Raise `InvalidArgument` unless `poll` is a `Poll`."""
    if not isinstance(poll, Poll):
        raise InvalidArgument("poll", "must be a Poll, such as Poll(interval=5)")
