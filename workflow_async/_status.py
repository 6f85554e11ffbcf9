"""What a status means: an answer that is no success becomes its typed error. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from html import unescape
from http import HTTPStatus

from workflow_async._call import Call, Reply
from workflow_async._retry import retry_after
from workflow_async.errors import (
    BODY_CUT,
    BadRequest,
    CallError,
    Conflict,
    Forbidden,
    NotAcceptable,
    NotFound,
    RateLimited,
    Redirected,
    ServerFault,
    StartConflict,
    StartForbidden,
    StartInvalid,
    StartLimited,
    StartNotFound,
    StartRejected,
    StartUnauthorized,
    StatusError,
    Unauthorized,
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
"""What a start ends with, by what any other call would."""
REDIRECTS = range(300, 400)
SERVER_FAULTS = range(500, 600)
PAGE = re.compile("<html|<!doctype", re.IGNORECASE)
TAG = re.compile("<[^>]*>?")


def refusal(call: Call[object], reply: Reply) -> CallError | None:
    """The error an answer stands for, or None if it is the success the call hopes for."""
    if reply.status in call.success:
        return None
    error = call.refusals.get(reply.status, status_error)(reply)
    error.retry_after = retry_after(reply.headers)
    return error


def status_error(reply: Reply) -> StatusError:
    """The answer as an error of the kind its status stands for."""
    text = reply.body.decode("utf-8", "replace")[:BODY_CUT]
    return _kind(reply)(reply.status, text, message(text))


def rejection(reply: Reply) -> StartRejected:
    """The answer as what a start that was refused ends with."""
    found = status_error(reply)
    return REJECTED.get(type(found), StartRejected)(found.status, found.body, found.message)


REJECTIONS: Mapping[int, Callable[[Reply], CallError]] = {
    status: rejection for status in range(300, 500) if status != HTTPStatus.SEE_OTHER
}
"""What a refusal means to a start: it has not happened. Who says "see other" may have carried it out."""


def unauthorized(reply: Reply) -> bool:
    """Whether the server wants (other) credentials: 401, or Opencast's redirect to its login page."""
    return reply.status == HTTPStatus.UNAUTHORIZED or (reply.status in REDIRECTS and _to_login(reply))


def message(text: str) -> str:
    """The server's sentence in a body, whatever Content-Type it came with; "" for HTML or nothing."""
    text = text.strip()
    if text.startswith("{"):
        return _json_message(text)
    return _markup_message(text) if text.startswith("<") else text


def _kind(reply: Reply) -> type[StatusError]:
    if unauthorized(reply):
        return Unauthorized
    if reply.status in REDIRECTS:
        return Redirected
    return BY_STATUS.get(reply.status, ServerFault if reply.status in SERVER_FAULTS else StatusError)


def _to_login(reply: Reply) -> bool:
    return re.split("[?#;]", reply.headers.get("location", ""), maxsplit=1)[0].endswith("/login.html")


def _markup_message(text: str) -> str:
    """What an XML document says, whatever its elements are called; a page says nothing."""
    return "" if PAGE.search(text) else " ".join(unescape(TAG.sub(" ", text)).split())


def _json_message(text: str) -> str:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return text
    found = tree.get("message") if isinstance(tree, dict) else None
    return found if isinstance(found, str) else text
