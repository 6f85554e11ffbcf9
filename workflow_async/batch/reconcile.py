"""Searches for the workflow of a start that may have happened. A search never starts anything."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import define, field, frozen

from workflow_async._records.record import Record
from workflow_async.batch.outage import OutageTimer, is_temporary
from workflow_async.errors import CallError
from workflow_async.phase import Workflow
from workflow_async.settings import Clock

W = TypeVar("W", bound=Workflow)
W_co = TypeVar("W_co", bound=Workflow, covariant=True)

CHECK_INTERVAL = 2.0
"""Seconds between two checks."""


@frozen
class StartFound(Record, Generic[W_co]):
    """The start happened, and `workflow` is its workflow."""

    workflow: W_co
    evidence: str
    """Why this is the workflow of the start, in a sentence."""


@frozen
class NoStartFound(Record):
    """No workflow of the start was found.

    This does **not** mean "not started", because the server may still carry out a request that was sent.
    """

    observed_for: float
    """Seconds from the first successful check to the last."""
    checks: int
    """The number of successful checks."""


@frozen
class Ambiguous(Record, Generic[W_co]):
    """It cannot be decided: each of `candidates`, or none of them, may be the workflow. There may be no candidates."""

    candidates: tuple[W_co, ...]
    why: str


ReconcileResult = StartFound[W_co] | NoStartFound | Ambiguous[W_co]
Check = Callable[[], Awaitable[StartFound[W] | Ambiguous[W] | None]]


@frozen
class OtherStarts:
    """What a search must know about the other starts of the batch."""

    own: Callable[[int], bool] = lambda _: False
    """Returns True for the id of a workflow that belongs to another start."""
    may_own_same: Callable[[], bool] = lambda: False
    """Returns True while another start may own the same workflow: it may have happened, and its id is unknown."""


NO_OTHER_STARTS = OtherStarts()
OTHER_START_MAY_OWN_IT = "it may belong to another start of the batch whose outcome is unknown"


@define(eq=False)
class SearchTime:
    """The duration of a search: the time between successful checks."""

    clock: Clock
    succeeded_at: list[float] = field(factory=list, init=False)
    elapsed: float = field(default=0.0, init=False)
    _failed: bool = field(default=False, init=False)

    def note_failure(self) -> None:
        """Note a failed check. The time until the next successful check counts as at most `CHECK_INTERVAL`."""
        self._failed = True

    def note_success(self) -> None:
        """Note a successful check."""
        now = self.clock.now()
        gap = now - self.succeeded_at[-1] if self.succeeded_at else 0.0
        self.elapsed += min(gap, CHECK_INTERVAL) if self._failed else gap
        self._failed = False
        self.succeeded_at.append(now)

    @property
    def result(self) -> NoStartFound:
        """The result of a search whose checks found nothing."""
        return NoStartFound(self.succeeded_at[-1] - self.succeeded_at[0], len(self.succeeded_at))


async def search(
    check: Check[W], clock: Clock, seconds: Callable[[], float], outage: float | None = None
) -> ReconcileResult[W]:
    """Repeat `check` until it finds the start, or until checks have succeeded for `seconds`.

    Args:
        check: returns what one check found, or None.
        clock: measures the time.
        seconds: returns how long to search. Time in which checks fail does not count.
        outage: seconds for which checks may fail in a row. The same as `seconds` if None.

    Raises:
        CallError: checks failed for longer than `outage`, or with an error that is not temporary.
    """
    time, timer = SearchTime(clock), OutageTimer(clock)
    found: StartFound[W] | Ambiguous[W] | None = None
    while True:
        failure: CallError | None = None
        try:
            found = await check()
        except CallError as error:
            failure = error
        if failure is None:
            time.note_success()
            timer.reset()
            left = seconds() - time.elapsed
            if isinstance(found, StartFound) or left <= 0:
                return found or time.result
            delay = min(CHECK_INTERVAL, left)
        elif not is_temporary(failure) or timer.exceeded(failure, seconds() if outage is None else outage):
            break
        else:
            time.note_failure()
            delay = max(CHECK_INTERVAL, failure.retry_after or 0.0)
        await clock.sleep(delay)
    if found is None:
        raise failure
    return found
