"""What watchers ask for each workflow: how often to check it, with which data, and when a step has stalled. Pure."""

from collections import Counter
from collections.abc import KeysView
from datetime import timedelta

from attrs import define, field, frozen

from workflow_async.errors import InvalidArgument
from workflow_async.settings import Poll, check_positive

DEFAULT_POLL = Poll()


@frozen
class Tracking:
    """What a watcher asks for its workflows."""

    poll: Poll
    operations: bool = False
    """True if changes of operations are reported."""
    stalled_after: float | timedelta | None = None
    """When a step has stalled: after a multiple of its usual length, or after a duration. None if not asked for."""
    ends_only: bool = False
    """True if changes between two active states are not reported."""

    @property
    def detailed(self) -> bool:
        """True if records are read with their operations. `stalled_after` needs them: they name the step."""
        return self.operations or self.stalled_after is not None

    def merge(self, other: "Tracking") -> "Tracking":
        """Return what serves this watcher and another one that comes later."""
        faster = other.poll if other.poll.interval < self.poll.interval else self.poll
        stalled_after = self.stalled_after if other.stalled_after is None else other.stalled_after
        ends_only = self.ends_only and other.ends_only
        merged = Tracking(faster, self.operations or other.operations, stalled_after, ends_only)
        return self if merged == self else merged


def check_stalled_after(stalled_after: float | timedelta | None) -> None:
    """Raise `InvalidArgument` unless it is a number or a duration above 0, or None."""
    if not isinstance(stalled_after, timedelta):
        check_positive("stalled_after", stalled_after)
    elif stalled_after <= timedelta(0):
        raise InvalidArgument("stalled_after", "must be above 0")


@define
class TrackedWorkflows:
    """The merged `Tracking` of each watched workflow."""

    _by_id: dict[int, Tracking] = field(factory=dict, init=False)
    _polls: Counter[Poll] = field(factory=Counter, init=False)
    _detailed: int = field(default=0, init=False)
    """Number of workflows whose records are read with their operations."""
    _ends_only: int = field(default=0, init=False)
    """Number of workflows of which only the end is reported."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id: object) -> bool:
        return id in self._by_id

    def __getitem__(self, id: int) -> Tracking:
        return self._by_id[id]

    def get(self, id: int) -> Tracking | None:
        """Return the tracking of a workflow. None if it is not watched."""
        return self._by_id.get(id)

    def ids(self) -> KeysView[int]:
        """Return the ids of all watched workflows."""
        return self._by_id.keys()

    def add(self, id: int, tracking: Tracking) -> bool:
        """Add what a watcher asks for a workflow. Return True if the workflow was not watched before."""
        before = self._by_id.get(id)
        merged = tracking if before is None else before.merge(tracking)
        if merged is not before:
            if before is not None:
                self._uncount(before)
            self._by_id[id] = merged
            self._polls[merged.poll] += 1
            self._detailed += merged.detailed
            self._ends_only += merged.ends_only
        return before is None

    def remove(self, id: int) -> None:
        """Remove a workflow that nothing watches any more."""
        self._uncount(self._by_id.pop(id))

    def _uncount(self, tracking: Tracking) -> None:
        self._detailed -= tracking.detailed
        self._ends_only -= tracking.ends_only
        self._polls[tracking.poll] -= 1
        if not self._polls[tracking.poll]:
            del self._polls[tracking.poll]

    def is_detailed(self, id: int) -> bool:
        """Return True if the records of a workflow are read with their operations."""
        tracking = self._by_id.get(id)
        return tracking is not None and tracking.detailed

    @property
    def any_detailed(self) -> bool:
        """True if the records of any workflow are read with their operations."""
        return self._detailed > 0

    @property
    def all_ends_only(self) -> bool:
        """True if only the ends of the workflows are reported."""
        return self._ends_only == len(self._by_id)

    @property
    def lowest_ceiling(self) -> float:
        """The shortest `Poll.ceiling` in seconds."""
        return min((poll.ceiling for poll in self._polls), default=DEFAULT_POLL.ceiling)

    @property
    def fastest(self) -> Poll:
        """The `Poll` with the shortest interval."""
        return min(self._polls, key=lambda poll: poll.interval, default=DEFAULT_POLL)
