"""The token services of Preservica, and the authentication in front of all other services."""

from collections.abc import Callable
from urllib.parse import parse_qsl

from attrs import define
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from workflow_async.sandbox.preservica import xml
from workflow_async.sandbox.preservica.tokens import Accounts, Form, RefusalError

BASE = "/api/accesstoken"
HEADER = "Preservica-Access-Token"


async def read_form(request: Request) -> Form:
    """Return the fields of a form in the body. Preservica has ignored the query string since 6.2."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))


async def refusal_response(request: Request, error: Exception) -> Response:
    """Return an error in the format of the service that was called."""
    assert isinstance(error, RefusalError)
    if request.url.path.startswith("/sdb/"):
        return Response(xml.refusal(error.message), error.status, media_type="application/xml")
    return JSONResponse(error.body, error.status)


async def unwritable_record(_: Request, __: Exception) -> Response:
    """Return an empty 500 for a record that cannot be written."""
    return Response(status_code=500)


@define(eq=False)
class AuthMiddleware:
    """Refuses every request without a valid token, except to the token services."""

    app: ASGIApp
    accounts: Accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with 401."""
        app = self.app if scope["type"] != "http" or self._is_authorized(Request(scope)) else UNAUTHORIZED
        await app(scope, receive, send)

    def _is_authorized(self, request: Request) -> bool:
        return request.url.path.startswith(f"{BASE}/") or self.accounts.is_valid(request.headers.get(HEADER))


UNAUTHORIZED = JSONResponse({"success": False, "message": "Access token is missing or has expired"}, 401)


@define(eq=False)
class TokenService:
    """Logins, refreshes and the details of the user."""

    accounts: Accounts

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            self._token_route("login", self.accounts.login),
            self._token_route("complete-2fa", self.accounts.complete_two_factor),
            self._token_route("acquire-external", self.accounts.acquire_external),
            Route(f"{BASE}/refresh", self.refresh, methods=["POST"]),
            Route("/api/user/details", self.user),
            Route("/api/entity/versiondetails/version", self.version),
        ]

    async def refresh(self, request: Request) -> Response:
        """Exchange a refresh token for a new pair of tokens."""
        return JSONResponse(self.accounts.refresh(await read_form(request), request.headers.get(HEADER)))

    async def user(self, _: Request) -> Response:
        """Return the details of the user."""
        return JSONResponse(self.accounts.user_details())

    async def version(self, _: Request) -> Response:
        """Return the version of Preservica."""
        return Response(xml.version(), media_type="application/xml")

    def _token_route(self, name: str, exchange: Callable[[Form], dict[str, object]]) -> Route:
        async def endpoint(request: Request) -> Response:
            return JSONResponse(exchange(await read_form(request)))

        return Route(f"{BASE}/{name}", endpoint, methods=["POST"])
