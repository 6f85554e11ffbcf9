"""Makes the HTTP backend for `http=`. A library is imported when a client is made that uses it.

- "httpx", the default: the connections of httpx, which is a dependency of this package.
- "httpx2": the connections of its maintained successor, used by the same code.
- "aiohttp": a parser in C, directly on asyncio's streams.
- An `AsyncClient` of httpx or httpx2: for its proxies, TLS settings, mocks, or a transport such as httpx-aiohttp's.
"""

import importlib
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, TypeAlias, Union

from workflow_async._core.backend import Backend
from workflow_async.errors import InvalidArgument
from workflow_async.settings import Limits, Timeouts

if TYPE_CHECKING:
    import ssl

    import httpx
    import httpx2

    from workflow_async._http.pool import ConnectionFactory

HTTPBackend: TypeAlias = Union[Literal["httpx", "httpx2", "aiohttp"], "httpx.AsyncClient", "httpx2.AsyncClient"]
"""The name of a library, or an `AsyncClient` that the caller owns and closes."""

CONNECTIONS = {"httpx": "httpcore", "httpx2": "httpcore2"}
"""The library that makes the connections of an HTTP client library."""


def make_backend(http: HTTPBackend, limits: Limits, timeouts: Timeouts, context: "ssl.SSLContext | None") -> Backend:
    """Return the backend for `http=`.

    Raise `InvalidArgument` for any other value, and for an extra that is not installed.
    """
    if isinstance(http, str) and http in (*CONNECTIONS, "aiohttp"):
        return _pool(http, limits, timeouts, context)
    for name in CONNECTIONS:
        module = sys.modules.get(name)  # an AsyncClient exists only if its library was imported
        if module is not None and isinstance(http, module.AsyncClient):
            from workflow_async._http.borrowed import BorrowedClient

            return BorrowedClient(http, module, limits, timeouts)
    raise InvalidArgument("http", 'must be "httpx", "httpx2", "aiohttp", or a ready AsyncClient of httpx or httpx2')


def _pool(name: str, limits: Limits, timeouts: Timeouts, context: "ssl.SSLContext | None") -> Backend:
    if find_spec(name) is None:
        raise InvalidArgument("http", f"{name!r} needs its extra: pip install 'workflow-async[{name}]'")
    from workflow_async._http.pool import ConnectionPool, checked_context

    return ConnectionPool(_connection_factory(name, limits, timeouts), checked_context(context))


def _connection_factory(name: str, limits: Limits, timeouts: Timeouts) -> "ConnectionFactory":
    """Return the function that makes the connections of a pool."""
    if name == "aiohttp":
        from workflow_async._http.aiohttp import AiohttpConnections

        return AiohttpConnections(limits, timeouts).new_connection
    from workflow_async._http.httpcore import HttpcoreConnections

    return HttpcoreConnections(importlib.import_module(CONNECTIONS[name]), limits, timeouts).new_connection
