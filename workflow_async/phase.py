"""`Phase`, the states that both systems share, and the part of a workflow that the monitor needs."""

import enum
from typing import Protocol, Self

__all__ = ["Phase", "Workflow"]


class Phase(enum.Enum):
    """The state of a workflow, the same for both systems.

    See tests/contract/opencast.md, section 5, and tests/contract/preservica.md, section 3.
    """

    final: bool
    """True if the workflow has ended."""

    WAITING = "waiting", False
    RUNNING = "running", False
    PARKED = "parked", False
    """The workflow needs a person: Opencast `paused`, Preservica `SUSPENDED`."""
    SUCCEEDED = "succeeded", True
    PARTIAL = "partial", True
    """The workflow ended and some of its items failed: Preservica `FINISHED_MIXED_OUTCOME`."""
    FAILED = "failed", True
    STOPPED = "stopped", True
    UNKNOWN = "unknown", False
    """The server sent an unknown state, which the record keeps as text. Never final."""

    def __new__(cls, word: str, final: bool) -> Self:  # noqa: FBT001 - a column of the table above
        """Return a member with this value."""
        member = object.__new__(cls)
        member._value_, member.final = word, final
        return member


class Workflow(Protocol):
    """What waiting, watching and the command line need of a workflow."""

    __slots__ = ()

    @property
    def id(self) -> int:
        """The id on the server."""
        ...

    @property
    def phase(self) -> Phase:
        """The phase."""
        ...

    @property
    def state_text(self) -> str:
        """The server's word for the state."""
        ...

    @property
    def step(self) -> str | None:
        """The current operation or step. None if the record does not contain it."""
        ...
