"""What is known about one call while it is sent and retried."""

from attrs import define, field

from workflow_async._core import retry as retry_rules
from workflow_async._core.call import Call, Replay
from workflow_async.errors import Attempt, CallError, DeadlineExceeded, NotFound, NotSentInTime


@define
class CallState:
    """What one call has been through so far."""

    call: Call[object]
    url: str
    started: float
    attempt_timeout: float
    """Seconds for one attempt with the whole of its answer."""
    history: list[Attempt] = field(factory=list)
    renewed: bool = False
    sent: bool = False
    """Whether the server may have acted on any attempt that is over."""
    auth_error: CallError | None = None
    """What the server answered, while the credentials that it refused are renewed."""
    wrong_shapes: int = 0
    """Attempts that are over whose answer parsed and did not fit."""
    in_flight: bool = False
    """Whether an attempt is on the wire."""

    def record_attempt(self, error: CallError, now: float, delay: float | None) -> None:
        """Note how an attempt ended."""
        self.sent = self.sent or retry_rules.may_have_happened(error)
        self.wrong_shapes += retry_rules.is_wrong_shape(error)
        self.history.append(Attempt(now - self.started, type(error).__name__, delay))

    def finalize(self, error: CallError, now: float) -> CallError:
        """The error, with where it happened and what was tried; that of a login knows already."""
        if error.at_login:
            return error
        error.method, error.url = self.call.method, self.url
        error.elapsed, error.history = now - self.started, tuple(self.history)
        error.__cause__ = error.__context__ = None  # frames of what led to it hold what was sent and what came
        return error.with_traceback(None)  # so do its own

    def deadline_error(self, seconds: float) -> DeadlineExceeded:
        """Return the error for a call that was not answered within `seconds`."""
        reason = f"no answer within {seconds:g} s"
        return DeadlineExceeded(reason) if self.sent or self.in_flight else NotSentInTime(reason)

    def is_already_deleted(self, failure: CallError) -> bool:
        """Return True if a 404 shows that an earlier attempt to delete has succeeded."""
        return self.call.replay is Replay.DELETE and isinstance(failure, NotFound) and self.sent
