"""The errors: their tree, their messages, and pickling."""

import copy
import inspect
import pickle
import re

import pytest

from tests.support.journal_files import ticket
from workflow_async import errors
from workflow_async._core.call import Reply
from workflow_async._core.status import status_error
from workflow_async.errors import (
    AlreadyFinished,
    Attempt,
    CallError,
    ClientClosed,
    Conflict,
    ConnectFailed,
    ConnectionBroken,
    ContentEncodingError,
    DeadlineExceeded,
    DecodeError,
    InvalidArgument,
    ListingInconsistent,
    ListingNotSupported,
    NotFound,
    NotHeld,
    PartialFailure,
    PollTaskFailed,
    RateLimited,
    ResponseMismatch,
    ResponseTooLarge,
    ServerError,
    StartConflict,
    StartOutcomeUnknown,
    StatusError,
    TLSVerificationFailed,
    TransportError,
    Unauthorized,
    UnexpectedContent,
    WaitTimeout,
    WorkflowAsyncError,
    WorkflowFailed,
    WorkflowParked,
    WorkflowReplaced,
    WrongEventLoop,
)
from workflow_async.opencast import State, Workflow
from workflow_async.preservica import Monitor

RECORD = Workflow(id=7, state=State.FAILED, state_text="failed", event_id="e")
MONITOR = Monitor(id="m", status="Running")

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, WorkflowAsyncError) and kind.__module__ == errors.__name__
}


def with_tried(error: StartConflict, tried: str) -> StartConflict:
    """Return the error with what `on_conflict` tried."""
    error.tried = tried
    return error


def with_role(error: errors.Forbidden, role: str) -> errors.Forbidden:
    """Return the error with the role that the call needs."""
    error.role = role
    return error


EVERY = [
    (InvalidArgument("id", "must be a number"), "id: must be a number"),
    (ClientClosed("not open"), "not open"),
    (WrongEventLoop("another loop"), "another loop"),
    (
        PollTaskFailed("ValueError"),
        "polling ended with an unexpected ValueError: see `__cause__`, then wait or watch again",
    ),
    (CallError("odd"), "odd"),
    (TransportError("odd"), "odd"),
    (errors.NotSent("not sent"), "not sent"),
    (ConnectFailed("refused"), "refused"),
    (TLSVerificationFailed("unknown authority"), "unknown authority"),
    (errors.ProxyRefused("the proxy opened no tunnel", status=407), "the proxy opened no tunnel"),
    (ConnectionBroken("ReadError", reused=True), "ReadError"),
    (DeadlineExceeded("no response within 3 s", sent=False), "no response within 3 s"),
    (errors.NetworkBlocked("blocked"), "blocked"),
    (errors.PaceFailed("the function of pace= raised KeyError"), "the function of pace= raised KeyError"),
    (errors.MiddlewareFailed("a middleware raised KeyError", sent=False), "a middleware raised KeyError"),
    (errors.NotSentInTime("no place within 3 s"), "no place within 3 s"),
    (ResponseTooLarge("more than 5 bytes"), "more than 5 bytes"),
    (ContentEncodingError("not a gzip stream"), "not a gzip stream"),
    (StatusError(418, "pot", "I am a teapot"), "418 StatusError: I am a teapot"),
    (errors.BadRequest(400), "400 BadRequest"),
    (Unauthorized(401), "401 Unauthorized"),
    (errors.Forbidden(403), "403 Forbidden"),
    (with_role(errors.Forbidden(403, "", "no"), "ROLE_ADMIN"), "403 Forbidden: no: this call needs ROLE_ADMIN"),
    (NotFound(404, "<html>", ""), "404 NotFound"),
    (errors.NotAcceptable(406), "406 NotAcceptable"),
    (Conflict(409, "", "busy"), "409 Conflict: busy"),
    (errors.StartRejected(405), "405 StartRejected"),
    (errors.StartInvalid(400), "400 StartInvalid"),
    (errors.StartUnauthorized(401), "401 StartUnauthorized"),
    (errors.StartForbidden(403), "403 StartForbidden"),
    (errors.StartNotFound(404), "404 StartNotFound"),
    (StartConflict(409, "", "busy"), "409 StartConflict: busy"),
    (with_tried(StartConflict(409, "", "busy"), "it has ended"), "409 StartConflict: busy: it has ended"),
    (errors.StartLimited(429), "429 StartLimited"),
    (RateLimited(429), "429 RateLimited"),
    (ServerError(503), "503 ServerError"),
    (errors.ConfigurationNotReplaced(500, "", "no"), "500 ConfigurationNotReplaced: no: Opencast 12 and later cannot"),
    (errors.UnexpectedRedirect(307, location="https://sso.example.org/"), "307 (redirect to https://sso.example.org/)"),
    (errors.ForeignResponse(404, content_type="text/html;charset=utf-8"), "404 (text/html, not written by the API)"),
    (errors.ForeignResponse(404), "404 (no Content-Type, not written by the API)"),
    (DecodeError("null @ $.a", "text @ $.b"), "the response cannot be read: null @ $.a; text @ $.b"),
    (UnexpectedContent("a page @ $"), "the response cannot be read: a page @ $"),
    (ResponseMismatch("workflow 1", "workflow 2"), "requested workflow 1, but the response is about workflow 2"),
    (ListingNotSupported("405", "v1.11.0"), "this server (API version v1.11.0) has no list of workflows (405)"),
    (ListingNotSupported("405"), "this server (API version unknown) has no list of workflows (405)"),
    (
        errors.ListingIncomplete(("GET /a (404)", "GET /b (403)"), ("e", "f"), "ROLE_ADMIN", "v1.11.0"),
        (
            "this server (API version v1.11.0) has no list of workflows, and the workflows of 2 events are not all "
            "known after GET /a (404), GET /b (403): use an account with ROLE_ADMIN"
        ),
    ),
    (
        errors.ListingIncomplete(("GET /a (404)",), ()),
        (
            "this server (API version unknown) has no list of workflows, and workflows are not all known after GET /a "
            "(404): try again"
        ),
    ),
    (
        errors.CountNotSupported(("definition_id", "current_operation"), "404", "v1.11.0"),
        (
            "this server (API version v1.11.0) cannot count workflows by definition_id and current_operation, which "
            "needs Opencast"
        ),
    ),
    (
        errors.CountNotSupported((), "404"),
        "this server (API version unknown) cannot count workflows (404): count what workflows.for_event() returns",
    ),
    (ListingInconsistent("2 pages"), "2 pages"),
    (
        StartOutcomeUnknown(ConnectionBroken("ReadError"), look_for="a workflow", ticket=ticket("7"), workflow_id=7),
        "the start may have happened (ReadError): look for a workflow (its id would be 7) before starting again",
    ),
    (errors.CoordinatorUnavailable("timed out"), "the coordinator does not answer: timed out"),
    (errors.JournalError("b.sqlite", "it is in use"), "the journal b.sqlite cannot be used: it is in use"),
    (AlreadyFinished(RECORD), "workflow 7 is failed already"),
    (NotHeld(RECORD), "workflow 7 is failed and not on hold after an error: only a workflow that is paused in"),
    (PartialFailure("terminate", 2, 1), "terminate: 1 of 3 workflows were refused"),
    (WorkflowFailed(RECORD), "workflow 7 ended failed"),
    (WorkflowParked(RECORD), "workflow 7 is failed and waits for a person"),
    (
        WorkflowReplaced(7, RECORD, RECORD),
        "the id 7 belongs to another workflow now (failed), so the result of the watched",
    ),
    (WorkflowReplaced(7, None, RECORD), "the id 7 belongs to another workflow now"),
    (WaitTimeout(7, 60.0, RECORD), "workflow 7 was not finished after 60 s (last seen failed)"),
    (WaitTimeout(7, 60.0, None), "workflow 7 was not finished after 60 s (never seen)"),
    (errors.ProcessNotFound("opex/1", 300.0, None), "no process monitor has had the name 'opex/1' for 300 s: check"),
    (
        errors.ProcessNotFound("opex/1", 300.0, MONITOR),
        "no process monitor has had the name 'opex/1' for 300 s (last seen",
    ),
    (
        errors.ProcessWaitTimeout("opex/1", 60.0, MONITOR),
        "the process 'opex/1' was not finished after 60 s (last seen R",
    ),
    (errors.ProcessWaitTimeout("opex/1", 60.0, None), "the process 'opex/1' was not finished after 60 s (never seen)"),
]


def drawn() -> set[tuple[str, str]]:
    """Return (child, parent) for every name in the tree of the module's docstring."""
    above: dict[int, str] = {-1: "WorkflowAsyncError"}
    found = set()
    for line in (errors.__doc__ or "").splitlines():
        branch = re.match(r"\s*((?:│   |    )*)[├└]── (.*)", line)
        if branch is None:
            branch = re.match(r"\s{4}((?:│   )+)([A-Z].*)", line)
        if branch is not None:
            depth = len(branch[1]) // 4
            for name in (word for word in re.findall(r"[A-Z]\w+", branch[2]) if word in CLASSES):
                found.add((name, above[depth - 1]))
                above[depth] = name
    return found


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    assert drawn() == {
        (name, kind.__bases__[0].__name__) for name, kind in CLASSES.items() if name != "WorkflowAsyncError"
    }


def test_every_error_is_public_in_one_module_whichever_file_defines_it() -> None:
    defined = {name for name, thing in vars(errors).items() if inspect.isclass(thing)}
    assert defined == set(errors.__all__) - {"BODY_CUT"}
    assert {getattr(errors, name).__module__ for name in defined} == {"workflow_async.errors"}


def test_an_error_is_pickled_under_its_public_name() -> None:
    assert b"workflow_async.errors\x94" in pickle.dumps(NotFound(404))


def test_every_error_is_in_the_table_below() -> None:
    assert {type(error) for error, _ in EVERY} == set(CLASSES.values()) - {WorkflowAsyncError}


@pytest.mark.parametrize(("error", "sentence"), EVERY, ids=lambda value: type(value).__name__)
def test_an_error_composes_its_message_from_its_data(error: WorkflowAsyncError, sentence: str) -> None:
    assert str(error).startswith(sentence)


@pytest.mark.parametrize("error", [error for error, _ in EVERY], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("through", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_an_error_keeps_its_data_through_a_pickle_and_a_copy(error: WorkflowAsyncError, through: object) -> None:
    assert callable(through)
    error = copy.copy(error)  # the table is shared by all tests
    if isinstance(error, CallError):
        error.method, error.url, error.elapsed = "GET", "https://oc.example.org/api", 1.5
        error.history, error.retry_after = (Attempt(1.0, "ServerError", 0.5), Attempt(1.5, "ServerError")), 3.0
    twin = through(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert {name: str(value) for name, value in vars(twin).items()} == {
        name: str(value) for name, value in vars(error).items()
    }


def test_the_message_contains_the_url_and_the_number_of_attempts() -> None:
    error = ServerError(503, "", "busy")
    error.method, error.url, error.elapsed = "GET", "https://oc.example.org/api", 1.25
    assert str(error) == "GET https://oc.example.org/api: 503 ServerError: busy"
    error.history = (Attempt(1.0, "ServerError", 0.5), Attempt(1.25, "ServerError"))
    assert str(error) == "GET https://oc.example.org/api: 503 ServerError: busy (after 2 attempts, 1.2 s)"


def test_timeouts_are_timeout_errors_and_invalid_arguments_are_value_errors() -> None:
    assert isinstance(DeadlineExceeded("late"), TimeoutError)
    assert isinstance(WaitTimeout(1, 2.0, None), TimeoutError)
    assert isinstance(InvalidArgument("id", "is odd"), ValueError)


def test_a_timeout_is_not_read_as_errno_and_strerror() -> None:
    error = WaitTimeout(7, 60.0, None)
    assert (error.errno, error.strerror, error.filename) == (None, None, None)


def test_a_body_is_cut_at_2048_characters() -> None:
    error = status_error(Reply(500, {}, "ä".encode() * 5000))
    assert error.body == "ä" * 2048


def test_a_request_was_not_sent_on_a_failed_connection_but_may_have_been_on_a_broken_one() -> None:
    assert not ConnectFailed("refused").sent
    assert not TLSVerificationFailed("unknown").sent
    assert ConnectionBroken("cut").sent
