"""Phase: the one vocabulary both systems share, and what the monitor needs to know of a workflow."""

import enum
from typing import Protocol


class Phase(enum.Enum):
    """Where a workflow stands, whichever system runs it (contract: opencast.md 5, preservica.md 3)."""

    WAITING = "waiting"
    RUNNING = "running"
    PARKED = "parked"
    """It needs a person: Opencast `paused`, Preservica `SUSPENDED`."""
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    """It ended and some of its items failed: Preservica `FINISHED_MIXED_OUTCOME`."""
    FAILED = "failed"
    STOPPED = "stopped"
    UNKNOWN = "unknown"
    """A word this library does not know; the record keeps it. Never final."""

    @property
    def final(self) -> bool:
        """Whether the workflow has ended."""
        return self in FINAL


FINAL = frozenset({Phase.SUCCEEDED, Phase.PARTIAL, Phase.FAILED, Phase.STOPPED})


class Workflow(Protocol):
    """What waiting, watching and the command line need to know of a workflow."""

    @property
    def id(self) -> int:
        """Its number on the server."""

    @property
    def phase(self) -> Phase:
        """Where it stands."""

    @property
    def state_text(self) -> str:
        """The server's own word for the state."""

    @property
    def step(self) -> str | None:
        """The operation or step it is in, where the record says so."""
