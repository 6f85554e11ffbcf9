"""Errors about a workflow, a start, a wait or a batch."""

from typing import Any, Protocol

from workflow_async.errors._base import CallError, WorkflowAsyncError
from workflow_async.phase import Phase


class PreparedStart(Protocol):
    """A start as it was sent: what an error needs to know about a `batch.Ticket`."""

    @property
    def system(self) -> str:
        """`opencast` or `preservica`."""
        ...

    @property
    def server(self) -> str:
        """The base URL of the server."""
        ...

    @property
    def key(self) -> str:
        """Identifies the start within a batch."""
        ...

    @property
    def correlation_id(self) -> str:
        """The id that a Preservica keeps with the workflow."""
        ...

    def to_json(self) -> str:
        """Return the start as one line of JSON, which `batch.Ticket.from_json` reads."""
        ...


class StartOutcomeUnknown(WorkflowAsyncError):
    """A start was sent, and its outcome is unknown. Look for the workflow before you start again."""

    def __init__(
        self,
        cause: CallError,
        look_for: str,
        ticket: PreparedStart,
        workflow_id: int | None = None,
        correlation_id: str | None = None,
    ) -> None:
        super().__init__(cause, look_for, ticket, workflow_id, correlation_id)
        self.cause = cause
        self.look_for = look_for
        """What identifies the workflow, if it was started."""
        self.workflow_id = workflow_id
        """The id of the workflow, if an unreadable response named it. None otherwise."""
        self.correlation_id = correlation_id
        """The mark that the start was sent with (Preservica). None if the system has no such marks."""
        self.ticket = ticket
        """The `batch.Ticket` of the start: `workflows.reconcile(ticket)` looks for the workflow."""

    def __str__(self) -> str:
        hint = f" (its id would be {self.workflow_id})" if self.workflow_id is not None else ""
        return f"the start may have happened ({self.cause}): look for {self.look_for}{hint} before starting again"


class JournalError(WorkflowAsyncError):
    """A batch cannot use its journal: in use, incomplete, damaged, of another server, or no journal.

    `path` is the path of a file, or the name of another journal.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:
        return f"the journal {self.path} cannot be used: {self.why}"


class WorkflowSummary(Protocol):
    """What an error message contains of a workflow."""

    @property
    def id(self) -> int:
        """The id on the server."""
        ...

    @property
    def state_text(self) -> str:
        """The server's word for the state."""
        ...


class AlreadyFinished(WorkflowAsyncError):
    """The workflow has ended. Stopping or pausing the workflow now would rewrite its result."""

    def __init__(self, workflow: WorkflowSummary) -> None:
        super().__init__(workflow)
        self.workflow = workflow

    def __str__(self) -> str:
        ended = f"workflow {self.workflow.id} is {self.workflow.state_text} already"
        return f"{ended}: stopping or pausing it would rewrite its result, which only force=True does"


class NotHeld(WorkflowAsyncError):
    """No operation of the workflow waits for an answer, so no answer was sent. `workflow` is its record."""

    def __init__(self, workflow: WorkflowSummary) -> None:
        super().__init__(workflow)
        self.workflow = workflow

    def __str__(self) -> str:
        step = getattr(self.workflow, "step", None)
        place = f" in {step}" if step else ""
        parked = getattr(self.workflow, "phase", None) is Phase.PARKED
        advice = "resume it" if parked else "only a workflow that is paused in error-resolution can be answered"
        return (
            f"workflow {self.workflow.id} is {self.workflow.state_text}{place} and not on hold after an error: {advice}"
        )


class PartialFailure(WorkflowAsyncError):
    """Preservica returned success, but did what was requested to only some of the workflows."""

    def __init__(self, asked: str, successful: int, failed: int) -> None:
        super().__init__(asked, successful, failed)
        self.asked = asked
        self.successful = successful
        self.failed = failed

    def __str__(self) -> str:
        return f"{self.asked}: {self.failed} of {self.successful + self.failed} workflows were refused"


class WorkflowFailed(WorkflowAsyncError):
    """The workflow ended in another phase than SUCCEEDED. `workflow` is its last record."""

    def __init__(self, workflow: WorkflowSummary) -> None:
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
    """The workflow waits for a person. `workflow` is its last record."""

    def __init__(self, workflow: WorkflowSummary) -> None:
        super().__init__(workflow)
        self.workflow = workflow

    def __str__(self) -> str:
        waiting = f"workflow {self.workflow.id} is {self.workflow.state_text} and waits for a person"
        failure = getattr(self.workflow, "failure", None)
        return waiting if failure is None else f"{waiting}: it is on hold after a failure in {failure}"


class WorkflowReplaced(WorkflowAsyncError):
    """The id of a watched workflow belongs to another workflow now, for example after a database was restored."""

    def __init__(self, workflow_id: int, workflow: WorkflowSummary | None, found: WorkflowSummary) -> None:
        super().__init__(workflow_id, workflow, found)
        self.workflow_id = workflow_id
        self.workflow = workflow
        """The last record of the watched workflow. None if only its start was confirmed."""
        self.found = found
        """The record that has the id now."""

    def __str__(self) -> str:
        seen = f"last seen {self.workflow.state_text}" if self.workflow is not None else "never seen"
        return (
            f"the id {self.workflow_id} belongs to another workflow now ({self.found.state_text}), "
            f"so the result of the watched workflow ({seen}) is unknown: look for it by its event or context"
        )


class WaitTimeout(WorkflowAsyncError, TimeoutError):
    """The timeout of a wait passed. `workflow` is the last record, None if there is none."""

    def __init__(self, workflow_id: int, timeout: float, workflow: WorkflowSummary | None) -> None:
        super().__init__()
        # OSError.__init__ would take these for errno and strerror.
        self.args: tuple[Any, ...] = (workflow_id, timeout, workflow)
        self.workflow_id = workflow_id
        self.timeout = timeout
        self.workflow = workflow

    def __str__(self) -> str:
        seen = f"last seen {self.workflow.state_text}" if self.workflow is not None else "never seen"
        return f"workflow {self.workflow_id} was not finished after {self.timeout:g} s ({seen})"
