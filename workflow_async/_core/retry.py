"""Decides whether and when to retry a call. Pure."""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from attrs import define, field

from workflow_async._core.call import Replay
from workflow_async.errors import (
    CallError,
    DeadlineExceeded,
    DecodeError,
    ForeignResponse,
    MiddlewareFailed,
    NetworkBlocked,
    ProxyRefused,
    ResponseMismatch,
    ResponseTooLarge,
    ServerError,
    StatusError,
    TLSVerificationFailed,
    TransportError,
)
from workflow_async.settings import Retry

UNAVAILABLE = frozenset({502, 503, 504})
RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
NOT_REPEATED = TLSVerificationFailed | ResponseTooLarge | MiddlewareFailed | NetworkBlocked
"""Errors without a complete response that another attempt would most likely end with too."""
SECONDS = re.compile(r"[0-9]+", re.ASCII)


def retryable(error: CallError, replay: Replay) -> bool:
    """Return True if a retry could help and is safe."""
    if replay is Replay.ONCE:
        return False
    if isinstance(error, ForeignResponse):
        return True
    if isinstance(error, StatusError):
        return error.status in RETRY_STATUS
    if isinstance(error, ProxyRefused):
        return error.status in RETRY_STATUS
    if isinstance(error, TransportError):
        return not isinstance(error, NOT_REPEATED)
    return isinstance(error, DecodeError | ResponseMismatch)


def is_wrong_shape(error: CallError) -> bool:
    """Return True if the response parsed but does not fit: a retry most likely returns the same."""
    return isinstance(error, DecodeError) and error.parsed


def is_unavailable(error: CallError) -> bool:
    """Return True if a gateway reports that its server is unavailable, which mostly takes seconds to minutes."""
    return isinstance(error, ServerError) and error.status in UNAVAILABLE


def retry_delay(
    policy: Retry,
    error: CallError,
    replay: Replay,
    *,
    attempt: int,
    jitter: float,
    wrong_shapes: int | None = None,
    elapsed: float = math.inf,
) -> float | None:
    """Return the seconds to wait after the failed attempt number `attempt`, or None to give up.

    Args:
        policy: the settings.
        error: the error that the attempt ended with.
        replay: what sending the request again would do.
        attempt: the number of the attempt, from 1.
        jitter: a random number in [0, 1).
        wrong_shapes: number of earlier attempts whose response parsed but did not fit, all of them if None. Such a
            call is retried once.
        elapsed: seconds since the call began.
    """
    if error.at_login or not retryable(error, replay):
        return None
    if attempt >= policy.attempts and not (is_unavailable(error) and elapsed < policy.patience):
        return None
    if is_wrong_shape(error) and (attempt - 1 if wrong_shapes is None else wrong_shapes):
        return None
    if attempt == 1 and isinstance(error, TransportError) and error.reused:
        return 0.0
    backoff = jitter * min(policy.cap, policy.base * 2.0 ** min(attempt - 1, 64))
    if error.retry_after is None:
        return backoff
    return None if error.retry_after > policy.max_retry_after else max(backoff, error.retry_after) + jitter


def budget_cost(error: CallError) -> float:
    """Return what a retry after this error takes from the client's budget."""
    return 10.0 if isinstance(error, DeadlineExceeded) else 5.0


def may_have_happened(error: CallError) -> bool:
    """Return True if the server may have acted on a request that ended in this error."""
    if error.at_login:
        return False
    if isinstance(error, TransportError):
        return error.sent
    if isinstance(error, StatusError):
        carried_out = error.status < HTTPStatus.MULTIPLE_CHOICES or error.status == HTTPStatus.SEE_OTHER
        return carried_out or isinstance(error, ServerError | ForeignResponse)
    return True


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, or None if it is unreadable.

    A date is compared with the Date of the same response.
    """
    text = headers.get("retry-after", "").strip()
    if SECONDS.fullmatch(text):
        return float(text)
    date, reference = http_date(text), http_date(headers.get("date", ""))
    return None if date is None or reference is None else max(0.0, (date - reference).total_seconds())


def http_date(text: str) -> datetime | None:
    """Return the instant of an HTTP date, or None if it is unreadable."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else None


@define
class Budget:
    """The retries that a client may still send, shared by all its calls."""

    capacity: float
    left: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.left = self.capacity

    def take(self, cost: float) -> bool:
        """Return True and take the amount if it is left."""
        if cost > self.left:
            return False
        self.left -= cost
        return True

    def give_back(self, amount: float) -> None:
        """Add to the budget, up to its capacity."""
        self.left = min(self.capacity, self.left + amount)
