"""Divides a budget of requests per second among processes, as slices of the broker's time. Pure.

This is the generic cell rate algorithm (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm) for several
processes. All of them share one number: the time until which turns are reserved. A process that reserves `count` turns
moves this time by `count / rate` seconds with a compare-and-set. The turns between the old and the new time are its
own, evenly spaced. So the turns of all processes together are evenly spaced, whichever process has which.

Times are those of the broker, in seconds since 1970. Each process measures how far its own clock is from them.
"""

import math
from collections import deque

from attrs import define, field, frozen

HORIZON = 0.3
"""Turns are reserved up to this many seconds ahead. A process that is killed loses its share of them."""
SLICE = 0.15
"""Seconds of the whole budget that one reservation takes at most."""
SHORTEST = 0.04
"""Seconds of the whole budget that a reservation can always take. Else it waits, so that the broker has few of them."""
LATENESS = 0.2
"""Seconds after its time until which a turn can be used. Then it is lost, since a late request would be one too many.

Over 5 seconds, turns that are used late add at most 4 % to the budget.
"""
SLOWEST = 1.0
"""Seconds that a write to the broker may take."""
DRIFT = 200e-6
"""Seconds by which two clocks may drift apart in a second."""
SMOOTHING = 0.4
"""Seconds over which the use of turns is averaged."""
TRUST = 0.04
"""The part of the expected requests that is added with each look that finds no lost turns."""


@frozen
class Slice:
    """Turns that one process has reserved."""

    start: float
    """The time of the first turn."""
    count: int
    interval: float
    """Seconds between two turns."""

    @property
    def end(self) -> float:
        """The time at which the turns of the next slice begin."""
        return self.start + self.count * self.interval


def next_slice(until: float | None, now: float, wanted: int, rate: float) -> Slice | None:
    """Return the turns that a process may reserve. None if turns are reserved up to the horizon.

    A slice takes at most half of the time that is left up to the horizon, so that it grows short where many processes
    need turns, and each of them gets some soon.

    Args:
        until: the time until which turns are reserved. None if the broker has no such time: it may have been lost, with
            turns reserved up to the horizon. A time beyond means that the broker's clock was set back, which is alike.
        now: the time from which the process can use turns.
        wanted: the number of turns that the process needs, at least 1.
        rate: turns per second.
    """
    farthest = now + HORIZON + SLOWEST + 1 / rate
    if until is None or until > farthest:
        start, left = now + HORIZON, HORIZON
    else:
        start = max(until, now)
        left = now + HORIZON - start
    if left < 2 * SHORTEST:
        return None
    count = min(wanted, math.floor(min(SLICE, left / 2) * rate))
    return Slice(start, max(1, count), 1 / rate)


@define
class BrokerClock:
    """The broker's time, estimated from the times at which it stored messages of this process.

    A message is stored after it was sent and before the response arrived. So each message bounds the difference of the
    clocks. The bounds of several messages are combined.
    """

    _least: float = field(default=-math.inf, init=False)
    _most: float = field(default=math.inf, init=False)
    _measured: float = field(default=-math.inf, init=False)

    def age(self, local: float) -> float:
        """Return the seconds since the last measurement. Infinite before the first."""
        return local - self._measured

    def expire(self) -> None:
        """Let the next measurement replace the bounds."""
        self._measured = -math.inf

    def measure(self, sent: float, received: float, stored: float) -> None:
        """Combine the bounds with those of one message. `stored` is the broker's time."""
        least, most = stored - received, stored - sent
        drift = DRIFT * self.age(received)
        self._measured = received
        if max(least, self._least - drift) <= min(most, self._most + drift):
            self._least, self._most = max(least, self._least - drift), min(most, self._most + drift)
        else:  # one of the clocks was set
            self._least, self._most = least, most

    def now(self, local: float) -> float:
        """Return the broker's time at this local time."""
        return local + (self._least + self._most) / 2


@define
class Turns:
    """The turns that a process has reserved and not used, by their times."""

    _times: deque[float] = field(factory=deque, init=False)
    lost: int = field(default=0, init=False)
    """Number of turns that were not used in time."""

    def add(self, reserved: Slice) -> None:
        """Add the turns of a slice."""
        self._times.extend(reserved.start + number * reserved.interval for number in range(reserved.count))

    def first(self, now: float) -> float | None:
        """Return the time of the first turn that can still be used, which may be in the past. None if there is none."""
        while self._times and self._times[0] < now - LATENESS:
            self._times.popleft()
            self.lost += 1
        return self._times[0] if self._times else None

    def use(self) -> None:
        """Use the first turn."""
        self._times.popleft()

    def left(self, now: float) -> int:
        """Return the number of turns that can still be used."""
        self.first(now)
        return len(self._times)


@define
class Demand:
    """Decides how many turns a process reserves: for the requests that wait, and for the requests that it expects.

    A process that has lost turns reserves for waiting requests only, and then for more and more of the expected ones.
    """

    _used: int = field(default=0, init=False)
    _rate: float = field(default=0.0, init=False)
    """Turns used per second, smoothed."""
    _trust: float = field(default=0.0, init=False)
    """The part of the expected requests to reserve for, from 0 to 1."""
    _lost: int = field(default=0, init=False)
    _looked: float = field(default=-math.inf, init=False)

    @property
    def idle(self) -> bool:
        """True if no turn was used since the last look."""
        return not self._used

    def use(self) -> None:
        """Count a turn that was used."""
        self._used += 1

    def look(self, now: float, lost: int) -> None:
        """Measure the use since the last look. `lost` is the number of all turns that were lost."""
        elapsed = max(now - self._looked, SMOOTHING / 4)
        weight = min(1.0, elapsed / SMOOTHING)
        self._rate += weight * (self._used / elapsed - self._rate)
        self._trust = min(1.0, self._trust + TRUST) if lost == self._lost else 0.0
        self._used, self._lost, self._looked = 0, lost, now

    def wanted(self, waiting: int, left: int, ahead: float) -> int:
        """Return how many turns to reserve. 0 if the turns that are left suffice.

        Args:
            waiting: number of requests that wait.
            left: number of turns that are left.
            ahead: seconds until the turns that are reserved next can be used.
        """
        return max(0, waiting + math.floor(self._trust * self._rate * ahead) - left)
