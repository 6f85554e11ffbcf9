"""Errors of the library as responses of a service."""

import httpx
import pytest
from fastapi import FastAPI

from workflow_async import OpencastClient, errors
from workflow_async.errors import (
    ClientClosed,
    ConnectFailed,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    NotSentInTime,
    ProcessNotFound,
    ProcessWaitTimeout,
    RateLimited,
    ServerError,
    StartConflict,
    StartNotFound,
    StartOutcomeUnknown,
    Unauthorized,
    WaitTimeout,
    WorkflowAsyncError,
)
from workflow_async.problems import BAD_GATEWAY, STATUSES, on_error, problem_of


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidArgument("id", "must be a number"), 422),
        (NotFound(404), 404),
        (StartNotFound(404), 404),
        (StartConflict(409), 409),
        (RateLimited(429), 503),
        (ClientClosed("closed"), 503),
        (ConnectFailed("refused"), 503),
        (NotSentInTime("late"), 504),
        (DeadlineExceeded("late"), 504),
        (WaitTimeout(7, 60.0, None), 504),
        (ProcessNotFound("opex/1", 300.0, None), 404),
        (ProcessWaitTimeout("opex/1", 60.0, None), 504),
        (Unauthorized(401), 502),
        (ServerError(500), 502),
    ],
)
def test_the_status_says_whose_fault_it_is(error: WorkflowAsyncError, status: int) -> None:
    problem = problem_of(error)
    assert problem.status == status
    assert (problem.title, problem.detail) == (type(error).__name__, str(error))


@pytest.fixture
async def unknown() -> StartOutcomeUnknown:
    """Return the error of a start whose response was lost."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b"not json"))
    http = httpx.AsyncClient(transport=transport)
    async with http, OpencastClient("https://oc.example.org", auth=("user", "secret"), http=http) as oc:
        with pytest.raises(StartOutcomeUnknown) as caught:
            await oc.workflows.start("an-event", "fast")
    return caught.value


def test_a_start_without_an_answer_says_what_to_look_for(unknown: StartOutcomeUnknown) -> None:
    problem = problem_of(unknown)
    assert problem.status == 502
    assert problem.look_for is not None
    assert "an-event" in problem.look_for


async def answer_of(error: WorkflowAsyncError) -> httpx.Response:
    """Return the response of a FastAPI service in which a route raises this error."""
    app = FastAPI()
    app.add_exception_handler(WorkflowAsyncError, on_error)

    @app.get("/")
    async def route() -> None:
        raise error

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as http:
        return await http.get("/")


async def test_fastapi_answers_with_a_problem() -> None:
    response = await answer_of(NotFound(404))
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {"status": 404, "title": "NotFound", "detail": str(NotFound(404))}


@pytest.mark.parametrize(("seconds", "header"), [(None, None), (0.2, "1"), (30.0, "30"), (30.5, "31")])
async def test_a_delay_that_the_server_asks_for_is_handed_on(seconds: float | None, header: str | None) -> None:
    error = RateLimited(429)
    error.retry_after = seconds
    assert (await answer_of(error)).headers.get("retry-after") == header


def test_every_error_of_the_library_has_a_status_of_a_service() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__ if isinstance(getattr(errors, name), type)]
    raised = [kind for kind in kinds if issubclass(kind, WorkflowAsyncError)]
    assert {status_of(kind) for kind in raised} == {404, 409, 422, 502, 503, 504}


def status_of(kind: type[WorkflowAsyncError]) -> int:
    return next((status for listed, status in STATUSES if issubclass(kind, listed)), BAD_GATEWAY)
