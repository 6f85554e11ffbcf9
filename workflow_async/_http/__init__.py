"""What `http=` takes, and the exchange behind it; a library is imported when a client is made that uses it.

- "httpx", the default: the connections of httpx, which comes with the package.
- "httpx2": those of its maintained continuation, by the same code of ours.
- "aiohttp": a parser in C and asyncio's streams without a layer between.
- A ready `AsyncClient` of httpx or httpx2: for its proxies, its TLS, its mocks, or a transport such as httpx-aiohttp's.
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
"""The name of a library, or a ready client, which stays the caller's to close."""

CONNECTIONS = {"httpx": "httpcore", "httpx2": "httpcore2"}
"""What makes the connections of a library."""


def make_backend(http: HTTPBackend, limits: Limits, timeouts: Timeouts, context: "ssl.SSLContext | None") -> Backend:
    """The exchange behind `http=`.

    Raises `InvalidArgument` for anything else, and for an extra that is not installed.
    """
    if isinstance(http, str) and http in (*CONNECTIONS, "aiohttp"):
        return _pool(http, limits, timeouts, context)
    for name in CONNECTIONS:
        module = sys.modules.get(name)  # a ready client has imported its own
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
    """What makes the slots."""
    if name == "aiohttp":
        from workflow_async._http.aiohttp import AiohttpConnections

        return AiohttpConnections(limits, timeouts).new_connection
    from workflow_async._http.httpcore import HttpcoreConnections

    return HttpcoreConnections(importlib.import_module(CONNECTIONS[name]), limits, timeouts).new_connection
