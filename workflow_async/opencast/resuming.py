"""Decides whether another resume may be sent for a pause. Pure.

The server only queues a job for a resume. Until that job runs, which takes up to 2 s in production, the record says
`paused`. A second resume in that time runs the operation twice, loses it or hangs the workflow.
"""

from collections.abc import Callable

from attrs import define, field

from workflow_async.monitor._engine.pauses import Pause

RESUME_WINDOW = 30.0
"""Seconds after a resume in which no other resume is sent for the same pause."""
FIRST_DELAY, DELAY_GROWTH, MAX_DELAY = 0.25, 1.5, 2.0
"""Seconds until the first check of a resume, the factor by which each delay grows, and the longest delay in seconds."""


@define(eq=False)
class Resume:
    """A resume that was sent for one pause."""

    pause: Pause
    answer: str = ""
    """The answer to a hold. "" for a resume without an answer."""
    accepted: bool = False
    refused: bool = False
    responded_at: float | None = None
    """When the request ended, in seconds of the client's clock. None while it is in flight."""

    def applies_to(self, pause: Pause, now: float) -> bool:
        """Return True if this resume is for the pause and may still take effect."""
        return self.pause == pause and not self.refused and (self.responded_at is None or now < self.expires_at)

    def is_pending(self, now: Callable[[], float], deadline: float) -> bool:
        """Return True while the effect is worth waiting for.

        An accepted resume is waited for until the deadline, a resume with an unknown outcome until it expires.
        """
        return not self.refused and now() < (deadline if self.accepted else self.expires_at)

    def may_take_effect(self, now: Callable[[], float]) -> bool:
        """Return True while the resume is in flight or may still take effect."""
        return not self.refused and now() < self.expires_at

    @property
    def expires_at(self) -> float:
        """When the pause may be resumed again. Infinite while the request is in flight."""
        return float("inf") if self.responded_at is None else self.responded_at + RESUME_WINDOW


@define(eq=False)
class ResumeLog:
    """The last resume of each workflow that a client has sent."""

    _last: dict[int, Resume] = field(factory=dict, init=False)

    def add(self, workflow_id: int, pause: Pause, now: float, answer: str = "") -> Resume:
        """Note a resume that is about to be sent. Forget resumes that have expired."""
        self._last = {id: last for id, last in self._last.items() if now < last.expires_at}
        self._last[workflow_id] = Resume(pause, answer)
        return self._last[workflow_id]

    def find(self, workflow_id: int, pause: Pause, now: float) -> Resume | None:
        """Return the resume that was sent for this pause and may still take effect. None if there is none."""
        last = self._last.get(workflow_id)
        return last if last is not None and last.applies_to(pause, now) else None


def check_delay(checks: int) -> float:
    """Return the seconds until the next check, given the number of checks so far."""
    return min(MAX_DELAY, FIRST_DELAY * DELAY_GROWTH ** min(checks, 16))
