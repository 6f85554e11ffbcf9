"""The base classes: every error, and every error of one call."""

from attrs import frozen

BODY_CUT = 2048
"""Characters of an answer's body that an error keeps."""


class WorkflowAsyncError(Exception):
    """Base of every error of this library."""


class InvalidArgument(WorkflowAsyncError, ValueError):
    """An argument that cannot be sent as it is; raised before any I/O."""

    def __init__(self, argument: str, why: str) -> None:
        super().__init__(argument, why)
        self.argument = argument
        self.why = why

    def __str__(self) -> str:
        return f"{self.argument}: {self.why}"


class ClientClosed(WorkflowAsyncError):
    """The client is not open: enter it with `async with`, and use it inside."""


class WrongEventLoop(WorkflowAsyncError):
    """The client was opened in another event loop, or before this process was forked."""


class PollTaskFailed(WorkflowAsyncError):
    """The task that polls for all watchers of a client has ended with an unexpected error, which is `__cause__`.

    Most likely this is a bug of this library, or of a client or a clock of your own. The next wait or watch starts a
    new task.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind
        """The type of the error."""

    def __str__(self) -> str:
        return f"polling ended with an unexpected {self.kind}: see `__cause__`, and wait or watch again to start anew"


@frozen
class Attempt:
    """One try of a call: when it ended (seconds since the call began), how, and the wait after it (seconds)."""

    ended: float
    outcome: str
    wait: float | None = None


class CallError(WorkflowAsyncError):
    """One call to the server failed; the transport fills in where and after how many attempts."""

    method: str = ""
    url: str = ""
    elapsed: float = 0.0
    """Seconds from the call to the error."""
    history: tuple[Attempt, ...] = ()
    retry_after: float | None = None
    """Seconds the server asked to wait, where it did."""
    part: str = ""
    """The rows of a listing that the call was for, and what to do, such as `rows 300 to 399`."""
    at_login: bool = False
    """Whether it was the login before the call that failed; the call itself was not sent, or refused with 401."""

    @property
    def attempts(self) -> int:
        """How many times the call was tried."""
        return len(self.history)

    @property
    def what(self) -> str:
        """What went wrong, without where."""
        return ", ".join(str(arg) for arg in self.args)

    def __str__(self) -> str:
        where = f"{self.method} {self.url}: " if self.method else ""
        tries = f" (after {self.attempts} attempts, {self.elapsed:.1f} s)" if self.attempts > 1 else ""
        part = f"; {self.part}" if self.part else ""
        return f"{where}{self.what}{tries}{part}"
