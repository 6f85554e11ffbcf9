"""Searches workflows by their events, for servers without a list of workflows. Pure.

A filter of workflows is sent as a filter of events where both mean the same. All other filters are compared with the
rows here. See tests/contract/opencast.md, sections 1.2, 1.7 and 1.8.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from attrs import define, field

from workflow_async.opencast.event_query import EventFilters, EventListSort, EventQuery, EventStatus
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.event_texts import searched_texts
from workflow_async.opencast.filters import EventSort
from workflow_async.opencast.query import WorkflowQuery
from workflow_async.opencast.records import State, Workflow

STATUSES: Mapping[State, EventStatus] = {
    State.INSTANTIATED: "pending",
    State.RUNNING: "processing",
    State.FAILING: "processing",
    State.PAUSED: "paused",
}
"""The status of an event whose latest workflow is in this state. An active workflow is the latest of its event."""
SORTS: Mapping[EventSort, EventListSort] = {
    "event_title:asc": "title:asc",
    "event_title:desc": "title:desc",
    "event_created:asc": "start:asc",
    "event_created:desc": "start:desc",
    "event_creator:asc": "presenter:asc",
    "event_creator:desc": "presenter:desc",
    "series_title:asc": "series_title:asc",
    "series_title:desc": "series_title:desc",
}
"""The sort of events that means the same as a sort of workflows."""


@define(eq=False)
class EventSearch:
    """A query of workflows as queries of events, and as a test for rows."""

    query: WorkflowQuery
    literal: bool = False
    """True if `*` and `?` match themselves."""
    _text_tests: Mapping[str, Callable[[str], bool]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._text_tests = {name: _contains(value, literal=self.literal) for name, value in self.query.texts.items()}

    @cached_property
    def states(self) -> frozenset[State]:
        """The states of the workflows that are searched."""
        values = self.query.values
        if "state" in values:
            return frozenset(map(State.read, values["state"]))
        return frozenset(state for state in State if state.value not in values.get("state_not", ()))

    @property
    def only_active(self) -> bool:
        """True if no workflow that has ended is searched. Each event then has one such workflow at most."""
        return self.states - {State.UNKNOWN} <= STATUSES.keys()

    def filters(self) -> tuple[str, ...]:
        """Return the `filter` parameters of the lists of events that contain the events of all workflows searched."""
        sent: EventFilters = {}
        values = {name: value for name, (value, *_) in self.query.values.items()}
        if "event_id" in values:
            sent["identifier"] = values["event_id"]
        if "series_id" in values:
            sent["series_id"] = values["series_id"]
        if "event_created" in values:
            sent["start"] = values["event_created"]
        statuses: list[EventStatus | None] = [None]
        if self.only_active:
            statuses = list(dict.fromkeys(status for state, status in STATUSES.items() if state in self.states))
        return tuple(_event_filter(sent, status) for status in statuses)

    def may_match(self, event: Event) -> bool:
        """Return True if a workflow of the event may be searched, by what the event shows."""
        return all(
            any(map(self._text_tests[name], searched_texts(name, event, NO_WORKFLOW)))
            for name in self._text_tests
            if name != "text_filter"
        )

    def matches(self, workflow: Workflow, event: Event) -> bool:
        """Return True if a workflow of the event passes every filter. It must have its operations."""
        return workflow.state in self.states and all(self._tests(workflow, event))

    @property
    def reads_operations(self) -> bool:
        """True if a filter needs the operations of a workflow."""
        return not self.query.values.keys().isdisjoint({"current_operation", "current_operation_not"})

    def _tests(self, workflow: Workflow, event: Event) -> Iterator[bool]:
        values = {name: {value.lower() for value in found} for name, found in self.query.values.items()}
        if "definition_id" in values:
            yield workflow.definition_id.lower() in values["definition_id"]
        if self.reads_operations:
            operation = _current_operation(workflow)
            yield operation in values.get("current_operation", {operation})
            yield operation not in values.get("current_operation_not", ())
        if "text_filter" in self._text_tests:
            yield any(map(self._text_tests["text_filter"], searched_texts("text_filter", event, workflow)))


NO_WORKFLOW = Workflow(id=0, state=State.UNKNOWN, state_text="", event_id="")
"""In place of a workflow where only the event is searched."""


def _event_filter(sent: EventFilters, status: EventStatus | None) -> str:
    filters: EventFilters = sent if status is None else {**sent, "status": status}
    query = EventQuery.of(**filters)
    return query.on_the_wire(query.identifiers or ())


def _contains(value: str, *, literal: bool) -> Callable[[str], bool]:
    """Return the test for a part of a text in any case, with the wildcards of the list of workflows."""
    marks = {} if literal else {"*": ".*", "?": "."}
    pattern = re.compile("".join(marks.get(mark) or re.escape(mark) for mark in value), re.IGNORECASE | re.DOTALL)
    return lambda text: pattern.search(text) is not None


def _current_operation(workflow: Workflow) -> str:
    """Return the current operation as the index of workflows holds it. A workflow without one has "none"."""
    step = None if workflow.phase.final else workflow.step
    return (step or "none").lower()
