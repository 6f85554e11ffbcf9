"""Ready clients of httpx and of httpx2, which stay their owners'."""

import ssl
from types import ModuleType
from typing import TYPE_CHECKING

from attrs import define, field

from workflow_async._body import bounded
from workflow_async._call import Reply
from workflow_async._carriers.cookies import Cookies
from workflow_async._carriers.faults import of_aiohttp, translated
from workflow_async._carriers.slots import given_cookies, merged
from workflow_async._http import Request
from workflow_async._shelter import apart, closed
from workflow_async.settings import Limits, Timeouts

if TYPE_CHECKING:
    import httpx


@define
class Lent:
    """A ready client: its transport, proxies and TLS, with our bounds; never its redirects, auth, headers or cookies.

    What its transport does by itself stays as it is. That of httpx-aiohttp sends GET, PUT and DELETE a second time when
    their connection breaks, which nobody sees, and keeps cookies in its session: give it a
    `ClientSession(cookie_jar=DummyCookieJar())` where users share it.
    """

    client: "httpx.AsyncClient"
    library: ModuleType
    limits: Limits
    timeouts: Timeouts
    cookies: Cookies = field(factory=Cookies, init=False)

    async def __call__(self, request: Request) -> Reply:
        try:
            return await apart(lambda: self._exchange(request))
        except (self.library.TransportError, self.library.InvalidURL, ssl.SSLError, *of_aiohttp()) as error:
            failed = translated(self.library, error, reused=False)
        raise failed

    async def reset(self) -> None:
        """Nothing: the connections are the caller's."""

    async def aclose(self) -> None:
        """Nothing: the client is the caller's to close."""

    async def _exchange(self, request: Request) -> Reply:
        message = self._message(request)
        response = await self.client.send(message, stream=True, auth=None, follow_redirects=False)
        try:
            body = await self._body(response)
        finally:
            await closed(response.aclose)
        headers = merged(response.headers.raw)
        if "set-cookie" in headers:
            self.cookies.take(request.url, given_cookies(response.headers.raw))
        return Reply(response.status_code, headers, body)

    def _message(self, request: Request) -> "httpx.Request":
        connect = self.timeouts.connect
        message: httpx.Request = self.library.Request(
            request.method,
            request.url,
            headers=(*request.headers, *self.cookies.headers(request.url)),
            content=request.body,
            extensions={"timeout": {"connect": connect, "pool": connect, "read": None, "write": None}},
        )
        return message

    async def _body(self, response: "httpx.Response") -> bytes:
        if response.is_stream_consumed:  # by a hook of its owner, or because it was never a stream
            return response.content
        return await bounded(response.aiter_raw(), response.headers.get("content-encoding", ""), self.limits)
