"""Tracks how far a request has got in a client that the caller owns."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from attrs import define, field

from workflow_async._core.backend import Request
from workflow_async._http.errors import (
    is_aiohttp_connecting,
    is_from_aiohttp,
    is_from_httpcore,
    is_from_mock,
    is_unconnected,
)
from workflow_async._http.trace import RequestTrace

SAFE_METHODS = frozenset({"GET", "HEAD"})
"""Methods that change nothing, so that it does not matter whether such a request was sent."""
RESENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods that aiohttp's session resends when a connection breaks. The last error is not the only one then."""
PUBLIC_HEADERS = frozenset({"accept", "accept-encoding", "content-type", "user-agent", "x-requested-auth"})
"""Headers of this library that hold no secret."""


@define(eq=False)
class SendProgress:
    """The progress of one request."""

    request: Request
    trace: RequestTrace
    handed_over: bool = field(default=False, init=False)
    """True if the client has called its transport, or is about to. Request hooks ran before."""
    body_read: bool = field(default=False, init=False)
    """True if the body was read since the request was handed over, or at all if it was not handed over."""

    def is_unsent(self, chain: Sequence[BaseException]) -> bool:
        """Return True if no byte of the request can have been sent, given the exception chain."""
        if not self.handed_over:
            return not self.body_read
        if self.trace.begun:
            return False
        if is_from_aiohttp(chain):
            return self._is_aiohttp_reliable and is_aiohttp_connecting(chain, self.request)
        if is_from_httpcore(chain, self.trace):
            return not self.body_read
        return is_unconnected(chain[0]) and (self._is_transport_reliable or is_from_mock(chain))

    @property
    def _is_aiohttp_reliable(self) -> bool:
        return self.request.method in SAFE_METHODS or self.request.method not in RESENT_METHODS

    @property
    def _is_transport_reliable(self) -> bool:
        """True if an unknown transport can be believed when it reports that it did not connect.

        A request with a body that changes something cannot have been sent if its body was not read.
        """
        return self.request.method in SAFE_METHODS or (bool(self.request.body) and not self.body_read)

    def hand_over(self) -> None:
        """Record that the client calls its transport."""
        if not self.handed_over:
            self.handed_over, self.body_read = True, False

    def redacted(self, text: str) -> str:
        """Return an error message, or only the class name before it if the message repeats a secret header."""
        secrets = [value for name, value in self.request.headers if value and name not in PUBLIC_HEADERS]
        return text.partition(":")[0] if any(secret in text for secret in secrets) else text


@lru_cache
def message_class(library: Any) -> Any:
    """Return a request class of httpx or httpx2 whose objects report to their `SendProgress`."""
    body_class = _body_class(library)

    class Message(library.Request):  # type: ignore[misc]  # the base class depends on the client's library
        """A request. A client gets its `stream` just before it calls its transport."""

        def __init__(self, progress: SendProgress, *args: Any, **options: Any) -> None:
            self.progress = progress
            super().__init__(*args, **options)
            self._body = body_class(progress, super().content)
            progress.handed_over = progress.body_read = False

        @property
        def stream(self) -> Any:
            self.progress.hand_over()
            return self._body

        @stream.setter
        def stream(self, body: Any) -> None:
            self._body = body

        @property
        def content(self) -> Any:
            self.progress.body_read = True
            return super().content

        def read(self) -> Any:
            self.progress.body_read = True
            return super().read()

        async def aread(self) -> Any:
            self.progress.body_read = True
            return await super().aread()

    Message.__name__ = "Request"  # hooks print the name
    return Message


def _body_class(library: Any) -> Any:
    class Body(library.ByteStream):  # type: ignore[misc]  # likewise
        """The bytes of a request."""

        def __init__(self, progress: SendProgress, content: bytes) -> None:
            super().__init__(content)
            self.progress = progress

        def __iter__(self) -> Any:
            self.progress.body_read = True
            return super().__iter__()

        def __aiter__(self) -> Any:
            self.progress.body_read = True
            return super().__aiter__()

    return Body
