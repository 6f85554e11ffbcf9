"""Requests and responses of the External API: parameters, versioned JSON, and every form of refusal."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from workflow_async.sandbox.opencast.auth import Account
from workflow_async.sandbox.opencast.filter import BadCriterionError, parse_sort
from workflow_async.sandbox.opencast.releases import ReleaseRules

FORM = "application/x-www-form-urlencoded"
PAGING = frozenset({"limit", "offset"})
"""The query parameters that choose a page."""
INT = 2**31
LONG = 2**63


class RefusalError(Exception):
    """An error response."""

    def __init__(self, status: int, text: str = "", type: str | None = None) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text
        self.type = type

    def response(self) -> Response:
        """Return the response. Without a type it has no body."""
        return Response(self.text, self.status, {"content-type": self.type} if self.type else None)


def empty_error(status: int) -> RefusalError:
    """Return a refusal without a body."""
    return RefusalError(status)


def text_error(status: int, text: str) -> RefusalError:
    """Return a refusal in plain text."""
    return RefusalError(status, text, "text/plain")


def mislabelled_error(request: Request, status: int, text: str) -> RefusalError:
    """Return a refusal in plain text whose Content-Type is JSON, because the endpoint sets no type."""
    accept = request.headers.get("accept", "*/*")
    accepts_json = any(name in accept for name in ("application/json", "application/*", "*/*"))
    return RefusalError(status, text, "application/json" if accepts_json else version_media_type(request))


def version_media_type(request: Request) -> str:
    """Return the media type of the negotiated version."""
    return f"application/{request.state.version}+json"


def json_response(request: Request, rules: ReleaseRules, tree: Any, status: int = 200, **headers: str) -> Response:
    """Return JSON under the negotiated version."""
    return Response(rules.write(tree), status, {"content-type": version_media_type(request), **headers})


def account(request: Request) -> Account:
    """Return the account of the request."""
    found: Account = request.state.account
    return found


def bool_param(request: Request, name: str) -> bool:
    """Return a boolean of the query. Every value but `true` is False."""
    return request.query_params.getlist(name)[:1] != [] and text_param(request, name).lower() == "true"


def text_param(request: Request, name: str) -> str:
    """Return a parameter of the query. If it is repeated, the first value counts."""
    return next(iter(request.query_params.getlist(name)), "")


def int_param(request: Request, name: str) -> int:
    """Return a 32-bit integer of the query. 0 if it is missing. Refuse what is not such an integer with 404."""
    return _parse_int(text_param(request, name), INT)


def page_slice(request: Request, default: int | None) -> slice:
    """Return the slice of the requested page. `default` replaces a limit of 0 or less."""
    limit, offset = (int_param(request, name) for name in ("limit", "offset"))
    start = max(offset, 0)
    size = limit if limit > 0 else default
    return slice(start, None if size is None else start + size)


def sort_param(
    request: Request, keys: dict[str, Callable[..., Any]], criterion_name: str = "search"
) -> tuple[Callable[..., Any], bool] | None:
    """Return the sort key of the query, and True if it descends. None if the query has no sort."""
    try:
        found = parse_sort(text_param(request, "sort"), keys, criterion_name)
    except BadCriterionError as error:
        raise mislabelled_error(request, 400, str(error)) if str(error) else empty_error(400) from None
    return (keys[found[-1][0]], found[-1][1]) if found else None


def workflow_id(request: Request) -> int:
    """Return the id in the path. Refuse what is not a 64-bit integer with 404."""
    return _parse_int(request.path_params["id"], LONG)


def _parse_int(text: str, bound: int) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", text) or not -bound <= int(text) < bound:
        raise empty_error(404)
    return int(text)


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form. The first value of a name counts. Refuse other bodies with 415."""
    if request.headers.get("content-type", FORM).partition(";")[0].strip().lower() != FORM:
        raise empty_error(415)
    fields = parse_qs((await request.body()).decode(errors="replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}
