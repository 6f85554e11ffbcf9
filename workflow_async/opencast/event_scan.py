"""Scans of workflows by the list of events, for servers without a list of workflows. Pure."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from workflow_async._core.call import Call, Page, UnreadableRow
from workflow_async._listing.scan import Scan, ScanState
from workflow_async.errors import ListingIncomplete
from workflow_async.opencast import event_calls
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.filters import split_by_size
from workflow_async.opencast.records import Workflow

Row = Workflow | UnreadableRow


@frozen(kw_only=True)
class EventPage(Page[Workflow]):
    """A page of events with the workflows of these events."""

    items: tuple[Workflow, ...] = ()
    events: Page[Event] = field(factory=lambda: Page(()))
    rows: Mapping[str, tuple[Row, ...]] = field(factory=dict, eq=False)
    """The workflows that were found, by event."""
    unknown: tuple[str, ...] = ()
    """The events whose workflows are not all known."""
    requests: int = 0
    """Requests for workflows."""
    incomplete: Callable[[tuple[str, ...]], ListingIncomplete] | None = field(default=None, eq=False)
    """Makes the error for events whose workflows are not all known."""


@frozen(kw_only=True)
class NoList(Page[Workflow]):
    """The response of a server without a list of workflows."""

    items: tuple[Workflow, ...] = ()


@define
class EventScan:
    """A scan of the workflows of events.

    It reads one list of events after the other. At the end it requests the events whose workflows are not all known
    once more, because an event may have been deleted since. If one of them is still there, the listing is incomplete.
    """

    scans: deque[Scan[Event]]
    """Scans of lists of events. An event may be in several."""
    state: ScanState[Workflow]
    done: bool = field(default=False, init=False)
    _unknown: dict[str, None] = field(factory=dict, init=False)
    _unchecked: deque[Sequence[str]] = field(factory=deque, init=False)
    """Batches of unknown events to request again. The first one is in flight."""
    _checking: bool = field(default=False, init=False)
    _failure: ListingIncomplete | None = field(default=None, init=False)
    """What the scan ends with, after the last new rows."""

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[Workflow]]]:
        """Return the calls for the following pages of events. The sender adds the workflows to their results.

        Raises:
            ListingIncomplete: all known workflows were returned, and others may exist.
        """
        if self.scans:
            found: Sequence[Call[Any]] = self.scans[0].next_calls(pages_in_use)
            return found
        if self._failure is not None:
            raise self._failure
        if self._checking:
            return ()
        self._checking = True
        ids = self._unchecked[0]
        return [event_calls.list_events(filter=",".join(f"identifier:{id}" for id in ids), size=len(ids))]  # type: ignore[list-item]

    def accept(self, page: Page[Workflow]) -> tuple[Workflow, ...] | None:
        """Return the new workflows. None if the page of events does not continue its list.

        Raises:
            ListingIncomplete: workflows of events are not known.
            ListingInconsistent: the list of events makes no progress.
        """
        assert isinstance(page, EventPage)
        self.state.place.resumable = False
        if not self.scans:
            return self._accept_check(page)
        events = self.scans[0].accept(page.events)
        if events is None:
            return None
        self.state.requests += page.requests
        unreadable = [row for row in page.events.items if isinstance(row, UnreadableRow)]
        rows: list[Any] = [*unreadable, *(row for event in events for row in page.rows.get(event.id, ()))]
        self._unknown |= dict.fromkeys(page.unknown)
        new = self.state.accept(rows)
        if self.scans[0].done:
            self.scans.popleft()
            if not self.scans:
                self._unchecked = deque(split_by_size(self._unknown))
        self.done = self.state.limit_reached or not (self.scans or self._unchecked)
        return new

    def _accept_check(self, page: EventPage) -> tuple[Workflow, ...]:
        self._checking = False
        gone = set(self._unchecked.popleft()) - set(page.unknown)
        self._unknown = {id: None for id in self._unknown if id not in gone}
        new = self.state.accept([row for rows in page.rows.values() for row in rows])  # type: ignore[misc]
        if page.unknown and page.incomplete is not None:
            self._failure = page.incomplete(tuple(self._unknown))
            if not new:
                raise self._failure
        self.done = not (self._unchecked or self._failure)
        return new


@define
class FallbackScan:
    """A scan of the list of workflows, or of the list of events if there is no list of workflows."""

    scan: Scan[Workflow]
    by_events: EventScan

    @property
    def done(self) -> bool:
        """True if there is nothing left to request."""
        return self.scan.done

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[Workflow]]]:
        """Return the calls to send now."""
        return self.scan.next_calls(pages_in_use)

    def accept(self, page: Page[Workflow]) -> tuple[Workflow, ...] | None:
        """Return the new workflows. None if the server has no list of workflows, so that events are requested."""
        if isinstance(page, NoList):
            self.scan = self.by_events
            return None
        return self.scan.accept(page)
