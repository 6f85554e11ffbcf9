"""Errors of a call that got no complete response."""

from workflow_async.errors._base import CallError


class TransportError(CallError):
    """No complete response arrived. `sent` is True if the request may have reached the server."""

    def __init__(self, reason: str, *, sent: bool = True, reused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.reused = reused
        """True if the connection had served an earlier request: the server may have closed it while it was idle."""


class NotSent(TransportError):
    """Nothing was sent, so nothing has happened. Any call can be repeated safely, a start too."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, sent=False)


class ConnectFailed(NotSent):
    """No connection could be made."""


class TLSVerificationFailed(ConnectFailed):
    """The server's certificate is not trusted, has expired, or is for another host."""


class ProxyRefused(ConnectFailed):
    """The proxy refused to open a tunnel to the server. `status` is its answer, such as 407 or 502."""

    def __init__(self, reason: str, *, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class NetworkBlocked(NotSent):
    """The variable WORKFLOW_ASYNC_NO_NETWORK forbids requests to other hosts than this one. It protects tests."""


class PaceFailed(NotSent):
    """The function of `pace=` raised an exception, so the request got no turn. The log holds the exception."""


class ConnectionBroken(TransportError):
    """The connection ended before the response was complete."""


class DeadlineExceeded(TransportError, TimeoutError):
    """A timeout of `Timeouts` passed before the response was complete."""


class NotSentInTime(NotSent, DeadlineExceeded):
    """A timeout passed before anything was sent: in the queue, at the login, or between two attempts.

    It is a timeout of `Timeouts`, or the time that the journal of a batch gives for sending a start.
    """


class ResponseTooLarge(TransportError):
    """The response is larger than `Limits` allows."""


class ContentEncodingError(TransportError):
    """The body has an unsupported Content-Encoding, or is compressed and incomplete."""


class MiddlewareFailed(TransportError):
    """A middleware raised an exception of its own, sent a request twice, or returned something else than a reply.

    `sent` is True if the request may have reached the server. The log holds the exception with its traceback.
    """
