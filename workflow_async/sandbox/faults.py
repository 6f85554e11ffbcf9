"""What may go wrong with an exchange, and a plan that says which ones do: the same for the same seed."""

import enum
import math
import re
from collections.abc import Iterable, Mapping

from attrs import Attribute, field, frozen

from workflow_async.sandbox.canned import CannedResponse
from workflow_async.sandbox.hashing import hash_float


class Fault(enum.Enum):
    """One way in which an exchange goes wrong."""

    RATE_LIMITED = "rate limited"
    """Not executed: 429 with `Retry-After`."""
    SERVER_ERROR = "server error"
    """Not executed: 503 from a proxy."""
    UNAUTHORIZED = "unauthorized"
    """Not executed: 401."""
    LOGIN_PAGE = "login page"
    """Not executed: 200 with a login page in HTML."""
    ERROR_AFTER = "error after"
    """Executed, then answered with 500."""
    CUT_BODY = "cut body"
    """Executed; the connection is closed after half of the body."""
    CUT_BEFORE = "cut before"
    """Executed; the connection is closed without an answer."""
    SHORT_PAGE = "short page"
    """A listing holds fewer rows than it was asked for, though there are more; other exchanges are served as usual."""
    REPEATED_PAGE = "repeated page"
    """A listing is answered with the page before, byte for byte; other exchanges are served as usual."""


Trouble = Fault | CannedResponse
"""What can go wrong with one exchange: a kind of fault, or a response of choice."""
Path = str | re.Pattern[str]
"""A prefix of paths, or a pattern that a path matches as a whole."""


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
        raise ValueError(f"rates are probabilities that add up to 1 at most, not {dict(rates)}")


def check_range(_: object, attribute: "Attribute[tuple[float, float]]", value: tuple[float, float]) -> None:
    """Raise `ValueError` for what is no span of seconds: the validator of a field."""
    least, most = value
    if not 0 <= least <= most:
        raise ValueError(f"{attribute.name} is (least, most) in seconds, not {value}")


def _check_retry_after(_: "Faults", __: "Attribute[int]", retry_after: int) -> None:
    if retry_after < 0:
        raise ValueError(f"retry_after is a number of seconds, not {retry_after}")


ALWAYS = (0.0, math.inf)


@frozen
class Faults:
    """A plan of faults; the default plan has none.

    Exchanges are numbered from 0 when the plan is put in force, and only those count that it covers.
    """

    seed: int = 0
    latency: tuple[float, float] = field(default=(0.0, 0.0), validator=check_range)
    """Least and most seconds that an answer takes, on the wall clock."""
    rates: Mapping[Trouble, float] = field(factory=dict, converter=_as_rates, validator=_check_rates)
    """How likely each fault or response is, from the end of the script on."""
    script: tuple[Trouble | None, ...] = field(default=(), converter=_as_script)
    """The faults or responses of the first exchanges, in their order."""
    retry_after: int = field(default=1, validator=_check_retry_after)
    """Seconds that RATE_LIMITED asks to wait."""
    methods: tuple[str, ...] = field(default=(), converter=_as_names)
    """Covers these methods only; all if empty."""
    paths: tuple[Path, ...] = field(default=(), converter=_as_paths)
    """Covers paths that start with one of these texts or fully match one of these patterns. Empty means all paths."""
    during: tuple[float, float] = field(default=ALWAYS, validator=check_range)
    """Covers exchanges from the first to before the second instant, in seconds of the sandbox's time since the
    assignment."""

    def covers(self, method: str, path: str, elapsed: float = 0.0) -> bool:
        """Return True if the plan decides about a request to `path`, `elapsed` seconds after it was put in force."""
        first, last = self.during
        return (
            first <= elapsed < last
            and (not self.methods or method in self.methods)
            and (not self.paths or any(_matches(wanted, path) for wanted in self.paths))
        )

    def fault_for(self, n: int) -> Trouble | None:
        """What goes wrong with the n-th exchange."""
        if n < len(self.script):
            return self.script[n]
        point = hash_float(self.seed, n)
        for fault, rate in self.rates.items():
            point -= rate
            if point < 0:
                return fault
        return None

    def plans(self, *, lists: bool) -> "tuple[Faults, ...]":
        """Return the plans for exchanges that this value stands for: itself."""
        return (self,)

    def delay_for(self, n: int) -> float:
        """How many seconds the n-th answer takes."""
        least, most = self.latency
        return least + (most - least) * hash_float(self.seed, n, "latency")


def _matches(wanted: Path, path: str) -> bool:
    return path.startswith(wanted) if isinstance(wanted, str) else wanted.fullmatch(path) is not None
