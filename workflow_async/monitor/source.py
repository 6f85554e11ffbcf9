"""What the monitor asks a system for: the only thing it knows of either."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol, TypeVar

from workflow_async._listing.listing import Listing
from workflow_async.phase import Workflow

W = TypeVar("W", bound=Workflow)


class Source(Protocol[W]):
    """Where looks at workflows come from."""

    @property
    def server_key(self) -> str:
        """System and server, such as `opencast:oc.example.org`. Keys of events begin with it."""

    @property
    def connections(self) -> int:
        """Requests that the client sends at once, at most."""

    @property
    def supports_listing(self) -> bool:
        """Whether the active workflows may be listable; a `ListingNotSupported` says that they are not."""

    @property
    def supports_bulk_check(self) -> bool:
        """Whether `suspects` may work. Where it fails, workflows are got by id for a while."""

    @property
    def list_lag(self) -> float:
        """Seconds the list may be behind a get."""

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[W]:
        """The workflows that have not ended; most likely there are so many, which may be asked for at once."""

    async def get(self, id: int, *, operations: bool) -> W:
        """One workflow as it stands."""

    async def find_changed(self, known: Sequence[W]) -> Collection[int]:
        """The ids, of workflows known to be active, that seem to have changed; one request for all of them."""

    def is_complete(self, workflow: W) -> bool:
        """Whether a record holds all that the outcome of an ended workflow should."""

    def identity(self, workflow: W) -> tuple[str | None, ...]:
        """What never changes of a workflow, as far as this record says. None where it says nothing."""

    def same_identity(self, known: W, found: W) -> bool:
        """Return True if `found` says nothing about its identity that `known` does not say.

        This is a shortcut for two records in the same state, called for each row of a list. False is always right: it
        only means that `identity` has to be compared.
        """

    def duration_key(self, workflow: W) -> str:
        """What its durations are compared with: its definition or context."""

    def durations(self, workflow: W) -> Iterable[tuple[str, float]]:
        """How long it and its steps took, by kind and `kind/step`, seconds; as far as the record says."""
