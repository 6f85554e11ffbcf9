"""The routes of the External API about the API itself, the account and workflow definitions."""

from collections.abc import Callable
from typing import Any

from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workflow_async.sandbox.opencast.definitions import Definition
from workflow_async.sandbox.opencast.filter import split_filter
from workflow_async.sandbox.opencast.jettison import ORGANIZATION
from workflow_async.sandbox.opencast.json import definition_tree
from workflow_async.sandbox.opencast.responses import (
    account,
    bool_param,
    json_response,
    page_slice,
    sort_param,
    text_error,
    text_param,
)
from workflow_async.sandbox.opencast.state import OpencastState
from workflow_async.sandbox.page_responses import PageResponses


@define(eq=False)
class AboutRoutes:
    """`/api`, `/api/version` and `/api/info`."""

    state: OpencastState

    def routes(self) -> list[Route]:
        """Return the routes of the release."""
        same_document = [] if self.state.rules.listing or self.state.rules.gson else ["/api/workflows"]
        return [
            *(Route(path, self.api, methods=["GET"]) for path in ("/api", *same_document)),
            Route("/api/version", self.versions),
            Route("/api/version/default", self.default),
            Route("/api/info/me", self.me),
            Route("/api/info/me/roles", self.roles),
            Route("/api/info/organization", self.organization),
        ]

    async def api(self, request: Request) -> Response:
        """Return the document of `/api`, which Opencast 16 returns for the list of workflows too."""
        return self._json(
            {"url": str(request.base_url).rstrip("/") + "/api", "version": self.state.rules.default_version}
        )

    async def versions(self, _: Request) -> Response:
        """Return every version of the API."""
        return self._json({"versions": self.state.rules.versions, "default": self.state.rules.default_version})

    async def default(self, _: Request) -> Response:
        """Return the default version."""
        return self._json({"default": self.state.rules.default_version})

    async def me(self, request: Request) -> Response:
        """Return the account of the request."""
        name = account(request).name
        tree = {"provider": "opencast", "name": name.title(), "email": f"{name}@example.org"}
        return self._json({**tree, "username": name, "userrole": f"ROLE_USER_{name.upper()}"})

    async def roles(self, request: Request) -> Response:
        """Return the roles of that account."""
        return self._json(sorted(account(request).roles))

    async def organization(self, _: Request) -> Response:
        """Return the organization."""
        tree = {"id": ORGANIZATION, "name": "Opencast Project"}
        return self._json({**tree, "adminRole": "ROLE_ADMIN", "anonymousRole": "ROLE_ANONYMOUS"})

    def _json(self, tree: Any) -> Response:
        return Response(self.state.rules.write(tree), headers={"content-type": "application/json"})


@define(eq=False)
class DefinitionRoutes:
    """`/api/workflow-definitions`."""

    state: OpencastState
    pages: PageResponses

    def routes(self) -> list[Route]:
        """Return the routes of the release."""
        return [
            Route("/api/workflow-definitions", self.page),
            Route("/api/workflow-definitions/{id}", self.get),
        ]

    async def page(self, request: Request) -> Response:
        """Return one page, or all definitions if no limit is given."""
        tags = [value for name, value in split_filter(text_param(request, "filter")) if name == "tag"]
        found = [d for d in self.state.definitions.values() if set(tags) <= set(d.tags)]
        key, descends = sort_param(request, _DEFINITION_KEYS) or (lambda d: d.title.lower(), False)
        shown = sorted(found, key=key, reverse=descends)[page_slice(request, None)]
        rows = [self._tree(request, d) for d in shown]
        return self.pages.respond(request, rows, lambda page: json_response(request, self.state.rules, page))

    async def get(self, request: Request) -> Response:
        """Return one definition."""
        definition = self.state.definitions.get(request.path_params["id"])
        if definition is None:
            raise text_error(404, f"Cannot find workflow definition with id '{request.path_params['id']}'.")
        return json_response(request, self.state.rules, self._tree(request, definition))

    def _tree(self, request: Request, definition: Definition) -> dict[str, Any]:
        return definition_tree(
            definition,
            self.state.rules,
            operations=bool_param(request, "withoperations"),
            panel=bool_param(request, "withconfigurationpanel"),
            panel_json=bool_param(request, "withconfigurationpaneljson"),
        )


_DEFINITION_KEYS: dict[str, Callable[[Definition], Any]] = {
    "identifier": lambda d: d.identifier.encode("utf-16-be"),  # Java compares code units
    "title": lambda d: d.title.encode("utf-16-be"),
    "displayorder": lambda d: d.display_order,
}
