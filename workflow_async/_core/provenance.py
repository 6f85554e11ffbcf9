"""Decides what wrote a response: the API itself, or something between it and the client. Pure.

A workflow has vanished, a list is not supported, a start was refused, a user lacks a role: such conclusions are final.
Therefore only the API's own texts count. A proxy, an ingress, a server that is starting, or another web server (a wrong
base URL) sends the same statuses. Such a response says nothing about workflows and counts as an outage.
"""

import enum
import re
from collections.abc import Callable
from http import HTTPStatus

from attrs import field, frozen

from workflow_async._core.call import NO_MATCH, Call, Reply
from workflow_async.errors import (
    CallError,
    CountNotSupported,
    ForeignResponse,
    ListingNotSupported,
    RateLimited,
    StartRejected,
    StatusError,
    Unauthorized,
)

CLIENT_ERRORS = range(400, 500)
INCONCLUSIVE = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    }
)
"""Statuses that say nothing final about the API, whatever wrote them. 407 always comes from a proxy."""
NOT_SERVED = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE})
"""Statuses of a server that does not serve the path, or does not serve the path yet."""
CONTAINER_STATUSES = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""Statuses that the servlet container sends in its own format on behalf of the API."""
ABOUT_CLIENT = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_ACCEPTABLE})
"""Statuses that are about the user or the client.

If the control request gets the same status, the API sent both.
"""
GATEWAY_TEXT = re.compile(
    r"404 page not found|default backend - |no healthy upstream|upstream connect error|no available server",
    re.IGNORECASE,
)
"""Texts of common gateways: Go's net/http and Traefik, ingress-nginx, Envoy."""


class Author(enum.Enum):
    """What wrote a response."""

    API = "api"
    OTHER = "other"
    UNKNOWN = "unknown"
    """The text is not conclusive. If the API answers a control request now, the API wrote the response."""


PAGE = -1
"""Stands for the status of a control request that was answered with an HTML page and a success status.

A web server that answers every path with its start page does that, and so does a proxy during maintenance. Nothing in
the page tells them apart. If the page counted as a wrong base URL, a script would give up because of a maintenance. So
the page says neither that the API is there nor that it is absent, and the message names both possibilities.
"""


@frozen
class Control:
    """The request that finds out whether an API is there, and the name of the API for error messages."""

    name: str
    make_call: Callable[[], Call[object]] = field(repr=False)
    """Returns the request. A client that never sends it does not import what builds it."""
    other_name: str = ""
    """Another system that answers on the same paths."""
    other_text: re.Pattern[str] = field(default=NO_MATCH, repr=False)
    """Matches the beginning of refusals that only the other system writes."""

    def other_system(self, error: CallError) -> str:
        """Return the name of the other system if it wrote a refusal. "" otherwise."""
        refused = isinstance(error, Unauthorized) and self.other_text.match(error.body)
        return self.other_name if refused else ""


def is_final(error: CallError) -> bool:
    """Return True if an error is a final result: it would end a watch, a batch or a listing."""
    if isinstance(error, ListingNotSupported | CountNotSupported):
        return True
    if not isinstance(error, StatusError) or isinstance(error, ForeignResponse | Unauthorized | RateLimited):
        return False
    return error.status in CLIENT_ERRORS and error.status not in INCONCLUSIVE


def author(call: Call[object], reply: Reply, error: CallError) -> Author:
    """Decide what wrote the response that caused a final error.

    The outcome of a start rests on its response alone, so UNKNOWN is not returned for a start.
    """
    text, signature = reply.text, call.signature
    bare = reply.is_page or not text
    if GATEWAY_TEXT.match(text) or (reply.status not in CONTAINER_STATUSES and signature.container_text.match(text)):
        return Author.OTHER
    if signature.api_text.match(text):
        return Author.API
    if bare and reply.status in signature.always_with_text:
        return Author.OTHER
    if isinstance(error, StartRejected):
        return Author.OTHER if bare and reply.status in NOT_SERVED else Author.API
    return Author.UNKNOWN


def is_api_present(status: int, control: int) -> bool:
    """Return True if the status of the control request shows that the API is there and sent `status` itself."""
    return control == HTTPStatus.OK or (control == status and status in ABOUT_CLIENT)


def hint(api: str, base: str, control: int) -> str:
    """Return what a control request found out about a response that the API did not write."""
    if control == HTTPStatus.OK:
        return f"the {api} at {base} responds, so a proxy or a starting part of the server refused this path"
    if control == PAGE:
        seen = f"a web page came in place of the {api} at {base}"
        return f"{seen}: check the path of the base URL, or wait if the page is about maintenance"
    if not is_absent(control):
        return f"the {api} at {base} does not respond at the moment"
    return f"{absence(api, base)}: check the path of the base URL"


def is_absent(control: int) -> bool:
    """Return True if the status of the control request shows that the API is not at the base URL."""
    return control not in {0, PAGE, HTTPStatus.OK} and control < HTTPStatus.INTERNAL_SERVER_ERROR


def absence(api: str, base: str) -> str:
    """Return that an API is not at a base URL."""
    return f"no {api} at {base}"
