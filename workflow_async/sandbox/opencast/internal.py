"""The routes under `/workflow`, for administrators, in the JSON that Jettison makes of XML."""

from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Any

from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workflow_async.sandbox.engine import FakeWorkflow
from workflow_async.sandbox.opencast.container import with_allow_header
from workflow_async.sandbox.opencast.event import Event
from workflow_async.sandbox.opencast.filter import Document
from workflow_async.sandbox.opencast.jettison import workflow, wrapped
from workflow_async.sandbox.opencast.json import STATES, WORKFLOW_STATES
from workflow_async.sandbox.opencast.responses import empty_error, int_param, text_error, text_param, workflow_id
from workflow_async.sandbox.opencast.state import OpencastState

DEFAULT_LIMIT = 20
_TEXT = frozenset({"text/plain", "text/*", "*/*"})


@define(eq=False)
class InternalRoutes:
    """The routes of `/workflow` that a client can use."""

    state: OpencastState

    def routes(self) -> list[Route]:
        """Return the routes of the release."""
        both = [
            Route("/workflow/instance/{id}.json", self.instance),
            Route("/workflow/count", self.count),
        ]
        if self.state.rules.listing:
            return [*both, Route("/workflow/instances.json", self.listed)]
        return [
            *both,
            Route("/workflow/mediaPackage/{event}/instances.json", self.instances),
            Route("/workflow/mediaPackage/{event}/currentInstance.json", self.current),
            Route("/workflow/mediaPackage/{event}/hasActiveWorkflows", self.active),
        ]

    async def instances(self, request: Request) -> Response:
        """Return every workflow of an event."""
        self.state.engine.advance()
        event = self.state.events.get(request.path_params["event"])
        runs = self.state.workflows_of(event) if event is not None else []
        return self._json({"workflows": wrapped("workflow", [self._tree(run) for run in runs])})

    async def current(self, request: Request) -> Response:
        """Return the active workflow of an event."""
        run = self.state.active_workflow(self._event(request))
        if run is None:
            raise empty_error(404)
        return self._json({"workflow": self._tree(run)})

    async def active(self, request: Request) -> Response:
        """Return "true" if an event has an active workflow, else "false"."""
        if not _accepts_text(request):
            return with_allow_header(404)
        event = self.state.events.get(request.path_params["event"])
        busy = event is not None and self.state.active_workflow(event) is not None
        return Response("true" if busy else "false", headers={"content-type": "text/plain"})

    async def instance(self, request: Request) -> Response:
        """Return one workflow by its id."""
        run = self.state.engine.get(workflow_id(request))
        if run is None:
            raise text_error(404, "The resource you requested does not exist.")
        return self._json({"workflow": self._tree(run)})

    async def count(self, request: Request) -> Response:
        """Return the number of workflows, in all states or in one."""
        if not _accepts_text(request):
            return with_allow_header(404)
        state = text_param(request, "state")
        if state and state.lower() not in {s for s in WORKFLOW_STATES if s.upper() == state}:
            raise empty_error(400)
        if self.state.rules.listing:
            found = self._search([state], [text_param(request, "operation")])
            return Response(str(len(found)), headers={"content-type": "text/plain"})
        runs = [run for run in self.state.engine.all() if not state or STATES[run.status] == state.lower()]
        return Response(str(len(runs)), headers={"content-type": "text/plain"})

    async def listed(self, request: Request) -> Response:
        """Return a page of the index, which is late, with the total. The parameter `compact` is ignored."""
        states, operations = (request.query_params.getlist(name) for name in ("state", "op"))
        found = self._search(takewhile(_is_state, states), operations, text_param(request, "workflowdefinition"))
        wanted, page = (int_param(request, name) for name in ("count", "startPage"))
        size = wanted if wanted > 0 else DEFAULT_LIMIT
        counts = {"startPage": page, "count": size, "searchTime": 0, "totalCount": len(found)}
        rows = [self._tree(document.run) for document in found[page * size : (page + 1) * size]]
        return self._json({"workflows": {**counts, **(wrapped("workflow", rows) or {})}})

    def _search(self, states: Iterable[str], operations: Iterable[str], definition: str = "") -> list[Document]:
        """Return the indexed workflows that pass the filters. The index is late and ignores case."""
        self.state.workflow_index.refresh(self.state.engine)
        passes_state, passes_operation = _term_test(states), _term_test(operations)
        return [
            document
            for document in self.state.workflow_index.search("", "")
            if passes_state(document.state)
            and passes_operation(document.operation)
            and definition.lower() in {"", document.definition.lower()}
        ]

    def _event(self, request: Request) -> Event:
        event = self.state.events.get(request.path_params["event"])
        if event is None:
            raise empty_error(404)
        return event

    def _tree(self, run: FakeWorkflow) -> dict[str, Any]:
        event, definition = self.state.events[run.subject], self.state.definitions.get(run.definition)
        return workflow(run, event, definition, self.state.rules, self.state.utc_offset)

    def _json(self, tree: Any) -> Response:
        return Response(self.state.rules.write(tree), headers={"content-type": "application/json"})


def _is_state(term: str) -> bool:
    """Return True for the name of a state, with a sign or without. The server ignores all terms from any other on."""
    return not term or term.removeprefix("-").lower() in WORKFLOW_STATES


def _term_test(terms: Iterable[str]) -> Callable[[str], bool]:
    """Return the test for the values of a repeated parameter. A value that begins with - excludes."""
    words = [term.lower() for term in terms if term]
    excluded = {word[1:] for word in words if word.startswith("-")}
    included = {word for word in words if not word.startswith("-")}
    return lambda value: (not included or value.lower() in included) and value.lower() not in excluded


def _accepts_text(request: Request) -> bool:
    """Return True if the client accepts plain text. Routes that write plain text respond with 404 if not."""
    kinds = request.headers.get("accept", "*/*").split(",")
    return any(kind.partition(";")[0].strip().lower() in _TEXT for kind in kinds)
