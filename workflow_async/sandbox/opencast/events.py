"""The route of events, which shows the state of each event's latest workflow."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workflow_async.sandbox.opencast.event import Event
from workflow_async.sandbox.opencast.filter import BadCriterionError, parse_period, sort_by_text, split_filter
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
        found = (row for row in self.state.event_index.rows() if passes(row) and viewer.has_access(row[0].readers))
        part, sort = page_slice(request, None), sort_param(request, _EVENT_KEYS, "sort")
        shown = islice(sort_by_text(found, sort[0], descends=sort[1]) if sort else found, part.start, part.stop)
        rows = [self._tree(*row) for row in shown]
        return self.pages.respond(request, rows, lambda page: json_response(request, self.state.rules, page))

    def _tree(self, event: Event, state: str) -> dict[str, Any]:
        return self.state.odd_rows.apply(event.identifier, _event_tree(event, state))


def _event_test(request: Request) -> Test:
    """Return the test for a filter. Values of the same name are alternatives, and all names must match."""
    known: dict[str, list[Test]] = {}
    for name, value in split_filter(text_param(request, "filter")):
        if name not in _EVENT_TESTS:
            raise mislabelled_error(request, 400, f"Unknown filter criterion in request: {name}")
        try:
            known.setdefault(name, []).append(_EVENT_TESTS[name](name, value))
        except BadCriterionError as error:
            raise mislabelled_error(request, 400, str(error)) from None
    return lambda row: all(any(test(row) for test in tests) for tests in known.values())


def _is(read: Callable[[Row], str]) -> Callable[[str, str], Test]:
    return lambda _, value: lambda row: read(row) == value


def _contains(read: Callable[[Row], str]) -> Callable[[str, str], Test]:
    return lambda _, value: lambda row: value.lower() in read(row).lower()


def _starts_within(name: str, value: str) -> Test:
    since, until = parse_period(value, name)
    return lambda row: since <= row[0].indexed_date <= until


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
    "title": _contains(lambda row: row[0].title),
    "presenters": _contains(lambda row: row[0].creator),
    "contributors": _contains(lambda row: row[0].contributor),
    "subject": _contains(lambda row: row[0].subject),
    "description": _contains(lambda row: row[0].description),
    "series_name": _contains(lambda row: row[0].series_title),
    "language": _contains(lambda row: row[0].language),
    "license": _contains(lambda row: row[0].license),
    "textFilter": _contains(
        lambda row: f"{row[0].identifier}\n{row[0].title}\n{row[0].creator}\n{row[0].series_title}"
    ),
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
        "presenter": [name for name in event.creator.split("; ") if name],
        "contributor": [name for name in event.contributor.split("; ") if name],
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


def _status(state: str) -> str:
    return EVENT_STATUS.get(state, EVENT_STATUS["succeeded"])
