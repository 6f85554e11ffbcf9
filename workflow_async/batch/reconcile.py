"""What looking for a start comes to, and the looking itself, which never starts anything."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import define, field, frozen

from workflow_async.batch.outage import OutageTimer, is_temporary
from workflow_async.errors import CallError
from workflow_async.phase import Workflow
from workflow_async.settings import Clock

W = TypeVar("W", bound=Workflow)
W_co = TypeVar("W_co", bound=Workflow, covariant=True)

CHECK_INTERVAL = 2.0
"""Seconds between two looks."""


@frozen
class StartFound(Generic[W_co]):
    """The start happened: `workflow` is what it started."""

    workflow: W_co
    evidence: str
    """What says so."""


@frozen
class NoStartFound:
    """Nothing of it was seen: **not** the same as "not started", as a request on its way may still be carried out."""

    observed_for: float
    """Seconds from the first look that succeeded to the last."""
    checks: int
    """Looks that succeeded."""


@frozen
class Ambiguous(Generic[W_co]):
    """Nobody can say: each of `candidates` may be it, or none; it may have no candidates at all."""

    candidates: tuple[W_co, ...]
    why: str


ReconcileResult = StartFound[W_co] | NoStartFound | Ambiguous[W_co]
Check = Callable[[], Awaitable[StartFound[W] | Ambiguous[W] | None]]


@frozen
class OtherStarts:
    """What is known of the other starts of a batch while a start is searched for."""

    own: Callable[[int], bool] = lambda _: False
    """True for the id of a workflow that belongs to another start."""
    may_own_same: Callable[[], bool] = lambda: False
    """True while another start, which may have happened and has no id yet, may own the same workflow."""


NO_OTHER_STARTS = OtherStarts()
OTHER_START_MAY_OWN_IT = "another start of the batch, which may have happened too, may own it"


@define(eq=False)
class SearchTime:
    """How long a start has been searched for: the time between checks that were answered."""

    clock: Clock
    answered_at: list[float] = field(factory=list, init=False)
    elapsed: float = field(default=0.0, init=False)
    _failed: bool = field(default=False, init=False)

    def note_failure(self) -> None:
        """Note a check that failed: the time until the next answer counts as no more than one pause."""
        self._failed = True

    def note_answer(self) -> None:
        """Note a check that was answered."""
        now = self.clock.now()
        gap = now - self.answered_at[-1] if self.answered_at else 0.0
        self.elapsed += min(gap, CHECK_INTERVAL) if self._failed else gap
        self._failed = False
        self.answered_at.append(now)

    @property
    def result(self) -> NoStartFound:
        """What checks that did not see the start come to."""
        return NoStartFound(self.answered_at[-1] - self.answered_at[0], len(self.answered_at))


async def search(
    check: Check[W], clock: Clock, seconds: Callable[[], float], outage: float | None = None
) -> ReconcileResult[W]:
    """Check until the start is seen, or until checks have been answered for `seconds`.

    Args:
        check: one check.
        clock: measures the time.
        seconds: how long to search. Time in which checks fail does not count.
        outage: seconds for which checks may fail in a row. The same as `seconds` if None.

    Raises:
        CallError: the checks failed for too long, or in a way that will not change.
    """
    search, timer = SearchTime(clock), OutageTimer(clock)
    verdict: StartFound[W] | Ambiguous[W] | None = None
    while True:
        failure: CallError | None = None
        try:
            verdict = await check()
        except CallError as error:
            failure = error
        if failure is None:
            search.note_answer()
            timer.reset()
            left = seconds() - search.elapsed
            if isinstance(verdict, StartFound) or left <= 0:
                return verdict or search.result
            pause = min(CHECK_INTERVAL, left)
        elif not is_temporary(failure) or timer.exceeded(failure, seconds() if outage is None else outage):
            break
        else:
            search.note_failure()
            pause = max(CHECK_INTERVAL, failure.retry_after or 0.0)
        await clock.sleep(pause)
    if verdict is None:
        raise failure
    return verdict
