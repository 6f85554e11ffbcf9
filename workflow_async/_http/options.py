"""The keyword arguments that the clients of both systems have in common."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from workflow_async._core.auth import Secret
from workflow_async._http import HTTPBackend
from workflow_async.settings import Clock, Limits, Pace, Retry, Timeouts

if TYPE_CHECKING:
    import ssl

    from workflow_async._http.tls import TLS
    from workflow_async.observe import Middleware, OnEvent


class HTTPOptions(TypedDict, total=False):
    """How a client sends its requests, and what observes them."""

    retry: Retry
    timeouts: Timeouts
    limits: Limits
    clock: Clock
    http: HTTPBackend
    tls: "TLS | None"
    ssl_context: "ssl.SSLContext | None"
    proxy: str | Secret | None
    middleware: "Sequence[Middleware]"
    pace: Pace | None
    on_event: "OnEvent | None"
    allow_insecure_http: bool
