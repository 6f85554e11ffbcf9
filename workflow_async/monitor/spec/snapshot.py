"""One read of the list of active workflows, for any number of saved watches."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from attrs import frozen

from workflow_async._listing.listing import Listing
from workflow_async.monitor.spec.client import Client, poller_of
from workflow_async.phase import Workflow

W = TypeVar("W", bound=Workflow)


@frozen
class ActiveSnapshot(Generic[W]):
    """The rows of a list, and when it was read. `poll_once` takes it as `seen`."""

    url: str
    """The server."""
    began: float
    """When its first page was requested, in seconds since 1970."""
    rows: Mapping[int, W]
    """The workflows, by id."""
    pages: int
    requests: int
    """Pages that were requested. Retries are not counted."""

    def __len__(self) -> int:
        return len(self.rows)


async def snapshot_active(client: Client[W], *, operations: bool = False) -> ActiveSnapshot[W]:
    """Read the list of active workflows once, and return it for any number of calls of `poll_once`.

    Args:
        client: the client of the server.
        operations: read the operations too. Watches that report operations or `Stalled` need them in each row.

    Raises:
        ListingNotSupported: the server has no list (Opencast 12 and later).
        CallError: the list could not be read.
    """
    source, clock = poller_of(client).source, poller_of(client).clock
    return await read_rows(client.url, source.list_active(operations=operations), clock.wall())


async def read_rows(url: str, listing: Listing[W], began: float) -> ActiveSnapshot[W]:
    """Read a list to its end."""
    rows: dict[int, W] = {}
    async for page in listing.pages():
        rows |= {workflow.id: workflow for workflow in page.items}
    report = listing.report
    return ActiveSnapshot(url, began, rows, report.pages, report.requests)
