"""The watchers of each workflow."""

from collections.abc import Iterable, KeysView
from typing import Generic, TypeVar

from attrs import define, field

from workflow_async.monitor._engine.subscription import Subscription
from workflow_async.phase import Workflow

W = TypeVar("W", bound=Workflow)


@define(eq=False)
class Watchers(Generic[W]):
    """Subscriptions by the id of a workflow, in the order in which they joined."""

    # A single watcher is kept in a tuple, which takes a fifth of the memory of a dict. Most workflows have only one.
    _by_id: dict[int, tuple[Subscription[W]] | dict[Subscription[W], None]] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id: object) -> bool:
        return id in self._by_id

    def ids(self) -> KeysView[int]:
        """Return the ids of all watched workflows."""
        return self._by_id.keys()

    def of(self, id: int) -> tuple[Subscription[W], ...]:
        """Return the watchers of a workflow."""
        return tuple(self._by_id.get(id, ()))

    def all(self) -> Iterable[Subscription[W]]:
        """Return every watcher once."""
        return {subscription: None for watchers in self._by_id.values() for subscription in watchers}

    def add(self, id: int, subscription: Subscription[W]) -> None:
        """Add a watcher of a workflow."""
        watchers = self._by_id.get(id)
        if watchers is None:
            self._by_id[id] = (subscription,)
        elif isinstance(watchers, tuple):
            self._by_id[id] = {watchers[0]: None, subscription: None}
        else:
            watchers[subscription] = None

    def remove(self, id: int, subscription: Subscription[W]) -> bool:
        """Remove a watcher of a workflow. Return False if it did not watch that workflow."""
        watchers = self._by_id.get(id, ())
        if subscription not in watchers:
            return False
        if isinstance(watchers, dict):
            del watchers[subscription]
        if isinstance(watchers, tuple) or not watchers:
            del self._by_id[id]
        return True
