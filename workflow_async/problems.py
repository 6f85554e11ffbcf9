"""Turns errors of this library into responses of a web service, as RFC 9457 describes them.

See https://www.rfc-editor.org/rfc/rfc9457.
"""

import json
import math
from typing import Any

from attrs import frozen

from workflow_async._core.asgi import Receive, Response, Scope, Send
from workflow_async._records.record import Record
from workflow_async.errors import (
    AlreadyFinished,
    ClientClosed,
    Conflict,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    NotSent,
    NotSentInTime,
    ProcessNotFound,
    ProcessWaitTimeout,
    RateLimited,
    StartOutcomeUnknown,
    WaitTimeout,
    WorkflowAsyncError,
)

__all__ = ["Problem", "ProblemResponse", "on_error", "problem_of"]

MEDIA_TYPE = "application/problem+json"
BAD_GATEWAY = 502
STATUSES: tuple[tuple[type[WorkflowAsyncError], int], ...] = (
    (InvalidArgument, 422),
    (NotFound, 404),
    (ProcessNotFound, 404),
    (Conflict, 409),
    (AlreadyFinished, 409),
    (RateLimited, 503),
    (ClientClosed, 503),
    (NotSentInTime, 504),
    (NotSent, 503),
    (StartOutcomeUnknown, BAD_GATEWAY),
    (DeadlineExceeded, 504),
    (WaitTimeout, 504),
    (ProcessWaitTimeout, 504),
)
"""The status for an error. The first line that fits counts. All other errors are 502."""


@frozen(kw_only=True)
class Problem(Record):
    """A problem that a service reports: the body of its response."""

    status: int
    title: str
    """The name of the error, such as `StartConflict`."""
    detail: str
    """The message of the error, which says what is wrong and what to do."""
    look_for: str | None = None
    """What to look for on the server before a start is repeated. None for all other errors."""
    retry_after: float | None = None
    """Seconds to wait before the request is repeated. None if the server did not say."""


def problem_of(error: WorkflowAsyncError) -> Problem:
    """Return the problem that an error is for the client of a service.

    A wrong argument is 422, an unknown id 404, a conflict 409. An error of the server behind the service is 502, a
    timeout 504, and a request that was not sent 503. Refused credentials are 502, because they are the service's own.
    """
    return Problem(
        status=next((status for kind, status in STATUSES if isinstance(error, kind)), BAD_GATEWAY),
        title=type(error).__name__,
        detail=str(error),
        look_for=getattr(error, "look_for", None),
        retry_after=getattr(error, "retry_after", None),
    )


class ProblemResponse:
    """A response with a problem, for every ASGI framework that accepts an ASGI application as a response."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.status_code: int = problem.status
        """The name that Starlette's middlewares look for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the problem as JSON, without members that are None. `Retry-After` is rounded up to whole seconds."""
        members = {name: value for name, value in self.problem.to_dict().items() if value is not None}
        delay = self.problem.retry_after
        response = Response(
            status=self.problem.status,
            body=json.dumps(members).encode(),
            content_type=MEDIA_TYPE,
            headers=() if delay is None else (("retry-after", str(math.ceil(delay))),),
        )
        await response.send(send)


async def on_error(_: object, error: Any) -> Any:
    """Return the response for an error: `app.add_exception_handler(WorkflowAsyncError, on_error)`.

    For FastAPI and Starlette. In another framework, write `problem_of(error)` as its responses are written.
    """
    return ProblemResponse(problem_of(error))
