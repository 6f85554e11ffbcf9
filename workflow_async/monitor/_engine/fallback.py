"""Decides whether the list and bulk checks can be used, by their results and those of GETs. Pure.

A server's index that fails says nothing about workflows. The workflows that it should have shown get a GET each.
"""

import math
from collections.abc import Collection
from itertools import islice

from attrs import define, field

from workflow_async._core.call import Replay
from workflow_async._core.retry import retryable
from workflow_async.errors import CallError, ListingNotSupported

DISABLED_FOR = 300.0
"""Seconds for which a list or bulk checks that fail are not used."""
ONLY_LIST = 2
"""Times in a row that a GET is answered between two failures of the list before the list is disabled."""
BULK_FAILURES = 3
"""Bulk checks in a row that fail before they are disabled."""


@define
class ListHealth:
    """The results of reading the list, and of the GETs between them.

    A list that fails while GETs are answered is disabled for 5 minutes. If neither is answered, there is an outage.
    """

    rows: int | None = field(default=None, init=False)
    """Rows of the list when it was last read. None before that."""
    failures: int = field(default=0, init=False)
    """Times in a row that the list could not be read."""
    probe: int | None = field(default=None, init=False)
    """The workflow whose GET shows whether only the list fails."""
    unanswered: bool = field(default=False, init=False)
    """True if no GET was answered since the list last failed."""
    only_list: int = field(default=0, init=False)
    """Times in a row that a GET was answered after the list had failed."""

    def list_read(self, rows: int | None) -> None:
        """Note that the list was read to its end."""
        self.rows = rows
        self._reset()

    def failed(self, error: CallError, covered: Collection[int]) -> float | None:
        """Note that the list could not be read. Return the seconds for which to disable it, None to read it again.

        From the second failure in a row on, `probe` is one of the workflows that the list should show.
        """
        self.failures += 1
        self.unanswered = True
        if isinstance(error, ListingNotSupported) and self.rows is None:
            return math.inf
        if not retryable(error, Replay.SAFE) or self.only_list >= ONLY_LIST:
            self._reset()
            return DISABLED_FOR
        if self.failures > 1 and covered and self.probe is None:
            # Another one each time, because the record of one workflow may be the reason why the list fails.
            self.probe = next(islice(covered, self.failures % len(covered), None))
        return None

    def get_succeeded(self) -> bool:
        """Note a GET that was answered. Return True if the list should be read again now."""
        if not self.unanswered:
            return False
        self.unanswered = False
        self.only_list += 1
        return True

    def get_failed(self, id: int) -> bool:
        """Note a GET that failed. Return True if that shows an outage, because the list fails too."""
        self.only_list = 0
        return id == self.probe

    def get_finished(self, ids: Collection[int]) -> None:
        """Note the end of a request for these workflows, whatever its result."""
        if self.probe in ids:
            self.probe = None

    def _reset(self) -> None:
        self.failures, self.probe, self.unanswered, self.only_list = 0, None, False, 0


@define
class BulkHealth:
    """The results of bulk checks."""

    failures: int = field(default=0, init=False)
    """Failures in a row."""

    def succeeded(self) -> None:
        """Note a bulk check that was answered."""
        self.failures = 0

    def failed(self, error: CallError) -> float | None:
        """Note a bulk check that failed. Return the seconds for which to disable bulk checks, None to go on."""
        self.failures += 1
        disable = self.failures >= BULK_FAILURES or not retryable(error, Replay.SAFE)
        return DISABLED_FOR if disable else None
