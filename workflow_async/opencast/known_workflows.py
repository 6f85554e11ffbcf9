"""Remembers which workflows were started on which event. Pure."""

from attrs import define, field

MAX_EVENTS = 10_000
"""Events whose workflows are remembered. The event whose last start is the oldest is forgotten first."""


@define(eq=False)
class KnownWorkflows:
    """The ids of the workflows that a client has started or found for a start, by event."""

    _ids: dict[str, list[int]] = field(factory=dict, init=False)

    def note(self, event_id: str, id: int) -> None:
        """Remember a workflow of an event."""
        ids = self._ids.pop(event_id, [])
        self._ids[event_id] = ids if id in ids else [*ids, id]
        if len(self._ids) > MAX_EVENTS:
            del self._ids[next(iter(self._ids))]

    def of(self, event_id: str) -> tuple[int, ...]:
        """Return the ids of an event, in the order of the starts."""
        return tuple(self._ids.get(event_id, ()))

    def forget(self, event_id: str, id: int) -> None:
        """Forget a workflow that no longer exists."""
        ids = [known for known in self._ids.get(event_id, ()) if known != id]
        if ids:
            self._ids[event_id] = ids
        else:
            self._ids.pop(event_id, None)
