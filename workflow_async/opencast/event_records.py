"""The record of an event. See tests/contract/opencast.md, section 1.8."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from workflow_async._records.record import Record
from workflow_async.opencast.records import State


@frozen(kw_only=True)
class Event(Record):
    """An event as the list of events shows it. Servers without a list of workflows show busy events here."""

    id: str
    title: str = ""
    status: str = ""
    """A key such as `EVENTS.EVENTS.STATUS.PROCESSING`. See `status` of `EventFilters`."""
    processing_state: State | None = None
    """The state of the event's latest workflow, without its id. None if the event has no workflow.

    None too if the latest workflow was deleted, even if earlier workflows remain.
    """
    created: datetime | None = None
    series: str = ""
    """The id of the series."""
    series_title: str = ""
    start: datetime | None = None
    """The start of the recording."""
    duration: float | None = None
    """Seconds of the recording. None if unknown."""
    location: str = ""
    presenters: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)
