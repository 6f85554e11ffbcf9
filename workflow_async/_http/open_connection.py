"""Sends requests on a connection that httpcore has opened, with h11 on its network stream.

httpcore opens a connection, and with it the TLS or the tunnel, and sends the first request. Its own code for later
requests uses the same parser. But it takes three locks, each of which costs a turn of the event loop, and five trace
events for each request. See https://www.encode.io/httpcore/extensions/#network_stream.
"""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import h11
from attrs import define, field

from workflow_async._core.call import Reply
from workflow_async._http.asyncio_stream import READ_SIZE
from workflow_async._http.body import read_bounded
from workflow_async._http.pool import merge_headers
from workflow_async.settings import Limits

if TYPE_CHECKING:
    import httpcore

MAX_HEAD = 100 * 2**10
"""Bytes of the head of a response, as in httpcore."""


@define(eq=False)
class OpenConnection:
    """The network stream of a connection that is idle and reusable, with the state of the protocol on it."""

    library: ModuleType
    stream: "httpcore.AsyncNetworkStream"
    limits: Limits
    _protocol: h11.Connection = field(factory=lambda: h11.Connection(h11.CLIENT, MAX_HEAD), init=False)
    _expires: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._expires = time.monotonic() + self.limits.keepalive

    @property
    def is_open(self) -> bool:
        """True if the last response allows another request."""
        return self._protocol.our_state is h11.IDLE

    @property
    def is_usable(self) -> bool:
        """True if another request can be sent: the server has neither closed the connection nor sent more bytes."""
        is_fresh = self.is_open and time.monotonic() <= self._expires
        return is_fresh and not self.stream.get_extra_info("is_readable")

    async def exchange(self, request: h11.Request, body: bytes | None) -> tuple[Reply, Iterable[tuple[bytes, bytes]]]:
        """Send a request. Return the reply, and its headers as they were received.

        The connection cannot be used any more if this raises, or if `is_open` is False afterwards.
        """
        sent = self._protocol.send(request) or b""
        if body:
            sent += self._protocol.send(h11.Data(body)) or b""
        sent += self._protocol.send(h11.EndOfMessage()) or b""
        with suppress(self.library.WriteError):  # a server may respond before it has read everything, and close
            await self.stream.write(sent)
        response = await self._response()
        headers = merge_headers(response.headers.raw_items())
        content = await read_bounded(self._chunks(), headers.get("content-encoding", ""), self.limits)
        self._end_cycle()
        return Reply(response.status_code, headers, content), response.headers

    def _end_cycle(self) -> None:
        """Prepare for the next request, if the connection may serve one and nothing came after the response."""
        states = {self._protocol.our_state, self._protocol.their_state}
        if states == {h11.DONE} and not self._protocol.trailing_data[0]:
            self._protocol.start_next_cycle()
            self._expires = time.monotonic() + self.limits.keepalive

    async def _response(self) -> h11.Response:
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                return event

    async def _chunks(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self._next_event(), h11.Data):
            yield event.data

    async def _next_event(self) -> Any:
        while (event := self._parsed_event()) is h11.NEED_DATA:
            received = await self.stream.read(READ_SIZE)
            if not received and self._protocol.their_state is h11.SEND_RESPONSE:
                raise self.library.RemoteProtocolError("Server disconnected without sending a response.")
            self._protocol.receive_data(received)
        return event

    def _parsed_event(self) -> Any:
        try:
            return self._protocol.next_event()
        except h11.RemoteProtocolError as error:
            raise self.library.RemoteProtocolError(str(error)) from error


class RequestHeads:
    """Makes the heads of requests. Most of them have the headers of the one before, which h11 has checked.

    `repr` does not show the headers (see `Secret`).
    """

    __slots__ = ("_checked", "_last")

    def __init__(self) -> None:
        self._last: list[tuple[bytes, bytes]] = []
        self._checked: Any = None

    def make(self, method: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> h11.Request:
        """Return the head of a request. Raise `h11.LocalProtocolError` if it cannot be sent."""
        if headers == self._last:
            return h11.Request(method=method, target=target, headers=self._checked)
        head = h11.Request(method=method, target=target, headers=headers)
        self._last, self._checked = headers, head.headers
        return head


@lru_cache(maxsize=8)
def is_mocked(send: Any, library: str) -> bool:
    """Return True if the method of a library that sends a request was replaced, for example by respx."""
    return type(send) is not FunctionType or send.__globals__["__name__"].partition(".")[0] != library
