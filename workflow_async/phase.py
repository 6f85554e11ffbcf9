"""Phase: the one vocabulary both systems share, and what the monitor needs to know of a workflow."""

import enum
from typing import Protocol, Self


class Phase(enum.Enum):
    """Where a workflow stands, whichever system runs it (contract: opencast.md 5, preservica.md 3)."""

    final: bool
    """Whether the workflow has ended."""

    WAITING = "waiting", False
    RUNNING = "running", False
    PARKED = "parked", False
    """It needs a person: Opencast `paused`, Preservica `SUSPENDED`."""
    SUCCEEDED = "succeeded", True
    PARTIAL = "partial", True
    """It ended and some of its items failed: Preservica `FINISHED_MIXED_OUTCOME`."""
    FAILED = "failed", True
    STOPPED = "stopped", True
    UNKNOWN = "unknown", False
    """A word this library does not know; the record keeps it. Never final."""

    def __new__(cls, word: str, final: bool) -> Self:  # noqa: FBT001 - a column of the table above
        """A member whose value is its word."""
        member = object.__new__(cls)
        member._value_, member.final = word, final
        return member


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
