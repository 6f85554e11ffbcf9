"""Makes the HTTP backend for `http=`. A library is imported with the first connection.

- "httpx", the default: the connections of httpx, which is a dependency of this package.
- "httpx2": the connections of its maintained successor, used by the same code.
- "aiohttp": a parser in C, directly on asyncio's streams.
- An `AsyncClient` of httpx or httpx2: for its proxies, TLS settings, mocks, or a transport such as httpx-aiohttp's.
"""

import importlib
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union

from attrs import define, field

from workflow_async._core.auth import Secret
from workflow_async._core.backend import Backend
from workflow_async.errors import InvalidArgument
from workflow_async.settings import Limits, Timeouts

if TYPE_CHECKING:
    import ssl

    import aiohttp
    import httpx
    import httpx2

    from workflow_async._http.pool import ConnectionFactory, PooledConnection
    from workflow_async._http.proxy import Proxy
    from workflow_async._http.tls import TLS

HTTPBackend: TypeAlias = Union[
    Literal["httpx", "httpx2", "aiohttp"], "httpx.AsyncClient", "httpx2.AsyncClient", "aiohttp.ClientSession"
]
"""The name of a library, or an `AsyncClient` or `ClientSession` that the caller owns and closes."""

MUST_BE = (
    'must be "httpx", "httpx2", "aiohttp", or a ready AsyncClient of httpx or httpx2, or a ClientSession of aiohttp'
)
CONNECTIONS = {"httpx": "httpcore", "httpx2": "httpcore2"}
"""The library that makes the connections of an HTTP client library."""


def make_backend(
    http: HTTPBackend,
    limits: Limits,
    timeouts: Timeouts,
    context: "ssl.SSLContext | None" = None,
    *,
    tls: "TLS | None" = None,
    proxy: Secret | None = None,
    server: str = "",
) -> Backend:
    """Return the backend for `http=`.

    Args:
        http: the name of a library, or an `AsyncClient`.
        limits: the limits of the client.
        timeouts: the timeouts of the client.
        context: the value of `ssl_context=`.
        tls: the TLS settings instead of a context.
        proxy: the value of `proxy=`.
        server: the base URL of the server, which decides whether a proxy of the environment is used.

    Raises:
        InvalidArgument: any other value, settings that exclude each other, or an extra that is not installed.
    """
    if isinstance(http, str):
        if http not in (*CONNECTIONS, "aiohttp"):
            raise InvalidArgument("http", MUST_BE)
        return _pool(http, limits, timeouts, _context(context, tls), _proxy(proxy, server))
    settings = {"ssl_context": context, "tls": tls}
    if _is_instance(http, "aiohttp", "ClientSession"):
        return _borrowed_session(http, limits, timeouts, _proxy(proxy, server), **settings)
    return _borrowed_client(http, limits, timeouts, **settings, proxy=proxy)


def _borrowed_session(
    http: Any, limits: Limits, timeouts: Timeouts, proxy: "Proxy | None", **settings: object
) -> Backend:
    from workflow_async._http.borrowed_session import BorrowedSession

    _check_unset(**settings)
    return BorrowedSession(http, limits, timeouts, proxy)


def _borrowed_client(http: Any, limits: Limits, timeouts: Timeouts, **settings: object) -> Backend:
    for name in CONNECTIONS:
        if _is_instance(http, name, "AsyncClient"):
            from workflow_async._http.borrowed import BorrowedClient

            _check_unset(**settings)
            return BorrowedClient(http, sys.modules[name], limits, timeouts)
    raise InvalidArgument("http", MUST_BE)


def _is_instance(value: object, library: str, name: str) -> bool:
    """Return True for an instance of a library's class. It exists only if the library was imported."""
    module = sys.modules.get(library)
    return module is not None and isinstance(value, getattr(module, name))


def _check_unset(**settings: object) -> None:
    """Raise `InvalidArgument` if a setting is given that an `AsyncClient` has of its own."""
    for name, value in settings.items():
        if value is not None:
            raise InvalidArgument(name, "has no effect on the client given as http=: set it on that client")


def _context(context: "ssl.SSLContext | None", tls: "TLS | None") -> "ssl.SSLContext | None":
    """Return the TLS context. None if neither argument is given: the default context is made on first use."""
    if tls is not None:
        from workflow_async._http.tls import checked_tls, tls_context

        return tls_context(checked_tls(tls, context))
    if context is not None:
        from workflow_async._http.tls import checked_context

        return checked_context(context)
    return None


def _proxy(setting: Secret | None, server: str) -> "Proxy | None":
    if setting is None:
        return None
    from workflow_async._http.proxy import find_proxy

    return find_proxy(setting, server, os.environ)


def _pool(
    name: str, limits: Limits, timeouts: Timeouts, context: "ssl.SSLContext | None", proxy: "Proxy | None"
) -> Backend:
    if find_spec(name) is None:
        raise InvalidArgument("http", f"{name!r} needs its extra: pip install 'workflow-async[{name}]'")
    from workflow_async._http.pool import ConnectionPool

    return ConnectionPool(Connections(name, limits, timeouts, proxy), context)


@define(eq=False)
class Connections:
    """Makes the connections of one pool. It imports the library that they need with the first one."""

    name: str
    limits: Limits
    timeouts: Timeouts
    proxy: "Proxy | None" = field(repr=False)
    _make: "ConnectionFactory | None" = field(default=None, init=False, repr=False)

    def __call__(self, context: "ssl.SSLContext") -> "PooledConnection":
        """Return a new connection."""
        if self._make is None:
            self._make = self._factory()
        return self._make(context)

    def _factory(self) -> "ConnectionFactory":
        settings = self.limits, self.timeouts, self.proxy
        if self.name == "aiohttp":
            from workflow_async._http.aiohttp import AiohttpConnections

            return AiohttpConnections(*settings).new_connection
        from workflow_async._http.httpcore import HttpcoreConnections

        return HttpcoreConnections(importlib.import_module(CONNECTIONS[self.name]), *settings).new_connection
