"""The other routes of the External API: what it is, who one is, definitions, events."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workflow_async.sandbox.opencast.answers import (
    Listings,
    account,
    answer,
    bare,
    first,
    flag,
    labelled,
    plain,
    window,
)
from workflow_async.sandbox.opencast.definitions import Definition
from workflow_async.sandbox.opencast.event import Event
from workflow_async.sandbox.opencast.filter import BadCriterionError, arranged, criteria, sorting
from workflow_async.sandbox.opencast.json import definition_tree, instant
from workflow_async.sandbox.opencast.world import OpencastWorld

Row = tuple[Event, str]
"""An event, and the state of its latest workflow."""
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
class AboutRoutes:
    """`/api`, `/api/version` and `/api/info`."""

    world: OpencastWorld

    def routes(self) -> list[Route]:
        """The routes of the release."""
        shadowed = [] if self.world.dialect.listing or self.world.dialect.gson else ["/api/workflows"]
        return [
            *(Route(path, self.api, methods=["GET"]) for path in ("/api", *shadowed)),
            Route("/api/version", self.versions),
            Route("/api/version/default", self.default),
            Route("/api/info/me", self.me),
            Route("/api/info/me/roles", self.roles),
        ]

    async def api(self, request: Request) -> Response:
        """What answers at `/api`, and where the list of workflows is gone."""
        return self._json({"url": str(request.base_url).rstrip("/") + "/api", "version": self.world.dialect.default})

    async def versions(self, _: Request) -> Response:
        """Every version it speaks."""
        return self._json({"versions": self.world.dialect.versions, "default": self.world.dialect.default})

    async def default(self, _: Request) -> Response:
        """The version it speaks unasked."""
        return self._json({"default": self.world.dialect.default})

    async def me(self, request: Request) -> Response:
        """Whom the request acts as."""
        name = account(request).name
        tree = {"provider": "opencast", "name": name.title(), "email": f"{name}@example.org"}
        return answer(request, self.world.dialect, {**tree, "username": name, "userrole": f"ROLE_USER_{name.upper()}"})

    async def roles(self, request: Request) -> Response:
        """What that account may do."""
        return answer(request, self.world.dialect, sorted(account(request).roles))

    def _json(self, tree: Any) -> Response:
        return Response(self.world.dialect.write(tree), headers={"content-type": "application/json"})


@define(eq=False)
class DefinitionRoutes:
    """`/api/workflow-definitions`."""

    world: OpencastWorld
    listings: Listings

    def routes(self) -> list[Route]:
        """The routes of the release."""
        return [
            Route("/api/workflow-definitions", self.page),
            Route("/api/workflow-definitions/{id}", self.get),
        ]

    async def page(self, request: Request) -> Response:
        """One page; all of them unless a limit is given."""
        tags = [value for name, value in criteria(first(request, "filter")) if name == "tag"]
        found = [d for d in self.world.definitions.values() if set(tags) <= set(d.tags)]
        key, descends = _sort(request, _DEFINITION_KEYS) or (_DEFINITION_KEYS["title"], False)
        shown = sorted(found, key=key, reverse=descends)[window(request, None)]
        return self.listings.answer(request, [self._tree(request, d) for d in shown])

    async def get(self, request: Request) -> Response:
        """One of them."""
        definition = self.world.definitions.get(request.path_params["id"])
        if definition is None:
            raise plain(404, f"Cannot find workflow definition with id '{request.path_params['id']}'.")
        return answer(request, self.world.dialect, self._tree(request, definition))

    def _tree(self, request: Request, definition: Definition) -> dict[str, Any]:
        return definition_tree(
            definition,
            self.world.dialect,
            operations=flag(request, "withoperations"),
            panel=flag(request, "withconfigurationpanel"),
            panel_json=flag(request, "withconfigurationpaneljson"),
        )


_DEFINITION_KEYS: dict[str, Callable[[Definition], Any]] = {
    "identifier": lambda d: d.identifier,
    "title": lambda d: d.title.lower(),
    "displayorder": lambda d: d.display_order,
}


def _sort(request: Request, keys: dict[str, Callable[..., Any]]) -> tuple[Callable[..., Any], bool] | None:
    try:
        found = sorting(first(request, "sort"), keys)
    except BadCriterionError as error:
        raise labelled(request, 400, str(error)) if str(error) else bare(400) from None
    return (keys[found[-1][0]], found[-1][1]) if found else None


@define(eq=False)
class EventRoutes:
    """`/api/events`: the way to find busy events where workflows are not listed."""

    world: OpencastWorld
    listings: Listings

    def routes(self) -> list[Route]:
        """The routes of the release."""
        return [Route("/api/events", self.page, methods=["GET"])]

    async def page(self, request: Request) -> Response:
        """One page of events, without the ids of their workflows."""
        self.world.engine.advance()
        passes = self._test(criteria(first(request, "filter")))
        viewer = account(request)
        found = (row for row in self.world.event_index.rows() if passes(row) and viewer.may(row[0].readers))
        part, sort = window(request, None), _sort(request, _EVENT_KEYS)
        shown = islice(arranged(found, sort[0], descends=sort[1]) if sort else found, part.start, part.stop)
        return self.listings.answer(request, [_event_tree(*row) for row in shown])

    def _test(self, wanted: Iterable[tuple[str, str]]) -> Callable[[Row], bool]:
        """Several of one name are alternatives; different names are all to be met; unknown ones are ignored."""
        known: dict[str, list[str]] = {}
        for name, value in wanted:
            if name in _EVENT_TESTS:
                known.setdefault(name, []).append(value)
        return lambda row: all(any(_EVENT_TESTS[name](*row, v) for v in values) for name, values in known.items())


_EVENT_TESTS: dict[str, Callable[[Event, str, str], bool]] = {
    "identifier": lambda e, _, v: e.identifier == v,
    "status": lambda _, state, v: _status(state) == v,
    "title": lambda e, _, v: v.lower() in e.title.lower(),
    "textFilter": lambda e, _, v: v.lower() in f"{e.identifier}\n{e.title}\n{e.creator}\n{e.series_title}".lower(),
    "series": lambda e, _, v: e.series == v,
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
        "duration": 2_700_000,
        "location": "hall-1",
        "source": "",
        "rightsholder": "",
        "status": _status(state),
        "processing_state": state.upper(),
        "publication_status": [],
        "has_previews": False,
        "archive_version": 1 + len(event.runs),
    }


def _status(state: str) -> str:
    return EVENT_STATUS.get(state, EVENT_STATUS["succeeded"])
