"""What went wrong below, as ours: by the types of errors and of their causes, never by their messages."""

import ssl
import sys
from collections.abc import Sequence
from types import ModuleType

from workflow_async.errors import ConnectFailed, ConnectionBroken, TLSVerificationFailed, TransportError

UNSENT = (
    "InvalidURL",
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
    "LocalProtocolError",
)
"""Errors after which nothing can have been sent, by the names that httpx, httpcore and their successors share."""


def translated(library: ModuleType, error: Exception, *, reused: bool) -> TransportError:
    """An error of one of these four, or of what is below it, as ours."""
    chain = causes(error)
    return fault(chain, _reason(library, chain), unsent=_unsent(library, chain), reused=reused)


def causes(error: BaseException) -> list[BaseException]:
    """An error, what caused it, what caused that, and so on."""
    chain, next_one = [error], error.__cause__ or error.__context__
    while next_one is not None:
        chain.append(next_one)
        next_one = next_one.__cause__ or next_one.__context__
    return chain


def fault(chain: Sequence[BaseException], reason: str, *, unsent: bool, reused: bool) -> TransportError:
    """The error we raise: `ConnectFailed` only where nothing can have been sent."""
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain):
        return TLSVerificationFailed(reason)
    return ConnectFailed(reason) if unsent else ConnectionBroken(reason, reused=reused)


def of_aiohttp() -> tuple[type[Exception], ...]:
    """What aiohttp raises, if anybody has imported it: httpx-aiohttp lets some of it through."""
    aiohttp = sys.modules.get("aiohttp")
    return () if aiohttp is None else (aiohttp.ClientError,)


def _unsent(library: ModuleType, chain: Sequence[BaseException]) -> bool:
    """Whether nothing can have been sent; where aiohttp carried it, only aiohttp knows.

    httpx-aiohttp says `ConnectTimeout` of a server that read the request and hung up.
    """
    if any(isinstance(cause, of_aiohttp()) for cause in chain):
        from workflow_async._carriers.aiohttp import unsent

        return unsent(chain)
    return isinstance(chain[0], tuple(getattr(library, name) for name in UNSENT if hasattr(library, name)))


def _reason(library: ModuleType, chain: Sequence[BaseException]) -> str:
    name = type(chain[0]).__name__
    if isinstance(chain[0], library.LocalProtocolError):  # it repeats what was to be sent
        return name
    said = next((str(cause) for cause in chain if str(cause)), "")
    return f"{name}: {said}" if said else name
