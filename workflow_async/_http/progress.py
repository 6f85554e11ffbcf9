"""How far a request got that a client of the caller's own carries."""

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

SAFE = frozenset({"GET", "HEAD"})
"""Methods that change nothing, so that it does not matter whether such a request was sent."""
SENT_TWICE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods that a session of aiohttp sends again by itself when a connection breaks, so the last error is not all."""
PUBLIC = frozenset({"accept", "accept-encoding", "content-type", "user-agent", "x-requested-auth"})
"""Headers of ours that hold no secret."""


@define(eq=False)
class SendProgress:
    """What is known of one request."""

    request: Request
    trace: RequestTrace
    handed_over: bool = field(default=False, init=False)
    """True if the client has called its transport, or is about to. The hooks for requests ran before."""
    taken: bool = field(default=False, init=False)
    """True if the body was read since the request was handed over, or at all as long as it was not."""

    def is_unsent(self, chain: Sequence[BaseException]) -> bool:
        """Return True if no byte of the request can have left, given the error and what led to it."""
        if not self.handed_over:
            return not self.taken
        if self.trace.begun:
            return False
        if is_from_aiohttp(chain):
            return self._may_trust_aiohttp and is_aiohttp_connecting(chain, self.request)
        if is_from_httpcore(chain, self.trace):
            return not self.taken
        return is_unconnected(chain[0]) and (self._cannot_have_left or is_from_mock(chain))

    @property
    def _may_trust_aiohttp(self) -> bool:
        return self.request.method in SAFE or self.request.method not in SENT_TWICE

    @property
    def _cannot_have_left(self) -> bool:
        """True if a transport that is not known, and says that it did not connect, can be believed.

        A request that changes something and has a body cannot have been sent as long as its body was not read.
        """
        return self.request.method in SAFE or (bool(self.request.body) and not self.taken)

    def hand_over(self) -> None:
        """Take note that the client calls its transport."""
        if not self.handed_over:
            self.handed_over, self.taken = True, False

    def without_secrets(self, said: str) -> str:
        """Return the words of an error, or only the kind of error if they repeat what proves who is asking."""
        secrets = [value for name, value in self.request.headers if value and name not in PUBLIC]
        return said.partition(":")[0] if any(secret in said for secret in secrets) else said


@lru_cache
def message_class(library: Any) -> Any:
    """Return a class of requests of httpx or httpx2 that tell their `SendProgress` what is done with them."""
    body_class = _body_class(library)

    class Message(library.Request):  # type: ignore[misc]  # the base is that of whichever library the client is from
        """A request. A client gets its `stream` just before it calls its transport."""

        def __init__(self, progress: SendProgress, *args: Any, **settings: Any) -> None:
            self.progress = progress
            super().__init__(*args, **settings)
            self._body = body_class(progress, super().content)
            progress.handed_over = progress.taken = False

        @property
        def stream(self) -> Any:
            self.progress.hand_over()
            return self._body

        @stream.setter
        def stream(self, body: Any) -> None:
            self._body = body

        @property
        def content(self) -> Any:
            self.progress.taken = True
            return super().content

        def read(self) -> Any:
            self.progress.taken = True
            return super().read()

        async def aread(self) -> Any:
            self.progress.taken = True
            return await super().aread()

    Message.__name__ = "Request"  # what a hook prints
    return Message


def _body_class(library: Any) -> Any:
    class Body(library.ByteStream):  # type: ignore[misc]  # likewise
        """The bytes of a request."""

        def __init__(self, progress: SendProgress, content: bytes) -> None:
            super().__init__(content)
            self.progress = progress

        def __iter__(self) -> Any:
            self.progress.taken = True
            return super().__iter__()

        def __aiter__(self) -> Any:
            self.progress.taken = True
            return super().__aiter__()

    return Body
