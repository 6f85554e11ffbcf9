"""Whether the list and bulk checks can be used, judged by what came of them and of gets. Pure.

An index that is ill says nothing about workflows: what it should have shown is got by id.
"""

import math
from collections.abc import Collection
from itertools import islice

from attrs import define, field

from workflow_async._core.call import Replay
from workflow_async._core.retry import retryable
from workflow_async.errors import CallError, ListingNotSupported

LEFT_OUT = 300.0
"""Seconds for which a list or bulk checks that fail are left out, before they are tried again."""
ONLY_LIST = 2
"""Times in a row that a get is answered between two failures of the list. Then the list is left out."""
BULK_FAILURES = 3
"""Bulk checks in a row that fail before they are left out."""


@define
class ListHealth:
    """What came of reading the list, and of the gets meanwhile.

    A list that fails while gets are answered is left out for a while. If neither is answered, there is an outage.
    """

    rows: int | None = field(default=None, init=False)
    """Rows of the list when it was read last. None before that."""
    failures: int = field(default=0, init=False)
    """Times in a row that it could not be read."""
    probe: int | None = field(default=None, init=False)
    """The workflow that is got to find out whether only the list fails."""
    _unanswered: bool = field(default=False, init=False)
    """True if no get was answered since the list failed last."""
    _only_list: int = field(default=0, init=False)
    """Times in a row that a get was answered after the list had failed."""

    def list_read(self, rows: int | None) -> None:
        """Take a list that was read to its end."""
        self.rows = rows
        self._reset()

    def failed(self, error: CallError, covered: Collection[int]) -> float | None:
        """Take a list that could not be read. Return the seconds for which it is left out, or None to read it again.

        From the second failure in a row on, `probe` is one of those that the list should show.
        """
        self.failures += 1
        self._unanswered = True
        if isinstance(error, ListingNotSupported) and self.rows is None:
            return math.inf
        if not retryable(error, Replay.SAFE) or self._only_list >= ONLY_LIST:
            self._reset()
            return LEFT_OUT
        if self.failures > 1 and covered and self.probe is None:
            # another each time: the record of one workflow may be what makes the list fail
            self.probe = next(islice(covered, self.failures % len(covered), None))
        return None

    def get_succeeded(self) -> bool:
        """Take a get that was answered. Return True if the list is to be read again at once."""
        if not self._unanswered:
            return False
        self._unanswered = False
        self._only_list += 1
        return True

    def get_failed(self, id: int) -> bool:
        """Take a get that failed. Return True if that shows an outage: the list fails too."""
        self._only_list = 0
        return id == self.probe

    def get_finished(self, ids: Collection[int]) -> None:
        """Take the end of a request for these, whatever came of it."""
        if self.probe in ids:
            self.probe = None

    def _reset(self) -> None:
        self.failures, self.probe, self._unanswered, self._only_list = 0, None, False, 0


@define
class BulkHealth:
    """What came of bulk checks."""

    failures: int = field(default=0, init=False)
    """In a row."""

    def succeeded(self) -> None:
        """Take a bulk check that was answered."""
        self.failures = 0

    def failed(self, error: CallError) -> float | None:
        """Take a bulk check that failed. Return the seconds for which they are left out, or None to go on."""
        self.failures += 1
        left_out = self.failures >= BULK_FAILURES or not retryable(error, Replay.SAFE)
        return LEFT_OUT if left_out else None
