"""Sends requests over the connections of an aiohttp `ClientSession` that the caller owns and closes."""

import sys

import aiohttp
from attrs import define, field

from workflow_async._core.backend import Request
from workflow_async._core.call import Reply
from workflow_async._http.aiohttp import DEFAULT_HEADERS, AiohttpConnection, AiohttpConnections, send_once
from workflow_async._http.errors import drop_frames
from workflow_async._http.proxy import Proxy
from workflow_async.errors import NotSent
from workflow_async.settings import Limits, Timeouts


@define
class BorrowedSession:
    """A `ClientSession` that the caller owns.

    Its connector is used, with its resolver, TLS settings and limits, and its tracing. Its headers, cookies, auth,
    proxy, middlewares and timeouts are not. Neither is its `trust_env`, which also sends the passwords of ~/.netrc.
    """

    owner: aiohttp.ClientSession
    limits: Limits
    timeouts: Timeouts
    proxy: Proxy | None = None
    _shared: AiohttpConnections = field(init=False)
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._shared = AiohttpConnections(self.limits, self.timeouts, self.proxy)

    async def __call__(self, request: Request) -> Reply:
        if self.owner.closed:
            raise NotSent("the session given as http= is closed: close it after the client that uses it")
        outer = sys.exception()
        try:
            return await AiohttpConnection(self._shared, self._own_session())(request)
        except BaseException as error:
            drop_frames(error, outer)  # they hold the credentials
            raise

    async def reset(self) -> None:
        """Do nothing: the connections belong to the caller."""

    async def aclose(self) -> None:
        """Leave the connector of the caller open."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _own_session(self) -> aiohttp.ClientSession:
        """Return a session on the connector of the caller, without anything that the caller's session adds."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self.owner.connector,
                connector_owner=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=DEFAULT_HEADERS,
                timeout=aiohttp.ClientTimeout(total=None, connect=self.timeouts.connect),
                trace_configs=self.owner.trace_configs,
                middlewares=(send_once,),
            )
        return self._session
