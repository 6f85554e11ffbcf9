"""What went wrong below, as an error of ours. Pure.

Whether a request can have left is a matter of facts: what httpcore reported of it, which frames the error came through,
and what was taken out of the request. The type of an error names what happened, and decides only where nothing can
have been sent anyway.
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

CORES = frozenset({"httpcore", "httpcore2"})
LIBRARIES = CORES | {"httpx", "httpx2"}
OF_CONNECTIONS = (
    "TransportError",
    "InvalidURL",
    "NetworkError",
    "TimeoutException",
    "ProtocolError",
    "ProxyError",
    "UnsupportedProtocol",
)
"""What these libraries raise when a connection fails, by name: httpcore's errors have no other base in common."""
UNCONNECTED = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"})
"""Errors of these libraries that say that no connection was made, by the names that they share."""
MOCKS = ("respx", "pytest_httpx", "httpx._transports.mock", "httpx2._transports.mock")
"""Modules that answer in place of a server and send nothing."""
REPEATED = ("bytearray(", "b'", 'b"')
"""Where the words of an error go on with bytes that were sent or received."""


def causes(error: BaseException, entered: BaseException | None) -> list[BaseException]:
    """Return an error and what led to it, nearest first.

    Python links whatever exception a caller is handling into the `__context__` of all that is raised below the call.
    `entered` is that exception, `sys.exception()` when our call began: it and what led to it do not count.
    """
    chain, next_one = [error], _led_to(error)
    while next_one is not None and all(next_one is not known for known in (entered, *chain)):
        chain.append(next_one)
        next_one = _led_to(next_one)
    return chain


def ungrouped(error: BaseException) -> BaseException:
    """Return what is no `Exception` in a group, such as a KeyboardInterrupt, or the error itself if it is no group."""
    while isinstance(error, BaseExceptionGroup):
        error = next(one for one in error.exceptions if not isinstance(one, Exception))
    return error


def _led_to(error: BaseException) -> BaseException | None:
    return error.__context__ if error.__cause__ is None else error.__cause__


def forget(error: BaseException, entered: BaseException | None) -> None:
    """Take out of an error that passes through what was sent and received: the frames below, and other errors.

    A cancellation that led to it stays: anyio finds out from it whose it is.
    """
    chain = [one for one in causes(error, entered) if one is error or isinstance(one, CancelledError)]
    for one, led_to_it in zip(chain, (*chain[1:], entered), strict=True):
        one.__traceback__ = one.__cause__ = None
        one.__context__ = led_to_it


def frames(chain: Sequence[BaseException]) -> Iterator[FrameType]:
    """Return the frames that these errors came through."""
    return (frame for error in chain for frame, _ in walk_tb(error.__traceback__))


def module_of(frame: FrameType) -> str:
    """Return the name of the module that a frame runs in."""
    return str(frame.f_globals.get("__name__", ""))


def is_from_httpcore(chain: Sequence[BaseException], trace: object) -> bool:
    """Return True if httpcore, or httpcore2, raised this while it carried the request that has this trace."""
    return any(
        module_of(frame).partition(".")[0] in CORES and _trace_of(frame.f_locals.get("request")) is trace
        for frame in frames(chain)
    )


def _trace_of(request: Any) -> object:
    return getattr(request, "extensions", {}).get("trace")


def is_from_aiohttp(chain: Sequence[BaseException]) -> bool:
    """Return True if aiohttp carried the request: its errors are among those that led to this one."""
    return any(isinstance(error, aiohttp_error()) for error in chain)


def is_aiohttp_connecting(chain: Sequence[BaseException], request: Request) -> bool:
    """Return True if aiohttp failed while it looked for a connection for this request, through a proxy or not."""
    return any(
        module_of(frame) == "aiohttp.connector" and frame.f_code.co_name == "connect" and _is_for(frame, request)
        for frame in frames(chain)
    )


def _is_for(frame: FrameType, request: Request) -> bool:
    asked = frame.f_locals.get("req")
    url = getattr(asked, "url", None)
    return (
        url is not None
        and request.method == getattr(asked, "method", None)
        and (str(url) == request.url or url == type(url)(request.url))
    )


def is_from_mock(chain: Sequence[BaseException]) -> bool:
    """Return True if the error was raised in place of a server, by what sends nothing."""
    return any(module_of(frame).startswith(MOCKS) for frame in frames(chain))


def is_unconnected(error: BaseException) -> bool:
    """Return True if an error of httpx or httpcore says that no connection was made."""
    return any(
        kind.__name__ in UNCONNECTED and kind.__module__.partition(".")[0] in LIBRARIES for kind in type(error).__mro__
    )


def translated_error(
    library: ModuleType, chain: Sequence[BaseException], *, unsent: bool, reused: bool = False
) -> TransportError:
    """Return the error we raise for one of httpx, httpcore or their successors, or for whatever else was raised.

    Args:
        library: the library that carried the request.
        chain: the error and what led to it.
        unsent: True if no byte of the request can have left.
        reused: True if the connection had served before.
    """
    known = tuple(getattr(library, name) for name in OF_CONNECTIONS if hasattr(library, name))
    foreign = not isinstance(chain[0], (*known, *aiohttp_error(), OSError))
    return fault(chain, _reason(library, chain), unsent=unsent, reused=reused, foreign=foreign)


def fault(chain: Sequence[BaseException], reason: str, *, unsent: bool, reused: bool, foreign: bool) -> TransportError:
    """Return the error we raise: a `NotStarted` only if no byte of the request can have left.

    `foreign` says that it is none of the errors of a connection: a hook or a transport of the caller's own failed.
    """
    if not unsent:
        return TransportError(reason) if foreign else ConnectionBroken(reason, reused=reused)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain):
        return TLSVerificationFailed(reason)
    return NotSent(reason) if foreign else ConnectFailed(reason)


def aiohttp_error() -> tuple[type[Exception], ...]:
    """Return what aiohttp raises, if it was imported: httpx-aiohttp lets some of it through."""
    aiohttp = sys.modules.get("aiohttp")
    return () if aiohttp is None else (aiohttp.ClientError,)


def _reason(library: ModuleType, chain: Sequence[BaseException]) -> str:
    """Return the kind of error, with the first words that it or what led to it has."""
    name = type(chain[0]).__name__
    if isinstance(chain[0], library.LocalProtocolError):  # it repeats what was to be sent
        return name
    said = next((words for words in map(_words, chain) if words), "")
    return f"{name}: {said}" if said else name


def _words(error: BaseException) -> str:
    """Return the first line of what an error says, up to the bytes that it repeats."""
    if not isinstance(error, Exception):  # a cancellation, which led to a timeout
        return ""
    if isinstance(error, ExceptionGroup):
        return ", ".join(f"{type(one).__name__}: {_words(one)}" for one in error.exceptions)
    said = str(error).partition("\n")[0]
    for mark in REPEATED:
        said = said.partition(mark)[0]
    return said.rstrip(" :")
