"""Errors of a call that got no complete response."""

from workflow_async.errors._base import CallError


class TransportError(CallError):
    """No whole answer came back; `sent` says whether the request may have reached the server."""

    def __init__(self, reason: str, *, sent: bool = True, reused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.reused = reused
        """Whether it happened on a connection that had served before: the stale keep-alive race."""


class NotSent(TransportError):
    """Nothing was sent, so nothing has happened: it may be asked for again, a start too."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, sent=False)


class ConnectFailed(NotSent):
    """No connection could be made."""


class TLSVerificationFailed(ConnectFailed):
    """The server's certificate is not trusted, expired, or for another host."""


class ConnectionBroken(TransportError):
    """The connection ended before the answer was whole."""


class DeadlineExceeded(TransportError, TimeoutError):
    """A deadline of `Timeouts` passed before the answer was whole."""


class NotSentInTime(NotSent, DeadlineExceeded):
    """A deadline of `Timeouts` passed before anything was sent: in the queue, at the login, or between two tries."""


class ResponseTooLarge(TransportError):
    """The answer is larger than `Limits` allows."""


class ContentEncodingError(TransportError):
    """The body came in a content coding nobody asked for, or compressed and cut short."""
