"""Everything this library raises.

    WorkflowAsyncError
    ├── InvalidArgument               an argument that cannot be sent as it is; nothing was sent (also a ValueError)
    ├── ClientClosed              the client is not open: not entered yet, or closed already
    ├── WrongEventLoop            the client belongs to another event loop, or to the process before a fork
    ├── PollTaskFailed            the task that polls for all watchers of a client has ended with an unexpected error
    ├── CallError                 one call to the server failed
    │   ├── TransportError        no whole answer came back
    │   │   ├── NotSent           nothing was sent, so nothing has happened
    │   │   │   ├── ConnectFailed no connection
    │   │   │   │   └── TLSVerificationFailed
    │   │   │   └── NotSentInTime a deadline passed first (also a TimeoutError)
    │   │   ├── ConnectionBroken  the connection ended early
    │   │   ├── DeadlineExceeded  a deadline of `Timeouts` passed (also a TimeoutError)
    │   │   ├── ResponseTooLarge  the answer is beyond the bounds of `Limits`
    │   │   └── ContentEncodingError  a content coding nobody asked for, or a compressed body that is cut
    │   ├── StatusError           the server said no
    │   │   ├── StartRejected     a start was refused, so it has not happened; each is also what its status stands for
    │   │   │   ├── StartInvalid 400  StartUnauthorized 401  StartForbidden 403  StartNotFound 404
    │   │   │   └── StartConflict 409 (another workflow is active on the event)  StartLimited 429
    │   │   ├── BadRequest 400    Unauthorized 401    Forbidden 403    NotFound 404    NotAcceptable 406
    │   │   ├── Conflict 409      RateLimited 429     ServerError 5xx
    │   │   └── ForeignResponse   the answer is not the API's own: a proxy's, or that of a server that is starting
    │   │       └── UnexpectedRedirect 3xx
    │   ├── DecodeError           an answer that cannot be read; names the path
    │   │   └── UnexpectedContent an HTML page where JSON or XML is due: a login page, a portal
    │   ├── ResponseMismatch      an answer about another workflow than the one asked for
    │   ├── ListingNotSupported   this server has no list of workflows
    │   └── ListingInconsistent   the pages of a listing do not make progress
    ├── StartOutcomeUnknown       a start may or may not have happened
    ├── JournalError              a batch cannot use this file as its journal
    ├── AlreadyFinished           a stop or pause was refused here: it would rewrite the result
    ├── PartialFailure            Preservica accepted a retry or a terminate for only some of the workflows
    ├── WorkflowFailed            a wait with `check=True` ended in a phase other than SUCCEEDED
    ├── WorkflowParked            a wait with `parked="raise"` met a workflow that needs a person
    ├── WorkflowReplaced          the id of a watched workflow belongs to another workflow now
    └── WaitTimeout               the deadline of a wait passed (also a TimeoutError)

Errors hold data and compose their sentence in `__str__`. None of them holds a secret, a request or a response.
"""

from typing import Any, Protocol

from attrs import frozen

BODY_CUT = 2048
"""Characters of an answer's body that an error keeps."""
FAULTS_SHOWN = 10
"""Faults of an answer that the sentence of an error names."""


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


class TransportError(CallError):
    """No whole answer came back; `sent` says whether the request may have reached the server."""

    def __init__(self, reason: str, *, sent: bool = True, reused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.reused = reused
        """Whether it happened on a connection that had served before: the stale keep-alive race."""


class NotSent(TransportError):
    """Nothing was sent, so nothing has happened: it may be asked for again, a start too."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, sent=False)


class ConnectFailed(NotSent):
    """No connection could be made."""


class TLSVerificationFailed(ConnectFailed):
    """The server's certificate is not trusted, expired, or for another host."""


class ConnectionBroken(TransportError):
    """The connection ended before the answer was whole."""


class DeadlineExceeded(TransportError, TimeoutError):
    """A deadline of `Timeouts` passed before the answer was whole."""


class NotSentInTime(NotSent, DeadlineExceeded):
    """A deadline of `Timeouts` passed before anything was sent: in the queue, at the login, or between two tries."""


class ResponseTooLarge(TransportError):
    """The answer is larger than `Limits` allows."""


class ContentEncodingError(TransportError):
    """The body came in a content coding nobody asked for, or compressed and cut short."""


class StatusError(CallError):
    """The server said no."""

    def __init__(self, status: int, body: str = "", message: str = "") -> None:
        super().__init__(status, body, message)
        self.status = status
        self.body = body
        """The answer's body, cut at 2,048 characters."""
        self.message = message
        """The server's own sentence, where the body has one."""

    @property
    def what(self) -> str:
        """The status and what the server says about it."""
        return f"{self.status} {type(self).__name__}" + (f": {self.message}" if self.message else "")


class BadRequest(StatusError):
    """400: the server finds the request invalid."""


class Unauthorized(StatusError):
    """401, or a redirect to the login page: the credentials are missing, wrong or stale."""

    clock_offset: float | None = None
    """Seconds the server's clock is ahead of this machine's, if that is the likely reason. None otherwise."""


class Forbidden(StatusError):
    """403: the user is known and lacks a role or a permission."""


class NotFound(StatusError):
    """404: no such thing, or none that this user may see."""


class NotAcceptable(StatusError):
    """406: the server does not know the API version asked for."""


class Conflict(StatusError):
    """409: the workflow's state does not allow it."""


class RateLimited(StatusError):
    """429: too many requests; `retry_after` says for how long."""


class ServerError(StatusError):
    """5xx: the server, or a proxy before it, failed."""


class ForeignResponse(StatusError):
    """The response was not written by the API itself, so nothing final can be concluded from it.

    A proxy, an ingress, a server that is still starting, or another web server (a wrong base URL) wrote it. Calls retry
    it, watches and batches treat it as an outage.
    """

    def __init__(
        self, status: int, body: str = "", message: str = "", *, content_type: str = "", location: str = ""
    ) -> None:
        super().__init__(status, body, message)
        self.content_type = content_type
        """The response's Content-Type, "" if it had none."""
        self.location = location
        """Where a redirect pointed, without credentials and query; "" if the response is no redirect."""
        self.hint = ""
        """What a control request found out, such as that the base URL is most likely wrong."""

    @property
    def what(self) -> str:
        """The status, what was seen, where a redirect pointed, and what to check."""
        kind = self.content_type.partition(";")[0] or "no Content-Type"
        seen = f"redirect to {self.location}" if self.location else f"{kind}, not written by the API"
        return ": ".join(part for part in (f"{self.status} ({seen})", self.message, self.hint) if part)


class UnexpectedRedirect(ForeignResponse):
    """3xx: redirects are never followed."""


class StartRejected(StatusError):
    """The server refused a start, so it has not happened; what it is besides says why."""


class StartInvalid(StartRejected, BadRequest):
    """400 of a start."""


class StartUnauthorized(StartRejected, Unauthorized):
    """401 of a start."""


class StartForbidden(StartRejected, Forbidden):
    """403 of a start."""


class StartNotFound(StartRejected, NotFound):
    """404 of a start: no such event, definition or context, or none that this user may see."""


class StartConflict(StartRejected, Conflict):
    """409 of a start: another workflow is active on the event."""


class StartLimited(StartRejected, RateLimited):
    """429 of a start."""


class DecodeError(CallError):
    """An answer that cannot be read as what was asked for.

    Each of `faults` names its place: the path of the server's keys, such as `$[3].event_identifier`.
    """

    def __init__(self, *faults: str, parsed: bool = True) -> None:
        super().__init__(*faults)
        self.faults = faults
        self.parsed = parsed
        """False if the body is no JSON or XML: cut or garbled on its way. Calls try again more often then."""
        self.body = ""
        """The answer's body, or the rows of a listing that cannot be read, cut at 2,048 characters.

        "" if the answer may hold credentials.
        """
        self.located: int | None = None
        """The id a Location header named beside an unreadable answer to a start."""

    @property
    def what(self) -> str:
        """The first faults with their places, and how many more there are."""
        more = len(self.faults) - FAULTS_SHOWN
        shown = "; ".join(self.faults[:FAULTS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        return f"the answer cannot be read: {shown}"


class UnexpectedContent(DecodeError):
    """An HTML page where JSON or XML is due: most likely a login page or a portal."""


class ResponseMismatch(CallError):
    """The answer is about something else than what was asked for."""

    def __init__(self, asked: str, answered: str) -> None:
        super().__init__(asked, answered)
        self.asked = asked
        self.answered = answered

    @property
    def what(self) -> str:
        """Both ids."""
        return f"asked for {self.asked}, the answer is about {self.answered}"


class ListingNotSupported(CallError):
    """This server has no list of workflows (Opencast removed it in 12.0)."""

    def __init__(self, seen: str, version: str | None = None) -> None:
        super().__init__(seen, version)
        self.seen = seen
        self.version = version
        """The server's API version, where it could be asked."""

    @property
    def what(self) -> str:
        """The version and the ways that are left."""
        version = self.version or "unknown"
        return (
            f"this server (API version {version}) has no list of workflows ({self.seen}): Opencast removed it in 12.0. "
            "Keep the ids your starts return and use get() or wait(); find busy events with events.processing(), "
            "and one event's workflows with workflows.for_event()"
        )


class ListingInconsistent(CallError):
    """The pages of a listing repeat themselves, so going on would never end."""


class StartOutcomeUnknown(WorkflowAsyncError):
    """A start was sent and nobody can say whether it happened: look before you start again."""

    def __init__(
        self,
        cause: CallError,
        look_for: str,
        workflow_id: int | None = None,
        correlation_id: str | None = None,
        ticket: Any = None,
    ) -> None:
        super().__init__(cause, look_for, workflow_id, correlation_id, ticket)
        self.cause = cause
        self.look_for = look_for
        """What identifies the workflow, had it been started."""
        self.workflow_id = workflow_id
        """Its id, where the answer named one without being readable."""
        self.correlation_id = correlation_id
        """What the start was marked with, where the system knows such marks (Preservica)."""
        self.ticket = ticket
        """The `batch.Ticket` of the start: `workflows.reconcile(ticket)` looks for it."""

    def __str__(self) -> str:
        hint = f"; its id would be {self.workflow_id}" if self.workflow_id is not None else ""
        return f"the start may have happened ({self.cause}); look for {self.look_for}{hint} before starting again"


class JournalError(WorkflowAsyncError):
    """The journal of a batch cannot be used: in use, incomplete, damaged, of another server, or no journal."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"the journal {self.path} cannot be used: {self.why}"


class WorkflowError(Protocol):
    """What an error needs to know of the workflow it speaks of."""

    @property
    def id(self) -> int:
        """Its number."""

    @property
    def state_text(self) -> str:
        """The server's word for its state."""


class AlreadyFinished(WorkflowAsyncError):
    """The workflow has ended; stopping or pausing it now would rewrite its result."""

    def __init__(self, workflow: WorkflowError) -> None:
        super().__init__(workflow)
        self.workflow = workflow

    def __str__(self) -> str:
        return f"workflow {self.workflow.id} is {self.workflow.state_text} already: the server would rewrite its result"


class PartialFailure(WorkflowAsyncError):
    """Preservica answered with success, and did what was asked to only some of the workflows."""

    def __init__(self, asked: str, successful: int, failed: int) -> None:
        super().__init__(asked, successful, failed)
        self.asked = asked
        self.successful = successful
        self.failed = failed

    def __str__(self) -> str:
        return f"{self.asked}: {self.failed} of {self.successful + self.failed} workflows were refused"


class WorkflowFailed(WorkflowAsyncError):
    """The workflow ended in another phase than SUCCEEDED; `workflow` is its last record."""

    def __init__(self, workflow: WorkflowError) -> None:
        super().__init__(workflow)
        self.workflow = workflow

    def __str__(self) -> str:
        workflow = self.workflow
        failure = getattr(workflow, "failure", None)
        if failure is not None:
            return f"workflow {workflow.id} {workflow.state_text} in {failure}"
        step = getattr(workflow, "step", None)
        return f"workflow {workflow.id} ended {workflow.state_text}" + (f" in {step}" if step else "")


class WorkflowParked(WorkflowAsyncError):
    """The workflow waits for a person; `workflow` is its last record."""

    def __init__(self, workflow: WorkflowError) -> None:
        super().__init__(workflow)
        self.workflow = workflow

    def __str__(self) -> str:
        return f"workflow {self.workflow.id} is {self.workflow.state_text} and waits for a person"


class WorkflowReplaced(WorkflowAsyncError):
    """The id that was waited for belongs to another workflow now, for example after a database was restored."""

    def __init__(self, workflow_id: int, workflow: WorkflowError | None, found: WorkflowError) -> None:
        super().__init__(workflow_id, workflow, found)
        self.workflow_id = workflow_id
        self.workflow = workflow
        """The last record of the watched workflow. None if only its start was answered."""
        self.found = found
        """The record that has the id now."""

    def __str__(self) -> str:
        seen = f"last seen {self.workflow.state_text}" if self.workflow is not None else "never seen"
        return (
            f"the id {self.workflow_id} belongs to another workflow now ({self.found.state_text}), "
            f"so the end of the watched one ({seen}) is not known: look for it by its event or context"
        )


class WaitTimeout(WorkflowAsyncError, TimeoutError):
    """The deadline of a wait passed; `workflow` is the last record seen, or None."""

    def __init__(self, workflow_id: int, timeout: float, workflow: WorkflowError | None) -> None:
        super().__init__()
        self.args = (workflow_id, timeout, workflow)  # past OSError, which would read them as errno and strerror
        self.workflow_id = workflow_id
        self.timeout = timeout
        self.workflow = workflow

    def __str__(self) -> str:
        seen = f"last seen {self.workflow.state_text}" if self.workflow is not None else "never seen"
        return f"workflow {self.workflow_id} was not finished after {self.timeout:g} s ({seen})"
