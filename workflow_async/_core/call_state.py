"""Keeps what is known about one call while it is sent and retried."""

from attrs import define, field

from workflow_async._core import retry as retry_rules
from workflow_async._core.auth import Headers, SecretHeaders
from workflow_async._core.call import Call, Replay
from workflow_async.errors import Attempt, CallError, DeadlineExceeded, NotFound, NotSentInTime


@define
class CallState:
    """The progress of one call."""

    call: Call[object]
    url: str
    started: float
    limits_attempts: bool = True
    """True if `Timeouts.exchange` limits each attempt with its complete response."""
    history: list[Attempt] = field(factory=list)
    renewed: bool = False
    sent: bool = False
    """True if the server may have acted on one of the finished attempts."""
    credentials: Headers = field(factory=SecretHeaders)
    """The credentials of the last attempt."""
    auth_error: CallError | None = None
    """The error for a response that refused the credentials, while they are renewed."""
    wrong_shapes: int = 0
    """Number of finished attempts whose response parsed but did not fit the expected structure."""
    requests: int = 0
    """Number of requests so far, with those after a renewal of the credentials."""
    in_flight: bool = False
    """True while an attempt is being sent or answered."""

    def record_attempt(self, error: CallError, now: float, delay: float | None) -> None:
        """Record how an attempt ended, and the delay until the next one."""
        self.sent = self.sent or retry_rules.may_have_happened(error)
        self.wrong_shapes += retry_rules.is_wrong_shape(error)
        self.history.append(Attempt(now - self.started, type(error).__name__, delay))

    def finalize(self, error: CallError, now: float) -> CallError:
        """Attach method, URL, elapsed time and attempts to an error. Errors of a login already have them."""
        if error.at_login:
            return error
        error.method, error.url = self.call.method, self.url
        error.elapsed, error.history = now - self.started, tuple(self.history)
        error.__cause__ = error.__context__ = None  # their frames hold the request and the response
        return error.with_traceback(None)  # likewise

    def deadline_error(self, seconds: float) -> DeadlineExceeded:
        """Return the error for a call that got no response within `seconds`."""
        reason = f"no response within {seconds:g} s"
        return DeadlineExceeded(reason) if self.sent or self.in_flight else NotSentInTime(reason)

    def is_already_deleted(self, failure: CallError) -> bool:
        """Return True if a 404 shows that an earlier attempt to delete has succeeded."""
        return self.call.replay is Replay.DELETE and isinstance(failure, NotFound) and self.sent
