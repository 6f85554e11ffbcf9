"""Compares text filters literally. The server takes `*` and `?` for wildcards, so its rows are compared here again.

A row of the list does not show its event. The events of a page are requested by their ids, with one more request for
each page.
"""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from workflow_async._core.call import Call
from workflow_async._listing.prefetch import Send
from workflow_async.opencast import event_calls
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.event_texts import searched_texts
from workflow_async.opencast.filters import split_by_size
from workflow_async.opencast.records import Workflow

WILDCARDS = "*?"


@define(eq=False)
class LiteralFilter:
    """A `send` for pages of workflows. It notes for `passes` which workflows match literally."""

    send_page: Send
    """Sends the call for a page."""
    send_events: Send
    """Sends the call for events."""
    filters: Mapping[str, str]
    """The filters to compare, by name."""
    _passing: set[int] = field(factory=set, init=False)

    async def __call__(self, call: Call[Any], /) -> Any:
        """Send the call for a page, then request the events of its rows."""
        page = await self.send_page(call)
        rows = [row for row in page.items if isinstance(row, Workflow)]
        events: dict[str, Event] = {}
        for event_ids in split_by_size(row.event_id for row in rows):
            events |= {event.id: event for event in await self.send_events(event_calls.events_by_id(event_ids))}
        self._passing.difference_update(row.id for row in rows)
        self._passing.update(w.id for w in rows if w.event_id in events and self._matches(w, events[w.event_id]))
        return page

    def passes(self, workflow: Workflow) -> bool:
        """Return True if the event of the workflow was found and every filter matches literally."""
        return workflow.id in self._passing

    def _matches(self, workflow: Workflow, event: Event) -> bool:
        return all(matches(name, value, workflow, event) for name, value in self.filters.items())


def wildcard_filters(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the text filters whose values contain wildcards."""
    return {name: value for name, value in texts.items() if any(character in value for character in WILDCARDS)}


def matches(name: str, value: str, workflow: Workflow, event: Event) -> bool:
    """Return True if one of the texts that a filter searches contains the value. Case is ignored."""
    return any(value.lower() in text.lower() for text in searched_texts(name, event, workflow))


def combined(*tests: Callable[[Workflow], bool] | None) -> Callable[[Workflow], bool] | None:
    """Return a test that passes what all given tests pass. None if no test is given."""
    given = [test for test in tests if test is not None]
    return (lambda workflow: all(test(workflow) for test in given)) if given else None
