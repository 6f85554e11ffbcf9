"""The index behind the list of Opencast 11: late by up to ten seconds, and never twice in the same order."""

from collections.abc import Iterator, Mapping

from attrs import define, field

from workflow_async.sandbox.engine import Clock, Engine, Run
from workflow_async.sandbox.opencast.definitions import Definition
from workflow_async.sandbox.opencast.event import Event
from workflow_async.sandbox.opencast.filter import Document, in_order, passing

DELAY = 10.0
"""Seconds between one commit of the index and the next."""


@define(eq=False)
class Index:
    """What a list sees of the workflows."""

    clock: Clock
    events: Mapping[str, Event]
    definitions: Mapping[str, Definition]
    _committed: float = field(init=False)
    _documents: dict[int, Document] = field(factory=dict, init=False)
    """In the order of indexing: whatever changes goes to the end."""
    _dirty: dict[int, Run] = field(factory=dict, init=False)
    _orders: dict[str, list[Document]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._committed = self.clock()

    def note(self, run: Run) -> None:
        """Remember that a workflow has changed."""
        self._dirty.pop(run.id, None)
        self._dirty[run.id] = run

    def refresh(self, engine: Engine) -> None:
        """Commit what has changed, unless the last commit was a moment ago."""
        if self.clock() - self._committed >= DELAY:
            self.commit(engine)

    def commit(self, engine: Engine) -> None:
        """Make the list see the workflows as they are now."""
        engine.advance()
        self._committed = self.clock()
        for run in self._dirty.values():
            self._documents.pop(run.id, None)
            if run.id in engine.runs:
                definition = self.definitions.get(run.definition)
                self._documents[run.id] = Document.of(run, self.events[run.subject], definition)
        if self._dirty:
            self._orders.clear()
            self._dirty.clear()

    def search(self, criteria: str, sort: str) -> Iterator[Document]:
        """The workflows that pass, in order."""
        passes = passing(criteria)
        if sort not in self._orders:
            self._orders[sort] = in_order(self._documents.values(), sort)
        return filter(passes, self._orders[sort])
