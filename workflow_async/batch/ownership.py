"""Which workflow belongs to which start of a batch, so that a search takes no other start's workflow."""

from attrs import define, field

from workflow_async.batch.entries import StartStatus, StatusKind
from workflow_async.batch.reconcile import OtherStarts

MAYBE_SENT = frozenset({StatusKind.INTENT, StatusKind.UNKNOWN})
"""What an earlier run leaves of a start that may have happened."""


@define(eq=False)
class Ownership:
    """Owners of workflows by id, and starts that may own a workflow which is not known yet.

    Starts with the same mark can be taken for each other (`Starter.mark`).
    """

    _owners: dict[int, str] = field(factory=dict, init=False)
    _unsettled: dict[str, set[str]] = field(factory=dict, init=False)
    """Keys of the starts that may have happened, by mark."""

    def load(self, item: StartStatus, mark: str) -> None:
        """Take over what an earlier run knew of a start."""
        if item.id is not None:
            self._owners.setdefault(item.id, item.key)
        elif item.kind in MAYBE_SENT:
            self.note_sent(item.key, mark)

    def note_sent(self, key: str, mark: str) -> None:
        """Note that a start may own a workflow from here on."""
        self._unsettled.setdefault(mark, set()).add(key)

    def settle(self, key: str, mark: str, id: int | None = None) -> None:
        """Note which workflow a start owns, or that it owns none."""
        keys = self._unsettled.get(mark, set())
        keys.discard(key)
        if not keys:
            self._unsettled.pop(mark, None)
        if id is not None:
            self._owners.setdefault(id, key)

    def other_starts(self, key: str, mark: str) -> OtherStarts:
        """What a search for a start has to know of the other starts, as of each check."""
        return OtherStarts(
            own=lambda workflow: self._owners.get(workflow, key) != key,
            may_own_same=lambda: bool(self._unsettled.get(mark, set()) - {key}),
        )
