"""What a system has to offer so that its workflows can be polled."""

from collections.abc import Collection, Hashable, Iterable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from workflow_async._listing.listing import Listing
from workflow_async.phase import Workflow

W = TypeVar("W", bound=Workflow)


class Source(Protocol[W]):
    """The requests about workflows that a system answers, and what its records say."""

    @property
    def server_key(self) -> str:
        """System and server, such as `opencast:oc.example.org`. Keys of events begin with it."""
        ...

    @property
    def connections(self) -> int:
        """The number of requests that the client sends concurrently."""
        ...

    @property
    def supports_listing(self) -> bool:
        """True if the server may have a list of active workflows. If it has none, it raises `ListingNotSupported`."""
        ...

    @property
    def supports_bulk_check(self) -> bool:
        """True if `find_changed` may work. While it fails, each workflow gets a GET."""
        ...

    @property
    def list_lag(self) -> float:
        """Seconds by which the list may be older than a GET."""
        ...

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[W]:
        """Return a listing of the workflows that have not ended.

        `rows` is the expected length of the list. That many rows may be requested ahead.
        """
        ...

    async def list_mark(self, rows: int) -> Hashable:
        """Return what changes when a workflow appears in the list of active workflows or leaves it. Send one request.

        `rows` is the length of the list when it was read last. If the mark is the same, the list may still have changed
        if as many workflows have left it as have appeared.
        """
        ...

    async def get(self, id: int, *, operations: bool) -> W:
        """GET a workflow."""
        ...

    async def find_changed(self, known: Sequence[W]) -> Collection[int]:
        """Return the ids of active workflows that seem to have changed since these records. Send one request."""
        ...

    def recalled(self, id: int, state_text: str, identity: tuple[str | None, ...]) -> W:
        """Return the part of a record that `find_changed` compares, from what another process has saved of it."""
        ...

    def is_complete(self, workflow: W) -> bool:
        """Return True if a record holds all that the outcome of an ended workflow should hold."""
        ...

    def identity(self, workflow: W) -> tuple[str | None, ...]:
        """Return what never changes of a workflow. None stands for what this record does not say."""
        ...

    def same_identity(self, known: W, found: W) -> bool:
        """Return True if `found` says nothing about its identity that `known` does not say.

        This is a shortcut for two records in the same state, called for each row of a list. False is always right: it
        only means that `identity` has to be compared.
        """
        ...

    def ended_at(self, workflow: W) -> datetime | None:
        """Return when a workflow ended, by the server's clock. None if the record does not say."""
        ...

    def duration_key(self, workflow: W) -> str:
        """Return the kind of a workflow, whose durations are compared: its definition or context."""
        ...

    def durations(self, workflow: W) -> Iterable[tuple[str, float]]:
        """Return the seconds that an ended workflow and its steps took, each with its kind or `kind/step`."""
        ...
