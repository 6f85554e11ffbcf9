"""Errors are told in the words of the command line, with the request in brackets after the sentence."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.cli.conftest import Run, opencast_of, preservica_of
from tests.support.journal_files import ticket
from workflow_async.cli.messages import error_text, in_own_words, option_name, reason_text
from workflow_async.errors import (
    AlreadyFinished,
    Attempt,
    CallError,
    ConnectFailed,
    DeadlineExceeded,
    Forbidden,
    ForeignResponse,
    InvalidArgument,
    ListingIncomplete,
    ListingNotSupported,
    NotFound,
    ResponseMismatch,
    ServerError,
    StartOutcomeUnknown,
    StatusError,
    Unauthorized,
    UnexpectedContent,
)
from workflow_async.opencast import State, Workflow
from workflow_async.sandbox import CannedResponse, Faults, Sandbox

PYTHON = re.compile(r"\w\(\)|=True|\w+=[,\s]|`|__|[a-z]Error\b|\bNone\b")
"""What a sentence of the command line never has: calls, arguments and classes of Python."""
URL = "https://oc.example.org/api/workflows/7"


def call_error(error: CallError, attempts: int = 1) -> CallError:
    error.method, error.url, error.elapsed = "GET", URL, 2.34
    error.history = tuple(Attempt(1.0, "x") for _ in range(attempts))
    return error


def refused(username: str = "", message: str = "") -> Unauthorized:
    error = Unauthorized(401, message=message)
    error.username = username
    return error


def forbidden() -> Forbidden:
    error = Forbidden(403)
    error.role, error.access = "ROLE_ADMIN", "read access to the event"
    return error


def foreign() -> ForeignResponse:
    error = ForeignResponse(404, content_type="text/html")
    error.hint = "the Opencast External API at https://oc.example.org does not respond at the moment"
    return error


def unlisted(argument: str) -> ListingNotSupported:
    error = ListingNotSupported("404")
    error.argument = argument
    return error


def absent() -> CallError:
    error = ForeignResponse(404)
    error.absent = "no Opencast External API at https://oc.example.org"
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NotFound(404, message="No such workflow"), "not found: No such workflow"),
        (ServerError(503), "the server failed"),
        (NotFound(404, message="Not Found"), "not found (404, "),
        (StatusError(418), "an unexpected answer"),
        (refused("admin"), "user name or password refused for admin"),
        (refused("admin", "locked; these credentials are not tried again"), "refused for admin: locked"),
        (refused(), "user name or password refused"),
        (forbidden(), "this user may not do that: it needs ROLE_ADMIN and read access to the event"),
        (foreign(), "the Opencast External API at https://oc.example.org does not respond at the moment"),
        (ForeignResponse(404, content_type="text/html"), "404 (text/html, not written by the API)"),
        (absent(), "no Opencast External API at https://oc.example.org: is the URL right, and the path in it?"),
        (UnexpectedContent("expected JSON"), "a web page came instead of data: is the URL right, or is this a login"),
        (ListingNotSupported("404", "v1.11.0"), "(API version v1.11.0) has no list of workflows since 12.0: watch ids"),
        (unlisted("sort"), "this server (API version unknown) has no list of workflows since 12.0: leave out --sort"),
        (ListingIncomplete(("GET",), ("e-1",), "ROLE_ADMIN"), "use an account with ROLE_ADMIN"),
        (ConnectFailed("ConnectError: [Errno 111] Connect call failed ('127.0.0.1', 9)"), "connection refused"),
        (ResponseMismatch("7", "8"), "requested 7, but the response is about 8"),
    ],
)  # fmt: skip
def test_the_sentence_comes_first_and_the_request_in_brackets_after_it(error: CallError, sentence: str) -> None:
    text = error_text(call_error(error))
    assert sentence in text
    assert text.endswith(f"GET {URL})")
    assert PYTHON.search(text) is None


def test_the_brackets_hold_the_status_the_rows_and_the_attempts() -> None:
    error = call_error(ServerError(503), attempts=4)
    error.part = "rows 0 to 99"
    assert error_text(error) == f"the server failed (503, GET {URL}, rows 0 to 99, 4 attempts in 2.3 s)"
    assert error_text(ConnectFailed("refused")) == "refused"


def test_a_start_with_an_unknown_outcome_says_what_to_look_for() -> None:
    cause = call_error(ConnectFailed("ReadError: the connection ended"))
    error = StartOutcomeUnknown(cause, look_for="a workflow of e-1", ticket=ticket("7"), workflow_id=9)
    assert error_text(error) == (
        "the start may have happened, the connection ended: "
        f"look for a workflow of e-1 (its id would be 9) first (GET {URL})"
    )
    unnamed = StartOutcomeUnknown(ConnectFailed("reset"), look_for="it", ticket=ticket("7"))
    assert error_text(unnamed) == "the start may have happened, reset: look for it first"


def test_a_workflow_that_has_ended_is_left_as_it_is() -> None:
    ended = Workflow(id=7, state=State.SUCCEEDED, state_text="succeeded", event_id="e-1")
    assert error_text(AlreadyFinished(ended)) == "workflow 7 is succeeded already, so nothing was done to it"


@pytest.mark.parametrize(
    ("argument", "option"),
    [
        ("url", "--url"),
        ("server", "--url"),
        ("max_running", "--max-running"),
        ("event_id", "--event"),
        ("ID", "ID"),
        ("workflow_id", "ID"),
    ],
)
def test_an_argument_has_the_name_of_its_option(argument: str, option: str) -> None:
    assert option_name(argument) == option
    assert error_text(InvalidArgument(argument, "is wrong")) == f"{option}: is wrong"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ConnectError: All connection attempts failed", "All connection attempts failed"),
        ("OSError: [Errno -2] Name or service not known", "unknown host name"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "connection refused"),
        ("no response within 30 s", "no response within 30 s"),
    ],
)
def test_a_reason_has_no_class_names(reason: str, words: str) -> None:
    assert reason_text(reason) == words


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [((), ""), (("ConnectFailed",), ": the server cannot be reached"), (("ConnectFailed", "DecodeError"), "")],
)
def test_a_deadline_is_told_with_what_the_last_attempt_ended_with(outcomes: tuple[str, ...], words: str) -> None:
    error = DeadlineExceeded("no response within 3 s")
    error.history = tuple(Attempt(1.0, outcome) for outcome in outcomes)
    assert error_text(error).startswith(f"no response within 3 s{words}")
    assert error_text(error).count(":") == bool(words)


def test_advice_for_programmers_becomes_advice_about_options() -> None:
    assert in_own_words("give tls=TLS(client_cert=(certificate, key))") == "give --client-cert"
    assert in_own_words("is missing: give username=, or set OPENCAST_USERNAME").startswith(
        "is missing: give --username"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "--url", "http://oc.example.org"), "--url: must be https://, .*: or give --allow-insecure-http"),
        (("watch", "--filter", "x=y", "--url", "https://oc.example.org"), "is not a filter of workflows. See --help"),
        (("list", "--system", "preservica", "--url", "eu.preservica.com"), "--username: is missing: give --username"),
        (("list", "--url", "https://a:b@oc.example.org"), "give --username and --password-file"),
    ],
)
def test_a_wrong_option_is_told_in_options(run: Run, arguments: tuple[str, ...], words: str) -> None:
    env = {"OPENCAST_USERNAME": "admin", "OPENCAST_PASSWORD": "opencast"}
    result = run(*arguments, env=env)
    assert result.exit_code == 2
    assert re.search(words, result.stderr), result.stderr
    assert PYTHON.search(result.stderr) is None, result.stderr


# A wrong URL


@contextmanager
def web_server(status: int, page: bytes) -> Iterator[str]:
    """Serve one page for all paths. Return the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def do_POST(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def credentials(sandbox: Sandbox, url: str) -> dict[str, str]:
    return {**opencast_of(sandbox), **preservica_of(sandbox), "OPENCAST_URL": url, "PRESERVICA_SERVER": url}


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize(("system", "name"), [("opencast", "Opencast External API"), ("preservica", "Preservica")])
@pytest.mark.parametrize("command", [("list",), ("show", "7")])
def test_another_web_server_is_told_as_a_wrong_url(
    run: Run, fakes: Sandbox, status: int, system: str, name: str, command: tuple[str, ...]
) -> None:
    with web_server(status, b"<html><title>Welcome</title></html>") as url:
        result = run(*command, "--system", system, env=credentials(fakes, url))
    assert result.stderr.startswith(f"workflow-async: no {name} at {url}: is the URL right, and the path in it? (")
    assert (result.exit_code, result.stdout) == (5, "")


@pytest.mark.parametrize(("system", "name"), [("opencast", "Opencast External API"), ("preservica", "Preservica")])
@pytest.mark.parametrize("command", [("list",), ("show", "7"), ("check",)])
def test_a_page_that_may_be_about_maintenance_names_both_possibilities(
    run: Run, fakes: Sandbox, system: str, name: str, command: tuple[str, ...]
) -> None:
    with web_server(200, b"<html><title>We will be back soon</title></html>") as url:
        result = run(*command, "--system", system, env=credentials(fakes, url))
    expected = (
        f"workflow-async: a web page came in place of the {name} at {url}: is the URL right, and the path in it? If so"
    )
    assert result.stderr.startswith(expected)
    assert "If so, try again later: it is a portal, or about maintenance (" in result.stderr
    assert result.exit_code == 3


def test_a_start_at_a_wrong_url_was_not_done(run: Run, fakes: Sandbox) -> None:
    with web_server(404, b"<html></html>") as url:
        result = run("start", "e", "fast", "--system", "opencast", env=credentials(fakes, url))
    assert result.stderr.startswith(f"workflow-async: no Opencast External API at {url}: is the URL right")
    assert (result.exit_code, result.stdout) == (5, "")


def test_a_start_of_what_does_not_exist_is_told_whatever_the_version_says(run: Run, fakes: Sandbox) -> None:
    fakes.opencast.faults = Faults(rates={CannedResponse(403): 1.0}, paths=("/api/version",))
    result = run("start", fakes.opencast.event(), "no-such", env=opencast_of(fakes))
    assert (result.exit_code, "not found" in result.stderr) == (5, True)


@pytest.mark.parametrize("command", [("list",), ("check",), ("start", "e", "fast"), ("watch", "7", "--timeout", 20)])
def test_a_preservica_in_place_of_an_opencast_is_told(run: Run, fakes: Sandbox, command: tuple[str, ...]) -> None:
    url = fakes.preservica.url
    result = run(*command, "--system", "opencast", env=credentials(fakes, url))
    assert f"no Opencast External API at {url}, but a Preservica" in " ".join(result.output.split())
    assert result.exit_code == 5


def test_an_opencast_in_place_of_a_preservica_is_told_as_a_wrong_url(run: Run, fakes: Sandbox) -> None:
    env = credentials(fakes, fakes.opencast.url)
    result = run("list", "--system", "preservica", env=env)
    assert result.stderr.startswith(f"workflow-async: no Preservica at {fakes.opencast.url}: is the URL right")
    assert result.exit_code == 5


def test_a_watch_of_a_wrong_url_says_so_for_each_workflow(run: Run, fakes: Sandbox) -> None:
    with web_server(404, b"<html></html>") as url:
        env = credentials(fakes, url)
        result = run("watch", 7, "--system", "opencast", "--json", "--timeout", 20, "--every", 0.1, env=env)
    (line,) = result.stdout.splitlines()
    assert f"no Opencast External API at {url}" in json.loads(line)["error"]


@pytest.mark.parametrize("system", ["opencast", "preservica"])
def test_a_wrong_password_names_the_user_and_exits_with_4(run: Run, fakes: Sandbox, system: str) -> None:
    env = {**opencast_of(fakes), **preservica_of(fakes), "OPENCAST_PASSWORD": "x", "PRESERVICA_PASSWORD": "x"}
    result = run("list", "--system", system, env=env)
    user = {"opencast": fakes.opencast.username, "preservica": fakes.preservica.username}[system]
    assert result.stderr.startswith(f"workflow-async: user name or password refused for {user}")
    assert PYTHON.search(result.stderr) is None, result.stderr
    assert result.exit_code == 4
