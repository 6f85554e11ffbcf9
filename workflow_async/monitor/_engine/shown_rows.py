"""Remembers the workflows that the last list showed, to tell an end from a list that lags. Pure."""

import math
from collections.abc import Set as AbstractSet

from attrs import define, field


@define
class ShownRows:
    """The workflows that the last believed list showed.

    A list lags, so it need not show a workflow that a GET has just shown. But a list that showed the workflow after
    that GET knew it. If the next list does not show it, it has most likely ended. A GET finds out. If the GET shows it
    active, the lists contradict each other. Then only the time since the GET counts, as for a workflow that no list has
    shown yet.
    """

    _ids: AbstractSet[int] = field(factory=frozenset, init=False)
    _began: float = field(default=-math.inf, init=False)
    """When that list was requested."""
    _contradicted: set[int] = field(factory=set, init=False)
    """Workflows whose last GET showed them active although a list did not show them."""

    def list_read(self, shown: AbstractSet[int], began: float) -> None:
        """Note what a list showed that was requested at `began`."""
        self._ids, self._began = shown, began

    def got(self, id: int, *, missing: bool) -> None:
        """Note a GET. `missing` is True if the last list did not show the workflow."""
        if missing:
            self._contradicted.add(id)
        else:
            self._contradicted.discard(id)

    def forget(self, id: int) -> None:
        """Forget what a GET showed of a workflow."""
        self._contradicted.discard(id)

    def showed_after(self, id: int, got_at: float) -> bool:
        """Return True if the list showed a workflow after a GET at this instant, and no GET has contradicted a list."""
        return id in self._ids and got_at <= self._began and id not in self._contradicted
