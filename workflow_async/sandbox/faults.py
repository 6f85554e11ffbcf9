"""Faults of single exchanges, and plans that choose the exchanges. The same seed gives the same faults."""

import enum
import math
import re
from collections.abc import Iterable, Mapping

from attrs import Attribute, field, frozen

from workflow_async.sandbox.canned import CannedResponse
from workflow_async.sandbox.hashing import hash_float


class Fault(enum.Enum):
    """A kind of fault of one exchange."""

    RATE_LIMITED = "rate limited"
    """Not executed. The response is 429 with `Retry-After`."""
    SERVER_ERROR = "server error"
    """Not executed. The response is 503, as a proxy sends it."""
    UNAUTHORIZED = "unauthorized"
    """Not executed. The response is 401."""
    LOGIN_PAGE = "login page"
    """Not executed. The response is 200 with a login page in HTML."""
    ERROR_AFTER = "error after"
    """Executed. The response is 500."""
    CUT_BODY = "cut body"
    """Executed. The connection is closed after half of the body."""
    CUT_BEFORE = "cut before"
    """Executed. The connection is closed without a response."""
    SHORT_PAGE = "short page"
    """A page of a list has half of its rows, although there are more. Other exchanges are not affected."""
    REPEATED_PAGE = "repeated page"
    """The last page of the same list is sent again, byte for byte. Other exchanges are not affected."""


Trouble = Fault | CannedResponse
"""A kind of fault, or a canned response."""
Path = str | re.Pattern[str]
"""A prefix of paths, or a pattern for the whole path."""


def _as_rates(
    rates: Mapping[Trouble, float] | Mapping[Fault, float] | Mapping[CannedResponse, float],
) -> Mapping[Trouble, float]:
    return dict(rates.items())


def _as_script(script: Iterable[Trouble | None]) -> tuple[Trouble | None, ...]:
    return tuple(script)


def _as_names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _as_paths(paths: Path | Iterable[Path]) -> tuple[Path, ...]:
    return (paths,) if isinstance(paths, str | re.Pattern) else tuple(paths)


def _check_rates(_: "Faults", __: "Attribute[Mapping[Trouble, float]]", rates: Mapping[Trouble, float]) -> None:
    total = math.fsum(rates.values())
    if any(not 0 <= rate <= 1 for rate in rates.values()) or (total > 1 and not math.isclose(total, 1)):
        raise ValueError(f"rates must be probabilities with a sum of at most 1, not {dict(rates)}")


def check_range(_: object, attribute: "Attribute[tuple[float, float]]", value: tuple[float, float]) -> None:
    """Raise `ValueError` unless the value of a field is a range of seconds. An attrs validator."""
    least, most = value
    if not 0 <= least <= most:
        raise ValueError(f"{attribute.name} must be a range (least, greatest) in seconds, not {value}")


def _check_retry_after(_: "Faults", __: "Attribute[int]", retry_after: int) -> None:
    if retry_after < 0:
        raise ValueError(f"retry_after must not be negative: {retry_after}")


ALWAYS = (0.0, math.inf)


@frozen
class Faults:
    """A plan of faults. The default plan has none.

    The exchanges that a plan covers are numbered from 0, starting when the plan is set.
    """

    seed: int = 0
    latency: tuple[float, float] = field(default=(0.0, 0.0), validator=check_range)
    """The least and the greatest delay of a response, in seconds of the wall clock."""
    rates: Mapping[Trouble, float] = field(factory=dict, converter=_as_rates, validator=_check_rates)
    """The probability of each fault or response, after the end of the script."""
    script: tuple[Trouble | None, ...] = field(default=(), converter=_as_script)
    """The faults or responses of the first exchanges, in order. None is an exchange without a fault."""
    retry_after: int = field(default=1, validator=_check_retry_after)
    """The `Retry-After` of RATE_LIMITED, in seconds."""
    methods: tuple[str, ...] = field(default=(), converter=_as_names)
    """The HTTP methods that the plan covers. Empty means all methods."""
    paths: tuple[Path, ...] = field(default=(), converter=_as_paths)
    """The paths that the plan covers: prefixes, or patterns for a whole path. Empty means all paths."""
    during: tuple[float, float] = field(default=ALWAYS, validator=check_range)
    """The start and the end of the covered time, in seconds of the sandbox's time since the plan was set."""

    def covers(self, method: str, path: str, elapsed: float = 0.0) -> bool:
        """Return True if the plan covers a request to `path`, `elapsed` seconds after the plan was set."""
        first, last = self.during
        return (
            first <= elapsed < last
            and (not self.methods or method in self.methods)
            and (not self.paths or any(_matches(wanted, path) for wanted in self.paths))
        )

    def fault_for(self, n: int) -> Trouble | None:
        """Return the fault of the n-th exchange, or None."""
        if n < len(self.script):
            return self.script[n]
        point = hash_float(self.seed, n)
        for fault, rate in self.rates.items():
            point -= rate
            if point < 0:
                return fault
        return None

    def plans(self, *, lists: bool) -> "tuple[Faults, ...]":
        """Return the fault plans for this condition: this plan."""
        return (self,)

    def delay_for(self, n: int) -> float:
        """Return the delay of the n-th response in seconds."""
        least, most = self.latency
        return least + (most - least) * hash_float(self.seed, n, "latency")


def _matches(wanted: Path, path: str) -> bool:
    return path.startswith(wanted) if isinstance(wanted, str) else wanted.fullmatch(path) is not None
