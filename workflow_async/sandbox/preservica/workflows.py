"""The workflow service of the sandbox's Preservica: `/sdb/rest/workflow`."""

from attrs import define
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from workflow_async.sandbox.engine import FakeWorkflow
from workflow_async.sandbox.page_responses import PageResponses
from workflow_async.sandbox.preservica import xml
from workflow_async.sandbox.preservica.query import InstanceQuery, bool_param, long_param, text_params, type_param
from workflow_async.sandbox.preservica.request import StartRequest
from workflow_async.sandbox.preservica.state import Archive
from workflow_async.sandbox.preservica.tokens import RefusalError
from workflow_async.sandbox.preservica.window import Window

BASE = "/sdb/rest/workflow"
XML = "application/xml"
NO_SUCH_ID = -1


def id_params(params: QueryParams) -> list[int]:
    """Return the ids in `workflowInstanceIds`. Text that is not a number becomes an id that no workflow has."""
    if "workflowInstanceIds" not in params:
        raise RefusalError(400, "Missing parameter: workflowInstanceIds")
    found = map(long_param, text_params(params, "workflowInstanceIds"))
    return [NO_SUCH_ID if id is None else id for id in found]


def block_params(params: QueryParams) -> list[str]:
    """Return the names of the optional blocks that the query asks for."""
    return [name for name in xml.OPTIONAL_BLOCKS if bool_param(params, name)]


@define(eq=False)
class WorkflowService:
    """Contexts and instances over HTTP."""

    archive: Archive
    pages: PageResponses
    renderer: xml.Renderer
    page_cap: int

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(f"{BASE}/contexts", self.contexts),
            Route(f"{BASE}/instances", self.instances),
            Route(f"{BASE}/instances", self.start, methods=["POST"]),
            Route(f"{BASE}/instances/terminate", self.terminate, methods=["POST"]),
            Route(f"{BASE}/instances/retry", self.retry, methods=["POST"]),
            Route(f"{BASE}/instances/{{id}}", self.instance),
        ]

    async def contexts(self, request: Request) -> Response:
        """Return the active contexts of a definition, of a type, or of both."""
        type, definition = type_param(request.query_params), request.query_params.get("workflowDefinitionId")
        active = (c for c in self.archive.contexts.values() if c.active)
        rows = (c for c in active if type in {None, c.type} and definition in {None, c.definition})
        return Response(xml.contexts(rows), media_type=XML)

    async def instances(self, request: Request) -> Response:
        """Return a page of the instances that match the filters."""
        params = request.query_params
        window = Window.read(params, default=self.page_cap, cap=self.page_cap)
        rows = InstanceQuery.read(params, self.archive).select(self.archive.engine.all())

        def render(page: list[FakeWorkflow]) -> Response:
            return Response(self.renderer.page(page, len(rows), block_params(params)), media_type=XML)

        return self.pages.respond(request, window.select(rows), render)

    async def instance(self, request: Request) -> Response:
        """Return one instance by its id."""
        id = long_param(request.path_params["id"])
        run = None if id is None else self.archive.engine.get(id)
        if run is None:
            raise RefusalError(404, f"No workflow instance {request.path_params['id']}")
        return Response(self.renderer.instance(run, block_params(request.query_params)), media_type=XML)

    async def start(self, request: Request) -> Response:
        """Start one workflow. The response has its id."""
        if "xml" not in request.headers.get("content-type", ""):
            raise RefusalError(415, "The body must be application/xml")
        start = StartRequest.read(await request.body())
        context = self.archive.find_context(start.context_id, start.context_name)
        if context is None:
            raise RefusalError(404, f"No workflow context {start.context_id or start.context_name}")
        run = self.archive.start_workflow(context, start.parameters, start.correlation)
        return Response(self.renderer.instance(run), status_code=201, media_type=XML)

    async def terminate(self, request: Request) -> Response:
        """Accept a request to terminate instances, which end later."""
        self.archive.terminate(id_params(request.query_params))
        return Response(status_code=202)

    async def retry(self, request: Request) -> Response:
        """Resume failed and suspended instances: the given ones, or all if no id is given."""
        ids = id_params(request.query_params) or self.archive.retryable()
        return Response(xml.retry_result(*self.archive.retry(ids)), media_type=XML)
