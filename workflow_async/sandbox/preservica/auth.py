"""The way into the sandbox's Preservica: the token services, and the guard in front of all others."""

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
    """The fields of a form in the body; the query string has not counted since 6.2."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))


async def refusal_response(request: Request, error: Exception) -> Response:
    """Say no in the language of the service that was asked."""
    assert isinstance(error, RefusalError)
    if request.url.path.startswith("/sdb/"):
        return Response(xml.refusal(error.message), error.status, media_type="application/xml")
    return JSONResponse(error.body, error.status)


async def unwritable_record(_: Request, __: Exception) -> Response:
    """Answer a record that cannot be written with an empty 500."""
    return Response(status_code=500)


@define(eq=False)
class AuthMiddleware:
    """Lets nobody past without a token that holds, except to where tokens are given out."""

    app: ASGIApp
    accounts: Accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        app = self.app if scope["type"] != "http" or self._is_authorized(Request(scope)) else UNAUTHORIZED
        await app(scope, receive, send)

    def _is_authorized(self, request: Request) -> bool:
        return request.url.path.startswith(f"{BASE}/") or self.accounts.is_valid(request.headers.get(HEADER))


UNAUTHORIZED = JSONResponse({"success": False, "message": "Access token is missing or has expired"}, 401)


@define(eq=False)
class TokenService:
    """Logins, refreshes, and what a user is."""

    accounts: Accounts

    def routes(self) -> list[Route]:
        """Every operation with its path."""
        return [
            self._token_route("login", self.accounts.login),
            self._token_route("complete-2fa", self.accounts.complete_two_factor),
            self._token_route("acquire-external", self.accounts.acquire_external),
            Route(f"{BASE}/refresh", self.refresh, methods=["POST"]),
            Route("/api/user/details", self.user),
            Route("/api/entity/versiondetails/version", self.version),
        ]

    async def refresh(self, request: Request) -> Response:
        """Trade a refresh token for a new pair."""
        return JSONResponse(self.accounts.refresh(await read_form(request), request.headers.get(HEADER)))

    async def user(self, _: Request) -> Response:
        """Who the token's owner is."""
        return JSONResponse(self.accounts.user_details())

    async def version(self, _: Request) -> Response:
        """Which Preservica this claims to be."""
        return Response(xml.version(), media_type="application/xml")

    def _token_route(self, name: str, trade: Callable[[Form], dict[str, object]]) -> Route:
        async def endpoint(request: Request) -> Response:
            return JSONResponse(trade(await read_form(request)))

        return Route(f"{BASE}/{name}", endpoint, methods=["POST"])
