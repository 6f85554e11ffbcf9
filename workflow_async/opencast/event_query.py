"""The filter and sort grammar of the list of events. Pure.

The grammar is that of workflows, but the meaning differs. Elasticsearch compares whole values, case counts, and there
are no wildcards. See tests/contract/opencast.md, section 1.8.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Self, TypedDict, Unpack, get_args
from urllib.parse import quote_plus

from attrs import field, frozen

from workflow_async.errors import InvalidArgument
from workflow_async.opencast.filters import (
    MAX_FILTER,
    Texts,
    check_size,
    checked_value,
    period,
    several,
    sort_param,
    split_by_size,
)

EventStatus = Literal[
    "scheduled", "recording", "ingesting", "recording_failure", "pending", "processing", "paused", "processed",
    "processing_failure", "processing_cancelled",
]  # fmt: skip
"""The status of an event, without its prefix `EVENTS.EVENTS.STATUS.`."""

EventListSort = Literal[
    "title:asc", "title:desc", "presenter:asc", "presenter:desc", "location:asc", "location:desc",
    "series_title:asc", "series_title:desc", "processing_state:asc", "processing_state:desc",
    "start:asc", "start:desc", "end:asc", "end:desc",
    "technical_start:asc", "technical_start:desc", "technical_end:asc", "technical_end:desc",
]  # fmt: skip
"""One key and its direction. Events without a value are last."""

STATUS_PREFIX = "EVENTS.EVENTS.STATUS."
IDENTIFIER = "identifier"
SEVERAL = frozenset({IDENTIFIER, "presenter", "contributor"})
"""Filters of which the server takes several values as alternatives. Of others it takes the last value."""
PERIODS = frozenset({"start", "technical_start"})
WIRE_NAMES = {
    "contributor": "contributors",
    "presenter": "presenters",
    "series_id": "series",
    "series_title": "series_name",
    "text_filter": "textFilter",
}
WIRE_SORTS = {
    "end": "end_date",
    "processing_state": "workflow_state",
    "series_title": "series_name",
    "start": "start_date",
}
SORTS = frozenset(key.partition(":")[0] for key in get_args(EventListSort))


class EventFilters(TypedDict, total=False):
    """Filters of events. Different filters are ANDed.

    Several values of `identifier`, `presenter` or `contributor` are ORed. Each other filter has one value. A value must
    match exactly and as a whole, also in its case. Only `text_filter` finds parts.
    """

    identifier: Texts
    """The ids of events. Any number of them."""
    status: EventStatus | str
    """A word such as `processing` in any case, or the server's key such as `EVENTS.EVENTS.STATUS.PROCESSING`.

    `pending`, `processing`, `paused`, `processed`, `processing_failure` and `processing_cancelled` follow the latest
    workflow. An event without a workflow is `scheduled`, in recording or ingest, or `processed`.
    """
    series_id: str
    series_title: str
    title: str
    description: str
    subject: str
    presenter: Texts
    contributor: Texts
    language: str
    license: str
    rightsholder: str
    location: str
    source: str
    agent_id: str
    created: datetime
    """Exactly this instant, in whole seconds. Use `start` for a period."""
    start: tuple[datetime, datetime] | str
    """First and last start of the recording, both included. Either two aware datetimes or a text such as
    `2018-03-01T00:00:00Z/2018-03-31T23:59:59Z`. An event without a start is not found.
    """
    technical_start: tuple[datetime, datetime] | str
    """Like `start`, for the times of the capture agent."""
    text_filter: str
    """Words, in any case. One of them must be part of a word in any field of the event. The server requires a word with
    a `+` in front, and excludes a word with a `-` in front.
    """


@frozen(kw_only=True)
class EventQuery:
    """Filters of events in the server's spelling. Made by `of`, which checks them."""

    terms: Mapping[str, tuple[str, ...]] = field(hash=False)
    """For each filter its terms as they are sent, without `identifier`."""
    identifiers: tuple[str, ...] | None
    """The ids of events, each once. None without `identifier`."""

    @classmethod
    def of(cls, **filters: Unpack[EventFilters]) -> Self:
        """Return the query of these filters. Iterables are read once.

        Raises:
            InvalidArgument: a filter is unknown, or its value does not fit into the server's grammar.
        """
        unknown = filters.keys() - EventFilters.__annotations__.keys()
        if unknown:
            raise InvalidArgument(min(unknown), "is not a filter of events. See EventFilters")
        values = {name: _values(name, value) for name, value in filters.items()}
        identifiers = values.pop(IDENTIFIER, None)
        terms = {name: tuple(_term(name, value) for value in given) for name, given in values.items()}
        longest = max(identifiers or ("",), key=len)
        check_size({**terms, **({IDENTIFIER: (_term(IDENTIFIER, longest),)} if identifiers else {})})
        return cls(terms=terms, identifiers=identifiers and tuple(dict.fromkeys(identifiers)))

    def on_the_wire(self, identifiers: Sequence[str] = ()) -> str:
        """Return the `filter` parameter, with these ids."""
        ids = (_term(IDENTIFIER, id) for id in identifiers)
        return ",".join([*ids, *(term for terms in self.terms.values() for term in terms)])

    def batches(self) -> list[Sequence[str]]:
        """Return the ids in batches that each fit into the filter of one request, together with the other terms."""
        room = MAX_FILTER - len(quote_plus(f"{self.on_the_wire()},"))
        return list(split_by_size(self.identifiers or (), room))


def event_sort(sort: str | None) -> str:
    """Return the `sort` parameter of a list of events, "" without a sort."""
    return "" if sort is None else sort_param(sort, SORTS, WIRE_SORTS)


def status_key(status: str) -> str:
    """Return the server's key of a status. A key with the prefix is returned as it is, even if it is not known."""
    if isinstance(status, str):
        if status.startswith(STATUS_PREFIX):
            return checked_value("status", status)
        if status.lower() in get_args(EventStatus):
            return STATUS_PREFIX + status.upper()
    raise InvalidArgument("status", f"must be one of {', '.join(get_args(EventStatus))}, or a key of the server")


def _values(name: str, value: Any) -> tuple[str, ...]:
    if name in SEVERAL:
        return tuple(checked_value(name, each) for each in several(name, value))
    if name in PERIODS:
        return (period(name, value),)
    if name == "created":
        return (_instant(name, value),)
    return (status_key(value) if name == "status" else checked_value(name, value),)


def _instant(name: str, value: datetime) -> str:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidArgument(name, "must be an aware datetime: give it a tzinfo, such as datetime.UTC")
    return period(name, (value, value)).partition("/")[0]


def _term(name: str, value: str) -> str:
    return f"{WIRE_NAMES.get(name, name)}:{value}"
