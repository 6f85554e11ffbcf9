"""An Opencast as an ASGI application: security in front, the External API and `/workflow` behind it."""

import re

from attrs import define
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workflow_async.sandbox.conditions import BrokenRecordError
from workflow_async.sandbox.opencast.auth import RefusedError
from workflow_async.sandbox.opencast.container import error_page, is_service, is_too_long, no_method, too_long
from workflow_async.sandbox.opencast.events import EventRoutes
from workflow_async.sandbox.opencast.internal import InternalRoutes
from workflow_async.sandbox.opencast.metadata_routes import AboutRoutes, DefinitionRoutes
from workflow_async.sandbox.opencast.responses import PAGING, RefusalError
from workflow_async.sandbox.opencast.state import OpencastState
from workflow_async.sandbox.opencast.workflows import WorkflowRoutes
from workflow_async.sandbox.page_responses import PageResponses

_ABOUT = re.compile("/api(/(version|info)(/.*)?)?")
"""The paths that speak v1.0.0 too."""
_NULL_CREATOR = "java.lang.IllegalArgumentException: Value of field 'creator' must not be null"
_LOGIN = "<!DOCTYPE html><html><head><title>Opencast</title></head><body><form></form></body></html>"


def application(world: OpencastState) -> Starlette:
    """The routes over a world."""
    pages = PageResponses(PAGING)
    groups = (
        WorkflowRoutes(world, pages),
        AboutRoutes(world),
        DefinitionRoutes(world, pages),
        EventRoutes(world, pages),
        InternalRoutes(world),
    )
    app = Starlette(
        routes=[route for group in groups for route in group.routes()],
        middleware=[Middleware(AuthMiddleware, world=world)],
        exception_handlers={RefusalError: _refuse, BrokenRecordError: _break, HTTPException: _lead_nowhere},
    )
    app.router.redirect_slashes = False
    return app


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError)
    return error.response()


async def _break(request: Request, _: Exception) -> Response:
    """The container's error for an exception of an endpoint. It closes the connection."""
    return error_page(request, 500, message=_NULL_CREATOR, headers={"connection": "close"})


async def _lead_nowhere(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    return no_method(error.status_code) if is_service(path) else error_page(request, error.status_code)


@define(eq=False)
class AuthMiddleware:
    """What a request passes before it gets to a route: session, login, roles, version."""

    app: ASGIApp
    world: OpencastState

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, with who it is and what it speaks, or turn it away."""
        request = Request(scope, receive)
        refusal = self._admit(request)
        await (refusal or self.app)(self._inner(scope), receive, self._with_session(request, send))

    def _admit(self, request: Request) -> Response | None:
        path = request.url.path
        if is_too_long(request):
            return too_long()
        if path == "/login.html":
            return Response(_LOGIN, headers={"content-type": "text/html"})
        try:
            request.state.account = self.world.access.enter(request)
        except RefusedError as refused:
            return refused.response
        if request.method == "OPTIONS" and is_service(path):
            return no_method(200)
        return self._negotiate(request)

    def _negotiate(self, request: Request) -> Response | None:
        path = request.url.path
        oldest = 0 if _ABOUT.fullmatch(path) else 1
        request.state.version = self.world.dialect.negotiate(request.headers.get("accept"), oldest)
        spoken = request.state.version or not path.startswith("/api")
        return None if spoken else Response(status_code=406)

    def _inner(self, scope: Scope) -> Scope:
        path = scope["path"]
        return {**scope, "path": path.rstrip("/")} if path.startswith("/api/") else scope

    def _with_session(self, request: Request, send: Send) -> Send:
        session = self.world.access.session(request)

        async def sending(message: Message) -> None:
            if session is not None and message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", f"JSESSIONID={session}; Path=/; HttpOnly")
            await send(message)

        return sending
