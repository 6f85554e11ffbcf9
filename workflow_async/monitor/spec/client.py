"""What the functions of a saved watch need of a client of either system."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from workflow_async._listing.listing import Listing
from workflow_async.monitor._engine.poller import Poller
from workflow_async.phase import Workflow

W = TypeVar("W", bound=Workflow)


class WorkflowService(Protocol[W]):
    """The service for workflows of a client."""

    _poller: Poller[W]

    def _active_listing(self, filters: Any, /, *, operations: bool) -> Callable[[], Listing[W]]:
        """Return a function that lists the active workflows that match. Raise `InvalidArgument` for a wrong filter."""
        ...


class Client(Protocol[W]):
    """A client of either system."""

    @property
    def url(self) -> str:
        """The base URL of the server."""
        ...

    @property
    def workflows(self) -> WorkflowService[W]:
        """The service for workflows."""
        ...


def poller_of(client: Client[W]) -> Poller[W]:
    """Return the poller of a client, which has its source and its clock."""
    return client.workflows._poller  # noqa: SLF001 - private to users, not to this package


def active_listing(client: Client[W], filters: Any, *, operations: bool) -> Callable[[], Listing[W]]:
    """Return a function that lists the active workflows that match.

    Raises:
        InvalidArgument: a filter is wrong.
    """
    return client.workflows._active_listing(filters, operations=operations)  # noqa: SLF001 - as above
