"""Defines what the transport needs of an HTTP backend."""

from collections.abc import Callable
from typing import Protocol

from attrs import define, field, frozen

from workflow_async._core.auth import Headers, SecretHeaders
from workflow_async._core.call import Call, Reply
from workflow_async.errors import NotSentInTime

USER_AGENT = "workflow-async"


@frozen
class Request:
    """One HTTP request."""

    method: str
    url: str
    headers: Headers = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    new_connection: bool = False
    """True to open a new connection.

    A server may close an idle connection at the moment of sending. The outcome of the request is unknown then.
    """
    connects: bool = True
    """False if no connection may be opened for the request. A mock may answer it all the same."""
    may_send: Callable[[], bool] | None = field(default=None, repr=False, eq=False)
    """Returns False once the request may no longer be sent. None if it may always be sent."""

    def check_may_send(self) -> None:
        """Raise `NotSentInTime` if the request may no longer be sent."""
        if self.may_send is not None and not self.may_send():
            raise NotSentInTime("the journal's time limit for sending this start passed before it was sent")


class Backend(Protocol):
    """Sends a request and returns the complete reply. Raises `TransportError` if there is none."""

    async def __call__(self, request: Request) -> Reply: ...
    async def reset(self) -> None:
        """Close every idle connection. One of them has returned the response to another request."""

    async def aclose(self) -> None: ...


def call_headers(call: Call[object], extra: Headers) -> Headers:
    """Return the headers of a call without those that authenticate it. `extra` are the same for all calls."""
    content_type = (("content-type", call.content_type),) if call.content_type else ()
    fixed = (("accept", call.accept), ("accept-encoding", "gzip"), ("user-agent", USER_AGENT))
    return (*fixed, *extra, *content_type)


@define
class RequestHeaders:
    """Makes the headers of requests. It keeps the last ones, because most requests have the same."""

    extra: Headers
    """Headers of every request."""
    _last_key: tuple[object, ...] = field(default=(), init=False, repr=False)
    _last: SecretHeaders = field(default=SecretHeaders(), init=False, repr=False)

    def of(self, call: Call[object], credentials: Headers) -> SecretHeaders:
        """Return the headers of a call with its credentials."""
        key = (call.accept, call.content_type, credentials)
        if key != self._last_key:
            self._last_key, self._last = key, SecretHeaders((*call_headers(call, self.extra), *credentials))
        return self._last
