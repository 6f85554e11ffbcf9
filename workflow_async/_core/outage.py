"""Detects outages of a server from the results of requests. Pure."""

from attrs import define

from workflow_async.errors import ContentEncodingError, MiddlewareFailed, ResponseTooLarge, TransportError

MIN_FAILURES = 3
"""Failures in a row that an outage begins with."""
MIN_SECONDS = 1.0
"""Seconds that these failures span. Broken connections that are replaced at once are no outage."""


def is_unanswered(error: BaseException) -> bool:
    """Return True if a request failed because the server does not respond."""
    no_fault = MiddlewareFailed | ResponseTooLarge | ContentEncodingError
    return isinstance(error, TransportError) and not isinstance(error, no_fault)


@define
class OutageDetector:
    """The failures in a row. Instants are seconds of the client's monotonic clock."""

    failures: int = 0
    began: float = 0.0
    """When the first of these requests failed."""
    began_wall: float = 0.0
    """The same in seconds since 1970."""
    reported: bool = False
    """True during an outage."""

    def failed(self, now: float, wall: float) -> bool:
        """Count a failure. Return True if an outage begins with it."""
        if not self.failures:
            self.began, self.began_wall = now, wall
        self.failures += 1
        begins = not self.reported and self.failures >= MIN_FAILURES and now - self.began >= MIN_SECONDS
        self.reported = self.reported or begins
        return begins

    def answered(self) -> bool:
        """Note a response. Return True if it ends an outage."""
        ends, self.reported, self.failures = self.reported, False, 0
        return ends
