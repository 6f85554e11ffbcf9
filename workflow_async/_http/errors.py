"""Translates exceptions of httpx, httpcore and aiohttp into this library's. Pure.

Facts decide whether a request may have been sent: what httpcore's trace reported, which frames the exception came
through, and which parts of the request were read. The type of an exception names what happened. It decides about
sending only if nothing can have been sent in any case.
"""

import ssl
import sys
from asyncio import CancelledError
from collections.abc import Iterator, Sequence
from traceback import walk_tb
from types import FrameType, ModuleType
from typing import Any

from workflow_async._core.backend import Request
from workflow_async.errors import (
    ConnectFailed,
    ConnectionBroken,
    NotSent,
    TLSVerificationFailed,
    TransportError,
)

HTTPCORE_NAMES = frozenset({"httpcore", "httpcore2"})
LIBRARIES = HTTPCORE_NAMES | {"httpx", "httpx2"}
CONNECTION_ERRORS = (
    "TransportError",
    "InvalidURL",
    "NetworkError",
    "TimeoutException",
    "ProtocolError",
    "ProxyError",
    "UnsupportedProtocol",
)
"""What these libraries raise when a connection fails, by name. httpcore's errors have no other common base class."""
CONNECT_ERRORS = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"})
"""Errors of these libraries that mean that no connection was made, by their common names."""
MOCK_MODULES = ("respx", "pytest_httpx", "httpx._transports.mock", "httpx2._transports.mock")
"""Modules that replace a server and send nothing."""
BYTES_MARKS = ("bytearray(", "b'", 'b"')
"""Where an error message goes on with bytes of the request or the response."""
NO_CAUSE = "All connection attempts failed"
"""What anyio says in place of the errors of the attempts, which are in its cause."""


def cause_chain(error: BaseException, outer: BaseException | None) -> list[BaseException]:
    """Return an exception and its causes, nearest first.

    Python puts the exception that a caller is handling into the `__context__` of everything raised below the call.
    `outer` is that exception, `sys.exception()` at the start of this library's call. It and its causes do not count.
    """
    chain, cause = [error], _cause_of(error)
    while cause is not None and all(cause is not seen for seen in (outer, *chain)):
        chain.append(cause)
        cause = _cause_of(cause)
    return chain


def not_grouped(error: BaseException) -> BaseException:
    """Return the exception in a group that is not an `Exception`, such as a KeyboardInterrupt.

    Return `error` itself if it is not a group.
    """
    while isinstance(error, BaseExceptionGroup):
        error = next(member for member in error.exceptions if not isinstance(member, Exception))
    return error


def _cause_of(error: BaseException) -> BaseException | None:
    return error.__context__ if error.__cause__ is None else error.__cause__


def drop_frames(error: BaseException, outer: BaseException | None) -> None:
    """Remove the frames below this library from an exception: they hold the request and the response.

    Causes are removed too, except cancellations: anyio finds out from them which scope was cancelled.
    """
    chain = [member for member in cause_chain(error, outer) if member is error or isinstance(member, CancelledError)]
    for member, cause in zip(chain, (*chain[1:], outer), strict=True):
        member.__traceback__ = member.__cause__ = None
        member.__context__ = cause


def frames(chain: Sequence[BaseException]) -> Iterator[FrameType]:
    """Yield the frames that these exceptions came through."""
    return (frame for error in chain for frame, _ in walk_tb(error.__traceback__))


def module_of(frame: FrameType) -> str:
    """Return the name of the module that a frame runs in."""
    return str(frame.f_globals.get("__name__", ""))


def is_from_httpcore(chain: Sequence[BaseException], trace: object) -> bool:
    """Return True if httpcore, or httpcore2, raised this while it sent the request with this trace."""
    return any(
        module_of(frame).partition(".")[0] in HTTPCORE_NAMES and _trace_of(frame.f_locals.get("request")) is trace
        for frame in frames(chain)
    )


def _trace_of(request: Any) -> object:
    return getattr(request, "extensions", {}).get("trace")


def is_from_aiohttp(chain: Sequence[BaseException]) -> bool:
    """Return True if aiohttp sent the request: one of its errors is in the chain."""
    return any(isinstance(error, aiohttp_error()) for error in chain)


def is_aiohttp_connecting(chain: Sequence[BaseException], request: Request) -> bool:
    """Return True if aiohttp failed while it connected for this request, through a proxy or directly."""
    return any(
        module_of(frame) == "aiohttp.connector" and frame.f_code.co_name == "connect" and _is_for(frame, request)
        for frame in frames(chain)
    )


def _is_for(frame: FrameType, request: Request) -> bool:
    client_request = frame.f_locals.get("req")
    url = getattr(client_request, "url", None)
    return (
        url is not None
        and request.method == getattr(client_request, "method", None)
        and (str(url) == request.url or url == type(url)(request.url))
    )


def is_from_mock(chain: Sequence[BaseException]) -> bool:
    """Return True if a mock raised the error in place of a server."""
    return any(module_of(frame).startswith(MOCK_MODULES) for frame in frames(chain))


def is_unconnected(error: BaseException) -> bool:
    """Return True if an error of httpx or httpcore means that no connection was made."""
    return any(
        kind.__name__ in CONNECT_ERRORS and kind.__module__.partition(".")[0] in LIBRARIES
        for kind in type(error).__mro__
    )


def translated_error(
    library: ModuleType, chain: Sequence[BaseException], *, unsent: bool, reused: bool = False
) -> TransportError:
    """Return this library's error for an exception of httpx, httpcore or their successors, or for any other.

    Args:
        library: the library that sent the request.
        chain: the exception and its causes.
        unsent: True if no byte of the request can have been sent.
        reused: True if the connection had served an earlier request.
    """
    expected = tuple(getattr(library, name) for name in CONNECTION_ERRORS if hasattr(library, name))
    unexpected = not isinstance(chain[0], (*expected, *aiohttp_error(), OSError))
    return transport_error(chain, _reason(library, chain), unsent=unsent, reused=reused, unexpected=unexpected)


def transport_error(
    chain: Sequence[BaseException], reason: str, *, unsent: bool, reused: bool, unexpected: bool
) -> TransportError:
    """Return this library's error. It is a `NotSent` only if no byte of the request can have been sent.

    `unexpected` is True if the exception is not one of a connection: a hook or a transport of the caller failed.
    """
    if not unsent:
        return TransportError(reason) if unexpected else ConnectionBroken(reason, reused=reused)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain):
        return TLSVerificationFailed(reason)
    return NotSent(reason) if unexpected else ConnectFailed(reason)


def aiohttp_error() -> tuple[type[Exception], ...]:
    """Return the base class of aiohttp's errors if aiohttp was imported: httpx-aiohttp lets some of them through."""
    aiohttp = sys.modules.get("aiohttp")
    return () if aiohttp is None else (aiohttp.ClientError,)


def _reason(library: ModuleType, chain: Sequence[BaseException]) -> str:
    """Return the class name of the exception, with the first message in the chain."""
    name = type(chain[0]).__name__
    if isinstance(chain[0], library.LocalProtocolError):  # its message repeats the request
        return name
    lines = [line for line in map(_first_line, chain) if line]
    text = next((line for line in lines if line != NO_CAUSE), NO_CAUSE if lines else "")
    return f"{name}: {text}" if text else name


def _first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, up to bytes of the request or the response."""
    if not isinstance(error, Exception):  # a cancellation that caused a timeout
        return ""
    if isinstance(error, ExceptionGroup):
        return ", ".join(f"{type(member).__name__}: {_first_line(member)}" for member in error.exceptions)
    text = str(error).partition("\n")[0]
    for mark in BYTES_MARKS:
        text = text.partition(mark)[0]
    return text.rstrip(" :")
