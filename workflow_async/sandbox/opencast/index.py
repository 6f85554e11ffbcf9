"""The indexes behind the lists: of workflows (Opencast 11), up to 10 seconds late, and of events."""

from collections.abc import Callable, Iterator, Mapping

from attrs import define, field

from workflow_async.sandbox.conditions import IndexFault
from workflow_async.sandbox.engine import Engine, FakeWorkflow, Status, TimeSource
from workflow_async.sandbox.opencast.definitions import Definition
from workflow_async.sandbox.opencast.event import Event
from workflow_async.sandbox.opencast.filter import Document, sort_documents, workflow_filter

COMMIT_INTERVAL = 10.0
"""Seconds between two commits of the index."""


@define(eq=False)
class IndexHealth:
    """The faults of the indexes of one Opencast, and the instant from which they apply."""

    clock: TimeSource
    _faults: tuple[IndexFault, ...] = field(default=(), init=False)
    _since: float = field(default=0.0, init=False)

    def set_faults(self, faults: tuple[IndexFault, ...]) -> None:
        """Replace the current faults."""
        self._faults, self._since = faults, self.clock()

    @property
    def empty(self) -> bool:
        """True if a search finds nothing."""
        return self._is_active("empty")

    @property
    def stale(self) -> bool:
        """True if changes are not indexed."""
        return self._is_active("stale")

    def _is_active(self, state: str) -> bool:
        elapsed = self.clock() - self._since
        return any(fault.is_active(state, elapsed) for fault in self._faults)


@define(eq=False)
class EventIndex:
    """The index of events, with the state of each event's latest workflow. Changes appear immediately."""

    health: IndexHealth
    state_of: Callable[[Event], str]
    _states: dict[str, tuple[Event, str]] = field(factory=dict, init=False)
    _dirty: dict[str, Event] = field(factory=dict, init=False)

    def mark_changed(self, event: Event) -> None:
        """Remember that an event or its latest workflow has changed."""
        self._dirty[event.identifier] = event

    def rows(self) -> Iterator[tuple[Event, str]]:
        """Return every indexed event with its state, oldest first."""
        self.refresh()
        return iter(() if self.health.empty else list(self._states.values()))

    def refresh(self) -> None:
        """Index the changed events, unless the index is stale."""
        if self.health.stale:
            return
        for event in self._dirty.values():
            self._states[event.identifier] = (event, self.state_of(event))
        self._dirty.clear()


@define(eq=False)
class WorkflowIndex:
    """The index of workflows."""

    clock: TimeSource
    health: IndexHealth
    events: Mapping[str, Event]
    definitions: Mapping[str, Definition]
    _committed: float = field(init=False)
    _documents: dict[int, Document] = field(factory=dict, init=False)
    """The documents in the order of indexing. A changed workflow moves to the end."""
    _dirty: dict[int, FakeWorkflow] = field(factory=dict, init=False)
    _busy: dict[str, set[int]] = field(factory=dict, init=False)
    """The active workflows of each event, as far as they are indexed."""
    _sorted: dict[str, list[Document]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._committed = self.clock()

    def mark_changed(self, run: FakeWorkflow) -> None:
        """Remember that a workflow has changed."""
        self._dirty.pop(run.id, None)
        self._dirty[run.id] = run

    def refresh(self, engine: Engine) -> None:
        """Commit the changes, unless the last commit was less than 10 seconds ago or the index is stale."""
        if self.clock() - self._committed >= COMMIT_INTERVAL and not self.health.stale:
            self.commit(engine)

    def commit(self, engine: Engine) -> None:
        """Index the workflows as they are now."""
        engine.advance()
        self._committed = self.clock()
        for run in self._dirty.values():
            self._drop(run.id)
            if run.id in engine.runs:
                self._index(run)
        if self._dirty:
            self._sorted.clear()
            self._dirty.clear()

    def status_of(self, id: int) -> Status | None:
        """Return the indexed status of a workflow. None if the workflow is not indexed."""
        document = self._documents.get(id)
        return None if document is None or self.health.empty else document.run.status

    def is_busy(self, event: str) -> bool:
        """Return True if an event has an active workflow, as far as it is indexed."""
        return bool(self._busy.get(event)) and not self.health.empty

    def _index(self, run: FakeWorkflow) -> None:
        document = Document.of(run, self.events[run.subject], self.definitions.get(run.definition))
        self._documents[run.id] = document
        if run.active:
            self._busy.setdefault(run.subject, set()).add(run.id)

    def _drop(self, id: int) -> None:
        known = self._documents.pop(id, None)
        if known is not None:
            self._busy.get(known.run.subject, set()).discard(id)

    def search(self, criteria: str, sort: str) -> Iterator[Document]:
        """Return the matching workflows, in order."""
        passes = workflow_filter(criteria)
        if self.health.empty:
            return iter(sort_documents((), sort))
        if sort not in self._sorted:
            self._sorted[sort] = sort_documents(self._documents.values(), sort)
        return filter(passes, self._sorted[sort])
