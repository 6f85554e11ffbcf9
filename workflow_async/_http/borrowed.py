"""Sends requests through an `AsyncClient` of httpx or httpx2 that the caller owns and closes."""

import asyncio
import sys
from collections.abc import AsyncIterable
from types import ModuleType
from typing import TYPE_CHECKING

from attrs import define, field

from workflow_async._core.backend import Request
from workflow_async._core.call import Reply
from workflow_async._core.cancellation import close_in_child, in_child_task, is_cancellation
from workflow_async._http.advice import with_advice, with_reason
from workflow_async._http.body import read_bounded
from workflow_async._http.cookies import Cookies
from workflow_async._http.errors import cause_chain, drop_frames, not_grouped, translated_error
from workflow_async._http.pool import merge_headers, set_cookies
from workflow_async._http.progress import SendProgress, message_class
from workflow_async._http.trace import RequestTrace
from workflow_async.errors import (
    ConnectFailed,
    ContentEncodingError,
    NetworkBlocked,
    NotSent,
    NotSentInTime,
    ResponseTooLarge,
    TransportError,
)
from workflow_async.settings import Limits, Timeouts

if TYPE_CHECKING:
    import httpx


@define
class BorrowedClient:
    """An `AsyncClient` that the caller owns.

    Its transport, proxies and TLS settings are used, within this library's limits. Its redirects, auth, headers and
    cookies are not. What its transport does on its own cannot be switched off. The transport of httpx-aiohttp resends
    GET, PUT and DELETE once when their connection breaks, without reporting that. It also keeps cookies in its session:
    give it a `ClientSession(cookie_jar=DummyCookieJar())` if several users share it.
    """

    client: "httpx.AsyncClient"
    library: ModuleType
    limits: Limits
    timeouts: Timeouts
    cookies: Cookies = field(factory=Cookies, init=False)

    async def __call__(self, request: Request) -> Reply:
        outer = sys.exception()
        try:
            result = await in_child_task(lambda: self._answer(request))
        except BaseException as error:
            drop_frames(error, outer)
            raise
        if isinstance(result, TransportError):
            raise result
        return result

    async def reset(self) -> None:
        """Do nothing: the connections belong to the caller."""

    async def aclose(self) -> None:
        """Do nothing: the caller closes the client."""

    async def _answer(self, request: Request) -> Reply | TransportError:
        """Return the reply, or the error for whatever the client, its hooks or its transport raised."""
        connect, check = self.timeouts.connect, request.check_may_send
        trace = RequestTrace(connect, connects=request.connects, check_may_send=check)
        outer, progress = sys.exception(), SendProgress(request, trace)
        try:
            with progress.trace.scope:
                return await self._exchange(progress)
        except (ResponseTooLarge, ContentEncodingError, NetworkBlocked, NotSentInTime) as error:
            return error.with_traceback(None)
        except (Exception, asyncio.CancelledError) as error:
            if is_cancellation(error):
                raise
            return self._failure(cause_chain(error, outer), progress)
        except BaseExceptionGroup as group:
            raise not_grouped(group) from None
        return ConnectFailed(f"the proxy did not respond within {self.timeouts.connect:g} s")

    async def _exchange(self, progress: SendProgress) -> Reply:
        request, httpx_request = progress.request, self._message(progress)
        response = await self.client.send(httpx_request, stream=True, auth=None, follow_redirects=False)
        try:
            body = await self._body(response)
        finally:
            await close_in_child(response.aclose)
        headers = merge_headers(response.headers.raw)
        if "set-cookie" in headers:
            self.cookies.store(request.url, set_cookies(response.headers.raw))
        return Reply(response.status_code, headers, body)

    def _message(self, progress: SendProgress) -> "httpx.Request":
        request, connect = progress.request, self.timeouts.connect
        timeouts = {"connect": connect, "pool": connect, "read": None, "write": None}
        httpx_request: httpx.Request = message_class(self.library)(
            progress,
            request.method,
            request.url,
            headers=(*request.headers, *self.cookies.headers(request.url)),
            content=request.body,
            extensions={"timeout": timeouts, "trace": progress.trace},
        )
        return httpx_request

    async def _body(self, response: "httpx.Response") -> bytes:
        if response.is_stream_consumed:  # by a hook of the owner, or because it was never a stream
            return response.content
        if response.is_closed:  # by a hook that did not read the body
            raise self.library.StreamClosed
        stream: AsyncIterable[bytes] = response.stream  # type: ignore[assignment]  # the client has checked the type
        return await read_bounded(stream, response.headers.get("content-encoding", ""), self.limits)

    def _failure(self, chain: list[BaseException], progress: SendProgress) -> TransportError:
        unsent = progress.is_unsent(chain)
        if unsent and self.client.is_closed:
            return NotSent("the client given as http= is closed: close it after the client that uses it")
        error = translated_error(self.library, chain, unsent=unsent)
        reason = progress.redacted(error.reason)
        if type(error) in {TransportError, NotSent}:
            reason += " (raised by a hook or the transport of the client given as http=)"
        return with_advice(with_reason(error, reason), chain, borrowed=True)
