"""A source that counts requests and notes which workflows they have checked, for one round of a saved watch."""

import asyncio
from collections.abc import AsyncIterator, Collection, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Generic, TypeVar

from attrs import define, field

from workflow_async._listing.listing import Listing
from workflow_async.errors import CallError, NotSentInTime, WorkflowAsyncError
from workflow_async.monitor.source import Source
from workflow_async.monitor.spec.records import Cursor, SavedWorkflow
from workflow_async.phase import Workflow
from workflow_async.settings import Clock

W = TypeVar("W", bound=Workflow)

GETS_PER_CONNECTION = 2
"""GETs in flight for each connection. More would wait for a connection until they time out."""


class NotReached(WorkflowAsyncError):
    """No request was sent for a workflow in time, so that nothing is known about it."""


@define
class CheckedSource(Generic[W]):
    """The source of a client, for records of which another process has saved a part."""

    source: Source[W]
    clock: Clock
    cursors: dict[int, Cursor]
    """What was known of each workflow when the round began."""
    checked_at: dict[int, float] = field(factory=dict, init=False)
    """When each workflow was checked in this round."""
    gets: int = field(default=0, init=False)
    bulk_checks: int = field(default=0, init=False)
    listings: list[Listing[W]] = field(factory=list, init=False)
    _places: asyncio.Semaphore = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._places = asyncio.Semaphore(GETS_PER_CONNECTION * self.source.connections)

    @property
    def requests(self) -> int:
        """Number of requests that were sent. Retries are not counted."""
        return self.gets + self.bulk_checks + sum(listing.report.requests for listing in self.listings)

    # Requests

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[W]:
        """List the workflows that have not ended."""
        listing = self.source.list_active(operations=operations, rows=rows)
        self.listings.append(listing)
        return listing

    async def list_mark(self, rows: int) -> Hashable:
        """Return the mark of the list. A round never asks for it, because it has no earlier one to compare with."""
        return await self.source.list_mark(rows)

    async def get(self, id: int, *, operations: bool) -> W:
        """GET a workflow. Read its operations too, because the next round would have to GET an ended one again."""
        async with self._places, self._checking(id):
            self.gets += 1
            return await self.source.get(id, operations=True)

    @asynccontextmanager
    async def _checking(self, id: int) -> AsyncIterator[None]:
        try:
            yield
        except NotSentInTime as error:
            raise NotReached(str(error)) from error
        except CallError:
            self.checked_at[id] = self.clock.wall()
            raise
        self.checked_at[id] = self.clock.wall()

    async def find_changed(self, known: Sequence[Any]) -> Collection[int]:
        """Return the ids of active workflows that seem to have changed since these saved records. Send one request."""
        self.bulk_checks += 1
        changed = set(await self.source.find_changed([self._recalled(record) for record in known]))
        now = self.clock.wall()
        self.checked_at.update((record.id, now) for record in known if record.id not in changed)
        return changed

    def _recalled(self, record: SavedWorkflow) -> W:
        return self.source.recalled(record.id, record.state_text, self.cursors[record.id].identity)

    # Records

    def duration_key(self, workflow: Any) -> str:
        """Return the kind of a workflow, whose durations are compared."""
        if isinstance(workflow, SavedWorkflow):
            return workflow.kind or ""
        return self.source.duration_key(workflow)

    def same_identity(self, known: Any, found: W) -> bool:
        """Return False for a saved part of a record, so that `identity` is compared."""
        return not isinstance(known, SavedWorkflow) and self.source.same_identity(known, found)

    def recalled(self, id: int, state_text: str, identity: tuple[str | None, ...]) -> W:
        """Return the part of a record that `find_changed` compares."""
        return self.source.recalled(id, state_text, identity)

    def is_complete(self, workflow: W) -> bool:
        """Return True if a record holds all that the outcome of an ended workflow should hold."""
        return self.source.is_complete(workflow)

    def identity(self, workflow: W) -> tuple[str | None, ...]:
        """Return what never changes of a workflow."""
        return self.source.identity(workflow)

    def ended_at(self, workflow: W) -> datetime | None:
        """Return when a workflow ended, by the server's clock."""
        return self.source.ended_at(workflow)

    def durations(self, workflow: W) -> Iterable[tuple[str, float]]:
        """Return the seconds that an ended workflow and its steps took."""
        return self.source.durations(workflow)

    # The server

    @property
    def server_key(self) -> str:
        """System and server. Keys of events begin with it."""
        return self.source.server_key

    @property
    def connections(self) -> int:
        """The number of requests that the client sends concurrently."""
        return self.source.connections

    @property
    def supports_listing(self) -> bool:
        """True if the server may have a list of active workflows."""
        return self.source.supports_listing

    @property
    def supports_bulk_check(self) -> bool:
        """True if `find_changed` may work."""
        return self.source.supports_bulk_check

    @property
    def list_lag(self) -> float:
        """Seconds by which the list may be older than a GET."""
        return self.source.list_lag
