"""Opencast as an ASGI application: authentication, then the External API, `/workflow` and `/admin-ng`."""

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
from workflow_async.sandbox.opencast.admin_ui import AdminRoutes
from workflow_async.sandbox.opencast.auth import RefusedError
from workflow_async.sandbox.opencast.container import (
    error_page,
    is_service,
    is_too_long,
    uri_too_long,
    with_allow_header,
)
from workflow_async.sandbox.opencast.events import EventRoutes
from workflow_async.sandbox.opencast.internal import InternalRoutes
from workflow_async.sandbox.opencast.metadata_routes import AboutRoutes, DefinitionRoutes
from workflow_async.sandbox.opencast.responses import PAGING, RefusalError
from workflow_async.sandbox.opencast.state import OpencastState
from workflow_async.sandbox.opencast.workflows import WorkflowRoutes
from workflow_async.sandbox.page_responses import PageResponses

_ABOUT = re.compile("/api(/(version|info)(/.*)?)?")
"""The paths that support v1.0.0 too."""
_NULL_CREATOR = "java.lang.IllegalArgumentException: Value of field 'creator' must not be null"
_LOGIN = "<!DOCTYPE html><html><head><title>Opencast</title></head><body><form></form></body></html>"


def application(state: OpencastState) -> Starlette:
    """Return the application that serves a state."""
    pages = PageResponses(PAGING)
    groups = (
        WorkflowRoutes(state, pages),
        AboutRoutes(state),
        DefinitionRoutes(state, pages),
        EventRoutes(state, pages),
        InternalRoutes(state),
        AdminRoutes(state),
    )
    app = Starlette(
        routes=[route for group in groups for route in group.routes()],
        middleware=[Middleware(AuthMiddleware, state=state)],
        exception_handlers={
            RefusalError: _refusal_response,
            BrokenRecordError: _unwritable_record,
            HTTPException: _not_found,
        },
    )
    app.router.redirect_slashes = False
    return app


async def _refusal_response(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError)
    return error.response()


async def _unwritable_record(request: Request, _: Exception) -> Response:
    """Return the container's response to an exception of an endpoint. The container closes the connection."""
    return error_page(request, 500, message=_NULL_CREATOR, headers={"connection": "close"})


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    return with_allow_header(error.status_code) if is_service(path) else error_page(request, error.status_code)


@define(eq=False)
class AuthMiddleware:
    """Checks of a request before it gets to a route: URL length, session, login, roles, API version."""

    app: ASGIApp
    state: OpencastState

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its account and API version, or refuse it."""
        request = Request(scope, receive)
        refusal = self._refusal_of(request)
        await (refusal or self.app)(self._routed(scope), receive, self._with_session(request, send))

    def _refusal_of(self, request: Request) -> Response | None:
        path = request.url.path
        if is_too_long(request):
            return uri_too_long()
        if path == "/login.html":
            return Response(_LOGIN, headers={"content-type": "text/html"})
        try:
            request.state.account = self.state.access.authenticate(request)
        except RefusedError as refused:
            return refused.response
        if request.method == "OPTIONS" and is_service(path):
            return with_allow_header(200)
        return self._negotiate(request)

    def _negotiate(self, request: Request) -> Response | None:
        path = request.url.path
        oldest = 0 if _ABOUT.fullmatch(path) else 1
        request.state.version = self.state.rules.negotiate(request.headers.get("accept"), oldest)
        is_supported = request.state.version or not path.startswith("/api")
        return None if is_supported else Response(status_code=406)

    def _routed(self, scope: Scope) -> Scope:
        path = scope["path"]
        return {**scope, "path": path.rstrip("/")} if path.startswith("/api/") else scope

    def _with_session(self, request: Request, send: Send) -> Send:
        session = self.state.access.new_session(request)

        async def send_with_cookie(message: Message) -> None:
            if session is not None and message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", f"JSESSIONID={session}; Path=/; HttpOnly")
            await send(message)

        return send_with_cookie
