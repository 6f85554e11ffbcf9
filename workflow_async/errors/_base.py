"""The base classes: of every error, and of every error of one call."""

from attrs import frozen

BODY_CUT = 2048
"""Number of characters of a response body that an error keeps."""


class WorkflowAsyncError(Exception):
    """Base class of every error of this library."""


class InvalidArgument(WorkflowAsyncError, ValueError):
    """An argument that cannot be sent. Raised before any I/O, except that `check_options` reads a definition first."""

    def __init__(self, argument: str, why: str) -> None:
        super().__init__(argument, why)
        self.argument = argument
        self.why = why

    def __str__(self) -> str:
        return f"{self.argument}: {self.why}"


class ClientClosed(WorkflowAsyncError):
    """The client is not open. Enter it with `async with` and use it inside the block."""


class WrongEventLoop(WorkflowAsyncError):
    """The client was opened in another event loop, or before this process was forked.

    Also raised by a call of a synchronous client in a thread that runs an event loop.
    """


class PollTaskFailed(WorkflowAsyncError):
    """The task that polls for all watchers of a client ended with an unexpected error, which is `__cause__`.

    Most likely this is a bug of this library, or of an HTTP client or a clock that the caller provided. The next wait
    or watch starts a new task.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind
        """The class name of the error."""

    def __str__(self) -> str:
        return f"polling ended with an unexpected {self.kind}: see `__cause__`, then wait or watch again"


class CoordinatorUnavailable(WorkflowAsyncError):
    """The coordinator of a distribution does not answer. Whether it has applied the operation is not known."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"the coordinator does not answer: {self.why}"


@frozen
class Attempt:
    """One attempt of a call.

    `ended` is the number of seconds from the start of the call to the end of the attempt, `outcome` the name of the
    error, and `wait` the number of seconds until the next attempt.
    """

    ended: float
    outcome: str
    wait: float | None = None


class CallError(WorkflowAsyncError):
    """One call to the server failed. The transport adds the URL and the attempts."""

    method: str = ""
    url: str = ""
    elapsed: float = 0.0
    """Seconds from the start of the call to the error."""
    history: tuple[Attempt, ...] = ()
    retry_after: float | None = None
    """Seconds that the server asked to wait. None if it did not ask."""
    part: str = ""
    """The rows of a listing that the call was for, and what to do, such as `rows 300 to 399`."""
    resume_point: str | None = None
    """For an error of a listing that can be resumed, its `resume_point` after the last row that was yielded."""
    absent: str = ""
    """What is not at the base URL, such as `no Opencast External API at https://example.org`. "" if not known."""
    at_login: bool = False
    """True if the login before the call failed. The call itself was not sent, or was refused with 401."""

    @property
    def attempts(self) -> int:
        """The number of attempts."""
        return len(self.history)

    @property
    def what(self) -> str:
        """What went wrong, without the URL."""
        return ", ".join(str(arg) for arg in self.args)

    def __str__(self) -> str:
        where = f"{self.method} {self.url}: " if self.method else ""
        tries = f" (after {self.attempts} attempts, {self.elapsed:.1f} s)" if self.attempts > 1 else ""
        part = f"; {self.part}" if self.part else ""
        return f"{where}{self.what}{tries}{part}"
