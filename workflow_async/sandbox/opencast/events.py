"""The route of events, which shows the state of each event's latest workflow."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workflow_async.sandbox.opencast.event import Event
from workflow_async.sandbox.opencast.filter import (
    BadCriterionError,
    contains_pattern,
    parse_period,
    sort_by_text,
    split_filter,
)
from workflow_async.sandbox.opencast.json import instant
from workflow_async.sandbox.opencast.responses import (
    account,
    json_response,
    mislabelled_error,
    page_slice,
    sort_param,
    text_param,
)
from workflow_async.sandbox.opencast.state import OpencastState
from workflow_async.sandbox.page_responses import PageResponses

Row = tuple[Event, str]
"""An event, and the state of its latest workflow."""
Test = Callable[[Row], bool]
LOCATION = "hall-1"
EVENT_STATUS = {
    "instantiated": "EVENTS.EVENTS.STATUS.PENDING",
    "running": "EVENTS.EVENTS.STATUS.PROCESSING",
    "failing": "EVENTS.EVENTS.STATUS.PROCESSING",
    "paused": "EVENTS.EVENTS.STATUS.PAUSED",
    "succeeded": "EVENTS.EVENTS.STATUS.PROCESSED",
    "failed": "EVENTS.EVENTS.STATUS.PROCESSING_FAILURE",
    "stopped": "EVENTS.EVENTS.STATUS.PROCESSING_CANCELLED",
}


@define(eq=False)
class EventRoutes:
    """`/api/events`."""

    state: OpencastState
    pages: PageResponses

    def routes(self) -> list[Route]:
        """Return the routes of the release."""
        return [Route("/api/events", self.page, methods=["GET"])]

    async def page(self, request: Request) -> Response:
        """Return one page of events. Events do not have the ids of their workflows."""
        self.state.engine.advance()
        passes = _event_test(request)
        viewer = account(request)
        named = _identifiers(request)
        candidates = (row for row in self.state.event_index.rows() if not named or row[0].identifier in named)
        found = (row for row in candidates if passes(row) and viewer.has_access(row[0].readers))
        part, sort = page_slice(request, None), sort_param(request, _EVENT_KEYS, "sort")
        shown = islice(sort_by_text(found, sort[0], descends=sort[1]) if sort else found, part.start, part.stop)
        rows = [self._tree(*row) for row in shown]
        return self.pages.respond(request, rows, lambda page: json_response(request, self.state.rules, page))

    def _tree(self, event: Event, state: str) -> dict[str, Any]:
        return self.state.odd_rows.apply(event.identifier, _event_tree(event, state))


def _identifiers(request: Request) -> set[str]:
    """Return the identifiers of a filter, so that most events are ruled out by one look-up."""
    return {value for name, value in split_filter(text_param(request, "filter")) if name == "identifier"}


def _event_test(request: Request) -> Test:
    """Return the test for a filter. All names must match.

    Repeated identifiers, presenters and contributors are alternatives. Of other repeated names the last one counts, and
    of `textFilter` the first one.
    """
    known: dict[str, list[Test]] = {}
    for name, value in split_filter(text_param(request, "filter")):
        if name not in _EVENT_TESTS:
            raise mislabelled_error(request, 400, f"Unknown filter criterion in request: {name}")
        try:
            test = _EVENT_TESTS[name](name, value)
        except BadCriterionError as error:
            raise mislabelled_error(request, 400, str(error)) from None
        key = _SAME_FILTER.get(name, name)
        earlier = known.get(key, [])
        known[key] = [*earlier, test] if name in _ALTERNATIVES else (earlier if name in _FIRST_COUNTS else []) or [test]
    return lambda row: all(any(test(row) for test in tests) for tests in known.values())


_ALTERNATIVES = frozenset({"identifier", "presenters", "contributors"})
_FIRST_COUNTS = frozenset({"textFilter"})
_SAME_FILTER = {"is_part_of": "series"}
"""Filters that set the same field of the query."""


def _is(read: Callable[[Row], str]) -> Callable[[str, str], Test]:
    """Return the test of a field that is stored as a whole. Case counts, and there are no wildcards."""
    return lambda _, value: lambda row: read(row) == value


def _is_among(read: Callable[[Row], str]) -> Callable[[str, str], Test]:
    return lambda _, value: lambda row: value in _names(read(row))


def _has_words(_: str, value: str) -> Test:
    """Return the test for a text. A word of it must be part of a word of the event, in any case.

    All words with + must occur, and none with -. `*` is a wildcard.
    """
    words = value.lower().split()
    required, excluded = ([contains_pattern(w[1:]) for w in words if w[0] == sign and w[1:]] for sign in "+-")
    optional = [contains_pattern(word) for word in words if word[0] not in "+-"]

    def test(row: Row) -> bool:
        indexed = _indexed_text(row).split()

        def occurs(matches: Callable[[str], bool]) -> bool:
            return any(map(matches, indexed))

        found = all(map(occurs, required)) and not any(map(occurs, excluded))
        return found and (bool(required) or not optional or any(map(occurs, optional)))

    return test


def _indexed_text(row: Row) -> str:
    event, state = row
    known = (event.identifier, event.title, event.creator, event.contributor, event.subject, event.description)
    more = (event.series, event.series_title, event.language, event.license, LOCATION, instant(event.created))
    return "\n".join((*known, *more, state.upper(), _status(state)))


def _starts_within(name: str, value: str) -> Test:
    since, until = parse_period(value, name)
    return lambda row: row[0].created is not None and since <= row[0].created <= until


_EVENT_TESTS: dict[str, Callable[[str, str], Test]] = {
    "identifier": _is(lambda row: row[0].identifier),
    "status": _is(lambda row: _status(row[1])),
    "series": _is(lambda row: row[0].series),
    "is_part_of": _is(lambda row: row[0].series),
    "created": _is(lambda row: instant(row[0].created)),
    "location": _is(lambda _: LOCATION),
    "agent_id": _is(lambda _: LOCATION),
    "source": _is(lambda _: ""),
    "rightsholder": _is(lambda _: ""),
    "title": _is(lambda row: row[0].title),
    "presenters": _is_among(lambda row: row[0].creator),
    "contributors": _is_among(lambda row: row[0].contributor),
    "subject": _is(lambda row: row[0].subject),
    "description": _is(lambda row: row[0].description),
    "series_name": _is(lambda row: row[0].series_title),
    "language": _is(lambda row: row[0].language),
    "license": _is(lambda row: row[0].license),
    "textFilter": _has_words,
    "start": _starts_within,
    "technical_start": _starts_within,
}
_EVENT_KEYS: dict[str, Callable[[Row], str]] = {
    "title": lambda row: row[0].title,
    "presenter": lambda row: row[0].creator,
    "series_name": lambda row: row[0].series_title,
    "date": lambda row: instant(row[0].created),
    "start_date": lambda row: instant(row[0].created),
    "workflow_state": lambda row: row[1],
}


def _event_tree(event: Event, state: str) -> dict[str, Any]:
    created = instant(event.created)
    return {
        "identifier": event.identifier,
        "title": event.title,
        "creator": event.creator,
        "presenter": _names(event.creator),
        "contributor": _names(event.contributor),
        "subjects": [event.subject] if event.subject else [],
        "description": event.description,
        "language": event.language,
        "license": event.license,
        "series": event.series_title,
        "is_part_of": event.series,
        "created": created,
        "start": created,
        "duration": event.duration,
        "location": LOCATION,
        "source": "",
        "rightsholder": "",
        "status": _status(state),
        "processing_state": state.upper(),
        "publication_status": [],
        "has_previews": False,
        "archive_version": 1 + len(event.workflow_ids),
    }


def _names(text: str) -> list[str]:
    return [name for name in text.split("; ") if name]


def _status(state: str) -> str:
    return EVENT_STATUS.get(state, EVENT_STATUS["succeeded"])
