"""Responses of the servlet container: error pages, and the refusal of long URLs."""

from collections.abc import Mapping
from html import escape

from starlette.requests import Request
from starlette.responses import Response

from workflow_async.sandbox.canned import ALLOW, CannedResponse

SERVICES = ("/api", "/workflow")
"""The paths of Opencast's servlets. The container answers all others."""
MAX_URL_BYTES = 8192
"""The longest path and query in bytes. Longer ones are refused before authentication."""
_HTML = frozenset({"text/html", "text/*", "*/*"})
_JSON = frozenset({"application/json", "text/json"})
_UNCACHED = {"cache-control": "must-revalidate,no-cache,no-store"}


def error_page(
    request: Request, status: int, *, message: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """Return the container's error in the form that the request accepts. No body if it accepts none."""
    path = request.url.path
    fields = {**_UNCACHED, **(headers or {})}
    kind = _accepted(request.headers.get("accept", "*/*"))
    if kind is None:
        return Response(status_code=status, headers=fields)
    form = CannedResponse.jetty_json if kind in _JSON else CannedResponse.jetty_html
    canned = form(status, escape(message).replace("&#x27;", "&apos;"))
    return Response(canned.content(path), status, {"content-type": canned.content_type or "", **fields})


def with_allow_header(status: int) -> Response:
    """Return an empty response with an Allow header, as for a path or a method without an endpoint."""
    return Response(status_code=status, headers={"allow": ALLOW})


def is_service(path: str) -> bool:
    """Return True if a servlet of Opencast serves the path."""
    return any(path == service or path.startswith(f"{service}/") for service in SERVICES)


def is_too_long(request: Request) -> bool:
    """Return True if the path and the query are longer than the container accepts."""
    return len(request.scope.get("raw_path") or b"") + len(request.scope["query_string"]) > MAX_URL_BYTES


def uri_too_long() -> Response:
    """Return the response to a URL that is too long."""
    page = "<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>"
    return Response(page, 414, {"content-type": "text/html;charset=iso-8859-1", "connection": "close"})


def _accepted(accept: str) -> str | None:
    kinds = (kind.partition(";")[0].strip().lower() for kind in accept.split(","))
    return next((kind for kind in kinds if kind in _HTML | _JSON), None)
