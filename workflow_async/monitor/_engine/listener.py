"""What the engine reports to its owner."""

from typing import Protocol, TypeVar

from workflow_async.errors import WorkflowAsyncError
from workflow_async.monitor._engine.subscription import WatchEvent
from workflow_async.phase import Workflow

W_contra = TypeVar("W_contra", bound=Workflow, contravariant=True)


class Listener(Protocol[W_contra]):
    """The owner of a `Fetcher`: gets its events and plans its next requests."""

    def on_event(self, event: WatchEvent[W_contra]) -> None:
        """Handle what was seen of a workflow."""

    def on_idle(self) -> None:
        """Plan again: a request has ended, so the next due time may have changed."""

    def on_replaced(self) -> None:
        """Note that a request has ended and another one was sent in the same step."""

    def on_fatal(self, error: WorkflowAsyncError) -> object:
        """Stop: no request can ever succeed again, because the client is closed."""
        ...
