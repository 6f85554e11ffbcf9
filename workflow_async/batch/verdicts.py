"""What looking for a start comes to, and the looking itself, which never starts anything."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import frozen

from workflow_async._call import Replay
from workflow_async._retry import retryable
from workflow_async.errors import CallError
from workflow_async.phase import Workflow
from workflow_async.settings import Clock

W = TypeVar("W", bound=Workflow)
W_co = TypeVar("W_co", bound=Workflow, covariant=True)

EVERY = 2.0
"""Seconds between two looks."""


@frozen
class Started(Generic[W_co]):
    """The start happened: `workflow` is what it started."""

    workflow: W_co
    evidence: str
    """What says so."""


@frozen
class NotSeen:
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


Verdict = Started[W_co] | NotSeen | Ambiguous[W_co]
Look = Callable[[], Awaitable[Started[W] | Ambiguous[W] | None]]


async def observe(look: Look[W], clock: Clock, seconds: Callable[[], float]) -> Verdict[W]:
    """Look until the start is seen, or for so many seconds; looks that fail are tried again within them.

    Raises:
        CallError: no look succeeded, or one failed in a way that will not change.
    """
    began = clock.now()
    looked_at: list[float] = []
    verdict: Started[W] | Ambiguous[W] | None = None
    while True:
        failure: CallError | None = None
        try:
            verdict = await look()
        except CallError as error:
            failure = error
        if failure is None:
            looked_at.append(clock.now())
        if failure is not None and not retryable(failure, Replay.SAFE):
            raise failure
        left = began + seconds() - clock.now()
        if isinstance(verdict, Started) or left <= 0:
            break
        await clock.sleep(min(EVERY, left))
    if failure is not None and not looked_at:
        raise failure
    return verdict or NotSeen(looked_at[-1] - looked_at[0], len(looked_at))
