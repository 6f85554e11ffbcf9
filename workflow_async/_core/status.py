"""Maps HTTP status codes to exceptions. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from html import unescape
from http import HTTPStatus

from workflow_async._core.call import Call, Replay, Reply
from workflow_async._core.retry import retry_after
from workflow_async.errors import (
    BODY_CUT,
    BadRequest,
    CallError,
    Conflict,
    Forbidden,
    ForeignResponse,
    NotAcceptable,
    NotFound,
    RateLimited,
    ServerError,
    StartConflict,
    StartForbidden,
    StartInvalid,
    StartLimited,
    StartNotFound,
    StartRejected,
    StartUnauthorized,
    StatusError,
    Unauthorized,
    UnexpectedRedirect,
)

BY_STATUS: dict[int, type[StatusError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    406: NotAcceptable,
    409: Conflict,
    429: RateLimited,
}
REJECTED: dict[type[StatusError], type[StartRejected]] = {
    BadRequest: StartInvalid,
    Unauthorized: StartUnauthorized,
    Forbidden: StartForbidden,
    NotFound: StartNotFound,
    Conflict: StartConflict,
    RateLimited: StartLimited,
}
"""The error of a start, by the error that any other call would raise."""
REDIRECTS = range(300, 400)
SERVER_FAULTS = range(500, 600)
HTTP_ERRORS = range(400, 600)
TARGET_CUT = 300
"""Number of characters of a redirect's target that an error keeps."""
PAGE = re.compile("<html|<!doctype", re.IGNORECASE)
TAG = re.compile("<[^>]*>?")


def error_for(call: Call[object], reply: Reply) -> CallError | None:
    """Return the error for a response, or None if the status is a success of this call."""
    if reply.status in call.success:
        return None
    error = call.refusals.get(reply.status, partial(_default_error, call))(reply)
    error.retry_after = retry_after(reply.headers)
    return error


def _default_error(call: Call[object], reply: Reply) -> CallError:
    if reply.status in HTTP_ERRORS:
        return status_error(reply)
    return _redirect(call, reply) if reply.status in REDIRECTS else foreign_response(reply)


def foreign_response(reply: Reply) -> ForeignResponse:
    """Return the error for a response that the API did not write."""
    text = reply.body.decode("utf-8", "replace")[:BODY_CUT]
    cls = UnexpectedRedirect if reply.status in REDIRECTS else ForeignResponse
    return cls(
        reply.status,
        text,
        error_message(text),
        content_type=reply.headers.get("content-type", ""),
        location=_redirect_target(reply.headers.get("location", "")),
    )


def _redirect(call: Call[object], reply: Reply) -> CallError:
    """Return the error for a redirect. Only the API's own redirect to its login page is a refusal."""
    if not (call.signature.redirects_to_login and _to_login(reply)):
        return foreign_response(reply)
    text = reply.body.decode("utf-8", "replace")[:BODY_CUT]
    cls = StartUnauthorized if call.refusals is REJECTIONS else Unauthorized
    return cls(reply.status, text, error_message(text))


def _redirect_target(location: str) -> str:
    """Return the target of a redirect without user information, query and fragment, which may hold secrets."""
    target = re.split("[?#]", location, maxsplit=1)[0]
    return re.sub(r"//[^/]*@", "//", target)[:TARGET_CUT]


def status_error(reply: Reply) -> StatusError:
    """Return the error for the status of a response."""
    text = reply.body.decode("utf-8", "replace")[:BODY_CUT]
    return _class_of(reply)(reply.status, text, error_message(text))


def start_error(reply: Reply) -> StartRejected:
    """Return the error for a response that refused a start."""
    error = status_error(reply)
    return REJECTED.get(type(error), StartRejected)(error.status, error.body, error.message)


REJECTIONS: Mapping[int, Callable[[Reply], CallError]] = dict.fromkeys(range(400, 500), start_error)
"""The errors of a start by status. Each of these statuses means that the start did not happen."""


def is_unauthorized(call: Call[object], reply: Reply) -> bool:
    """Return True if other credentials may help: for 401, and for a redirect to a login page.

    A server that has carried out a POST may redirect too. For a start, a redirect to a login page counts only if the
    API is known to refuse in this way.
    """
    if reply.status == HTTPStatus.UNAUTHORIZED:
        return True
    is_trusted = call.signature.redirects_to_login or call.replay is not Replay.ONCE
    return is_trusted and reply.status in REDIRECTS and _to_login(reply)


def is_login_page(call: Call[object], reply: Reply) -> bool:
    """Return True for an HTML page with a success status. An error may well be a page without being a login page."""
    return reply.is_page and reply.status in call.success and call.replay is not Replay.ONCE


def may_be_expired(call: Call[object], reply: Reply, *, on_redirect: bool) -> bool:
    """Return True if a response may mean that the credentials have expired. With `on_redirect`, any redirect may."""
    redirected = on_redirect and reply.status in REDIRECTS and call.replay is Replay.SAFE
    return redirected or is_unauthorized(call, reply) or is_login_page(call, reply)


def error_message(text: str) -> str:
    """Return the server's message in a body, whatever its Content-Type. "" for HTML or an empty body."""
    text = text.strip()
    if text.startswith("{"):
        return _json_message(text)
    return _markup_message(text) if text.startswith("<") else text


def _class_of(reply: Reply) -> type[StatusError]:
    return BY_STATUS.get(reply.status, ServerError if reply.status in SERVER_FAULTS else StatusError)


def _to_login(reply: Reply) -> bool:
    return re.split("[?#;]", reply.headers.get("location", ""), maxsplit=1)[0].endswith("/login.html")


def _markup_message(text: str) -> str:
    """Return the text of an XML document, whatever its elements are called. "" for an HTML page."""
    return "" if PAGE.search(text) else " ".join(unescape(TAG.sub(" ", text)).split())


def _json_message(text: str) -> str:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return text
    message = tree.get("message") if isinstance(tree, dict) else None
    if not isinstance(message, str):
        return text
    return unescape(message) if "servlet" in tree else message  # Jetty escapes its own errors as for XML
