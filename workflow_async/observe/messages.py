"""What a middleware sees of a request and of its response. Neither can hold a credential. Pure."""

from collections.abc import Awaitable, Callable, Mapping

from attrs import evolve, field, frozen

from workflow_async._records.record import Record

SAFE_HEADERS = frozenset(
    {
        *("accept-ranges", "age", "allow", "cache-control", "connection", "content-encoding"),
        *("content-language", "content-length", "content-type", "date", "etag", "expires", "keep-alive"),
        *("last-modified", "ratelimit", "ratelimit-limit", "ratelimit-policy", "ratelimit-remaining"),
        *("ratelimit-reset", "retry-after", "server", "server-timing", "traceparent", "transfer-encoding"),
        *("vary", "via", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    }
)
"""Headers of a response that a middleware sees. All others, such as cookies and redirects, may hold credentials."""
SAFE_ENDINGS = ("correlation-id", "request-id", "trace-id")
"""Endings of more names that a middleware sees, such as `x-request-id`."""


@frozen(kw_only=True)
class Request(Record):
    """A request as a middleware sees it. Its credentials are added after the last middleware, and its body is hidden.

    A middleware sends it as it is, or with more headers: `await send(request.with_headers({"traceparent": "00-…"}))`.
    """

    call: str
    """What the request is for, such as `workflows.get`."""
    method: str
    url: str
    """The complete URL. It never holds a credential, but its query may hold the texts of filters."""
    route: str
    """The path without values, such as `/api/workflows/{id}`. The same for all requests of a kind."""
    attempt: int
    """The number of the request within its call, from 1. Retries and the resend after a renewed login count."""
    headers: Mapping[str, str] = field(factory=dict, hash=False)
    """The headers by lower-case name, without credentials."""

    def with_headers(self, headers: Mapping[str, str]) -> "Request":
        """Return the request with more headers. Headers of the library cannot be replaced."""
        return evolve(self, headers={**self.headers, **{name.lower(): text for name, text in headers.items()}})


@frozen
class Reply(Record):
    """A response as a middleware sees it: no body, and no header that may hold a credential."""

    status: int
    headers: Mapping[str, str] = field(factory=dict, hash=False)
    """The headers by lower-case name."""
    bytes: int = 0
    """Number of bytes of the body after decompression."""


Send = Callable[[Request], Awaitable[Reply]]
"""Sends a request, through the inner middlewares first. Raises `TransportError` if there is no complete response."""
Middleware = Callable[[Request, Send], Awaitable[Reply]]
"""Runs around each request of a client. It sends the request once, or returns a reply of its own."""


def safe_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a response that a middleware may see."""
    return {name: text for name, text in headers.items() if name in SAFE_HEADERS or name.endswith(SAFE_ENDINGS)}
