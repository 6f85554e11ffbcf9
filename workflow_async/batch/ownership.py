"""Which workflow belongs to which start of a batch, so that a search does not take another start's workflow."""

from attrs import define, field

from workflow_async.batch.entries import StartStatus, StatusKind
from workflow_async.batch.reconcile import OtherStarts

MAYBE_SENT = frozenset({StatusKind.INTENT, StatusKind.UNKNOWN})
"""The kinds that an earlier run leaves of a start that may have happened."""

EARLIER = ""
"""The owner of workflows that have ended. No start has this key."""


@define(eq=False)
class Ownership:
    """Owners of workflows by id, and starts that may own a workflow whose id is not known yet.

    Starts with the same match key can be taken for each other. See `StartBackend.match_key`.
    """

    _owners: dict[int, str] = field(factory=dict, init=False)
    _unsettled: dict[str, set[str]] = field(factory=dict, init=False)
    """Keys of the starts that may have happened, by match key."""

    def load(self, item: StartStatus, match_key: str) -> None:
        """Take over what an earlier run knew about a start."""
        if item.id is not None:
            # a search for a start that is sent again must not find the workflow that has ended
            self._owners.setdefault(item.id, EARLIER if item.kind is StatusKind.ENDED else item.key)
        elif item.kind in MAYBE_SENT:
            self.note_sent(item.key, match_key)

    def note_sent(self, key: str, match_key: str) -> None:
        """Note that a start may own a workflow from now on."""
        self._unsettled.setdefault(match_key, set()).add(key)

    def settle(self, key: str, match_key: str, id: int | None = None) -> None:
        """Note which workflow a start owns. None means that the start owns no workflow."""
        keys = self._unsettled.get(match_key, set())
        keys.discard(key)
        if not keys:
            self._unsettled.pop(match_key, None)
        if id is not None:
            self._owners.setdefault(id, key)

    def other_starts(self, key: str, match_key: str) -> OtherStarts:
        """Return what a search for a start must know about the other starts, as of each check."""
        return OtherStarts(
            own=lambda workflow_id: self._owners.get(workflow_id, key) != key,
            may_own_same=lambda: bool(self._unsettled.get(match_key, set()) - {key}),
        )
