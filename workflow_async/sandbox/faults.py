"""What may go wrong with an exchange, and a plan that says which ones do: the same for the same seed."""

import enum
from collections.abc import Iterable, Mapping

from attrs import Attribute, field, frozen

from workflow_async.sandbox.dice import chance


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


def _rates(rates: Mapping[Fault, float]) -> Mapping[Fault, float]:
    return dict(rates)


def _script(script: Iterable[Fault | None]) -> tuple[Fault | None, ...]:
    return tuple(script)


def _names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _probabilities(_: "Faults", __: "Attribute[Mapping[Fault, float]]", rates: Mapping[Fault, float]) -> None:
    if any(not 0 <= rate <= 1 for rate in rates.values()) or sum(rates.values()) > 1:
        raise ValueError(f"rates are probabilities that add up to 1 at most, not {dict(rates)}")


def _range(_: "Faults", __: "Attribute[tuple[float, float]]", latency: tuple[float, float]) -> None:
    least, most = latency
    if not 0 <= least <= most:
        raise ValueError(f"latency is (least, most) in seconds, not {latency}")


def _seconds(_: "Faults", __: "Attribute[int]", retry_after: int) -> None:
    if retry_after < 0:
        raise ValueError(f"retry_after is a number of seconds, not {retry_after}")


@frozen
class Faults:
    """A plan of faults; the default plan has none.

    Exchanges are numbered from 0 when the plan is put in force, and only those count that it covers.
    """

    seed: int = 0
    latency: tuple[float, float] = field(default=(0.0, 0.0), validator=_range)
    """Least and most seconds that an answer takes, on the wall clock."""
    rates: Mapping[Fault, float] = field(factory=dict, converter=_rates, validator=_probabilities)
    """How likely each fault is, from the end of the script on."""
    script: tuple[Fault | None, ...] = field(default=(), converter=_script)
    """The faults of the first exchanges, in their order."""
    retry_after: int = field(default=1, validator=_seconds)
    """Seconds that RATE_LIMITED asks to wait."""
    methods: tuple[str, ...] = field(default=(), converter=_names)
    """Covers these methods only; all if empty."""
    paths: tuple[str, ...] = field(default=(), converter=_names)
    """Covers paths that begin with one of these only; all if empty."""

    def covers(self, method: str, path: str) -> bool:
        """Whether the plan has a say in such an exchange."""
        return (not self.methods or method in self.methods) and (not self.paths or path.startswith(self.paths))

    def at(self, n: int) -> Fault | None:
        """What goes wrong with the n-th exchange."""
        if n < len(self.script):
            return self.script[n]
        point = chance(self.seed, n)
        for fault, rate in self.rates.items():
            point -= rate
            if point < 0:
                return fault
        return None

    def delay(self, n: int) -> float:
        """How many seconds the n-th answer takes."""
        least, most = self.latency
        return least + (most - least) * chance(self.seed, n, "latency")
