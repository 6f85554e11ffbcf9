"""Decides when a list need not be read, because its mark is the one that it had when it was read last. Pure.

A mark is what a small request says of the list, such as its length and its newest workflow. If the mark is the same,
nothing has started, and nothing has ended unless as many workflows have become active again since then. Changes between
two active states do not show in it.
"""

import math
from collections.abc import Hashable, Set as AbstractSet

from attrs import define, field

MIN_PAGES = 4
"""Pages. The mark of a shorter list saves too little."""


@define
class ListGate:
    """The mark of the list when it was read last, and the reads that were skipped since then."""

    disabled_until: float = field(default=-math.inf, init=False)
    skipped_since: float | None = field(default=None, init=False)
    """When a read was skipped for the first time since the list was read. None if none was skipped."""
    _mark: Hashable | None = field(default=None, init=False)
    """The mark that was requested before the list was read. None if it was not requested."""
    _shown: AbstractSet[int] = field(default=frozenset(), init=False)
    """Workflows that the list showed."""
    _quiet: bool = field(default=False, init=False)
    """True if the list showed no change when it was read last. Most lists that are like that stay so."""

    def wants_mark(self, pages: int, now: float) -> bool:
        """Return True if the mark is worth a request: to skip this read, or the reads after it."""
        return pages >= MIN_PAGES and now >= self.disabled_until and self._quiet

    def may_skip(self, mark: Hashable | None, covered: AbstractSet[int], now: float, ceiling: float) -> bool:
        """Return True if a list with this mark need not be read, because it shows the same workflows as before."""
        return mark is not None and mark == self._mark and covered <= self._shown and now < self._whole_at(now, ceiling)

    def skipped(self, now: float, next_at: float, ceiling: float) -> float:
        """Note that the list was not read. Return when to read it, which is `next_at` or earlier.

        An end that the mark does not show is seen at most `ceiling` seconds after the first read that was skipped.
        """
        self.skipped_since = now if self.skipped_since is None else self.skipped_since
        return min(next_at, self._whole_at(now, ceiling))

    def _whole_at(self, now: float, ceiling: float) -> float:
        return (now if self.skipped_since is None else self.skipped_since) + ceiling

    def list_read(self, mark: Hashable | None, shown: AbstractSet[int], *, quiet: bool) -> None:
        """Note that the list was read to its end after its mark had been requested."""
        self._mark, self._shown, self._quiet, self.skipped_since = mark, shown, quiet, None

    def list_failed(self) -> None:
        """Note that the list could not be read. Read it before a mark is requested again."""
        self._mark, self._shown, self._quiet, self.skipped_since = None, frozenset(), False, None

    def disable(self, until: float) -> None:
        """Request no mark before this instant."""
        self.disabled_until = until
