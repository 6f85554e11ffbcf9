"""What wrote a response: the API, or something between it and the client."""

from typing import Any

import anyio
import pytest

from tests.conftest import FakeTime
from tests.support.byte_server import GET, ReceivedRequest, http, make_transport, serve
from workflow_async._core.call import Call, Reply
from workflow_async._core.provenance import Author, Control, author, hint, is_api_present, is_final
from workflow_async._core.status import error_for
from workflow_async._core.transport import Transport
from workflow_async.errors import (
    CallError,
    CountNotSupported,
    DecodeError,
    Forbidden,
    ForeignResponse,
    ListingNotSupported,
    NotAcceptable,
    NotFound,
    StartNotFound,
    StatusError,
    Unauthorized,
    UnexpectedContent,
    UnexpectedRedirect,
)
from workflow_async.opencast import calls as opencast, definition_calls, event_calls
from workflow_async.opencast.client import PRESERVICA_REFUSAL
from workflow_async.opencast.server_calls import get_version
from workflow_async.preservica import calls as preservica

JETTY = (
    b'{\n"servlet":"org.eclipse.jetty.servlet.ServletHandler$Default404Servlet-2b56f5f8",\n"message":"Not Found",\n'
    b'"url":"/api/workflows/7",\n"status":"404"\n}'
)
JETTY_PAGE = (
    b"<html>\n<head>\n<title>Error 404 Not Found</title>\n</head>\n<body><h2>HTTP ERROR 404</h2></body>\n</html>"
)
UNPUBLISHED = b"<html><body>No service was found.</body></html>"
NGINX = b"<html>\r\n<head><title>404 Not Found</title></head>\r\n<body><center>nginx</center></body>\r\n</html>\r\n"
FOREIGN_BODIES = {
    "Jetty's JSON": JETTY,
    "Jetty's page": JETTY_PAGE,
    "CXF without the endpoint": UNPUBLISHED,
    "nginx": NGINX,
    "nothing": b"",
    "white space": b" \r\n",
    "Traefik": b"404 page not found\n",
    "an ingress": b"default backend - 404",
    "Envoy": b"no healthy upstream",
    "XHTML": b"<?xml version='1.0'?><!DOCTYPE html><html><body>404</body></html>",
}
API_TEXTS = [
    "Cannot find workflow instance with id '7'.",
    "Cannot find an event with id 'nope'.",
    "Cannot find a workflow definition with id 'nope'.",
    "Cannot resume from workflow state 'failed'",
    "Cannot delete workflow instance in this workflow state",
    "Cannot transition state from 'running' to 'succeeded'",
    "Invalid workflow state 'bogus'",
    "Required parameter 'event_identifier' is missing or invalid",
    "Passed parameter 'configuration' is invalid JSON.",
    "Unknown filter criterion in request: foo",
    "Unknown search criterion in request: foo",
    "Unknown sort criterion in request: foo",
    "Filter 'event_created' could not be parsed: The date range string is malformed",
    "The resource you requested does not exist.",
    """{"message": "Can't start workflow 'Fast' for media package 'r' because another workflow is active."}""",
]
CONTROL = Control("Test API", lambda: Call("GET", "/version", lambda reply: reply.body))
START = opencast.start_workflow("e", "fast", None)
BY_ID = {
    "get": opencast.get_workflow(7),
    "change": opencast.change_state(7, "stopped"),
    "delete": opencast.delete_workflow(7),
    "definition": definition_calls.get_definition("fast"),
}


def author_of(call: Call[Any], reply: Reply) -> Author:
    error = error_for(call, reply)
    assert error is not None
    return author(call, reply, error)


@pytest.mark.parametrize("status", [404, 405, 410])
@pytest.mark.parametrize("body", FOREIGN_BODIES.values(), ids=list(FOREIGN_BODIES))
@pytest.mark.parametrize("call", BY_ID.values(), ids=list(BY_ID))
def test_a_response_of_a_starting_opencast_or_a_proxy_is_not_the_apis(
    call: Call[Any], body: bytes, status: int
) -> None:
    assert author_of(call, Reply(status, {}, body)) is Author.OTHER


@pytest.mark.parametrize("status", [400, 404, 409])
@pytest.mark.parametrize("text", API_TEXTS)
@pytest.mark.parametrize("call", [*BY_ID.values(), START], ids=[*BY_ID, "start"])
def test_the_texts_of_opencast_are_its_own_whatever_their_content_type(call: Call[Any], text: str, status: int) -> None:
    assert author_of(call, Reply(status, {"content-type": "application/json"}, text.encode())) is Author.API


@pytest.mark.parametrize("call", [*BY_ID.values(), preservica.get_workflow(7), event_calls.workflows_of_event("e")])
@pytest.mark.parametrize("text", ["Workflow 7 is not known", '{"message": "Not Found"}', "Nicht gefunden"])
def test_an_unknown_text_needs_a_control_request(call: Call[Any], text: str) -> None:
    assert author_of(call, Reply(404, {}, text.encode())) is Author.UNKNOWN


@pytest.mark.parametrize("body", [JETTY_PAGE, NGINX, b""])
def test_without_a_known_text_an_html_page_and_an_empty_body_need_a_control_request(body: bytes) -> None:
    for call in (preservica.get_workflow(7), preservica.list_contexts(()), event_calls.workflows_of_event("e")):
        assert author_of(call, Reply(404, {}, body)) is Author.UNKNOWN


@pytest.mark.parametrize("body", [b"", JETTY, JETTY_PAGE])
def test_the_servlet_container_sends_a_403_in_its_own_format(body: bytes) -> None:
    assert author_of(opencast.get_workflow(7), Reply(403, {}, body)) is Author.UNKNOWN


@pytest.mark.parametrize("start", [START, preservica.start_workflow("42", None, None, "mark")], ids=["oc", "pv"])
def test_the_outcome_of_a_start_never_depends_on_another_request(start: Call[Any]) -> None:
    found = {
        author_of(start, Reply(status, {}, body))
        for status in range(400, 500)
        for body in (b"no", *FOREIGN_BODIES.values())
    }
    assert found == {Author.API, Author.OTHER}


@pytest.mark.parametrize("status", [404, 405, 410])
@pytest.mark.parametrize("body", FOREIGN_BODIES.values(), ids=list(FOREIGN_BODIES))
@pytest.mark.parametrize("start", [START, preservica.start_workflow("42", None, None, "mark")], ids=["oc", "pv"])
def test_a_start_that_did_not_reach_the_api_was_not_refused(start: Call[Any], body: bytes, status: int) -> None:
    told_apart = start is START or body != JETTY  # Preservica's servlet container is not known
    assert author_of(start, Reply(status, {}, body)) is (Author.OTHER if told_apart else Author.API)


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (NotFound(404), True),
        (Forbidden(403), True),
        (NotAcceptable(406), True),
        (StartNotFound(404), True),
        (ListingNotSupported("405"), True),
        (CountNotSupported((), "404"), True),
        (Unauthorized(401), False),
        (StatusError(407), False),
        (ForeignResponse(404), False),
        (UnexpectedRedirect(302), False),
        (DecodeError("@ $"), False),
    ],
)
def test_only_final_errors_need_a_control_request(error: CallError, final: bool) -> None:  # noqa: FBT001 - a column
    assert is_final(error) is final


@pytest.mark.parametrize(
    ("refused", "control", "there"),
    [(404, 200, True), (404, 404, False), (404, 503, False), (404, 0, False), (403, 403, True), (406, 406, True)],
)
def test_the_api_is_there_if_it_responds_or_refuses_the_user_everything(
    refused: int,
    control: int,
    there: bool,  # noqa: FBT001 - a column
) -> None:
    assert is_api_present(refused, control) is there


@pytest.mark.parametrize(
    ("control", "message"),
    [
        (200, "the Test API at http://x responds, so a proxy"),
        (0, "the Test API at http://x does not respond at the moment"),
        (503, "the Test API at http://x does not respond at the moment"),
        (404, "no Test API at http://x: check the path of the base URL"),
        (302, "no Test API at http://x: check the path of the base URL"),
    ],
)
def test_the_hint_says_what_the_control_request_found(control: int, message: str) -> None:
    assert hint("Test API", "http://x", control).startswith(message)


# Over a socket


def controlled(url: str, time: FakeTime) -> Transport:
    transport = make_transport(url, time.clock)
    transport.control = CONTROL
    transport.open()
    return transport


async def failing(transport: Transport, call: Call[Any] = GET) -> CallError:
    with pytest.raises(CallError) as caught:
        await transport.send(call)
    await transport.aclose()
    return caught.value


async def test_a_404_is_final_if_the_control_request_succeeds(fake_time: FakeTime) -> None:
    async with serve(
        lambda received: http(200, b"1") if received.target == "/version" else http(404, b"gone")
    ) as server:
        error = await failing(controlled(server.url, fake_time))
    assert type(error) is NotFound
    assert [received.target for received in server.requests] == ["/thing", "/version"]


@pytest.mark.parametrize("control", [http(404), http(503), http(302, b"", location="/x"), http(405, NGINX)])
async def test_a_404_is_an_outage_if_the_control_request_fails(control: bytes, fake_time: FakeTime) -> None:
    async with serve(lambda received: control if received.target == "/version" else http(404, b"gone")) as server:
        error = await failing(controlled(server.url, fake_time))
    assert type(error) is ForeignResponse
    assert (error.status, error.attempts) == (404, 4)


async def test_a_temporary_404_is_retried(fake_time: FakeTime) -> None:
    left = [http(404, UNPUBLISHED), http(404, JETTY), http(200, b"{}")]
    async with serve(lambda received: http(404) if received.target == "/version" else left.pop(0)) as server:
        transport = controlled(server.url, fake_time)
        assert await transport.send(GET) == {}
        await transport.aclose()


async def test_the_error_says_that_the_base_url_is_wrong(fake_time: FakeTime) -> None:
    async with serve(lambda _: http(404, NGINX, content_type="text/html")) as server:
        error = await failing(controlled(server.url, fake_time))
    received = "404 (text/html, not written by the API)"
    assert f"{received}: no Test API at {server.url}: check the path of the base URL" in str(error)
    assert error.absent == f"no Test API at {server.url}"


async def test_the_error_about_a_page_says_that_the_base_url_is_wrong(fake_time: FakeTime) -> None:
    page = http(200, NGINX, content_type="text/html")
    async with serve(lambda received: http(404) if received.target == "/version" else page) as server:
        error = await failing(controlled(server.url, fake_time))
    assert type(error) is UnexpectedContent
    assert str(error).endswith(f"no Test API at {server.url} (after 2 attempts, {error.elapsed:.1f} s)")


async def test_a_page_of_an_api_that_is_there_says_nothing_about_the_base_url(fake_time: FakeTime) -> None:
    page = http(200, NGINX, content_type="text/html")
    async with serve(lambda received: http(200, b"1") if received.target == "/version" else page) as server:
        error = await failing(controlled(server.url, fake_time))
    assert (type(error), error.absent) == (UnexpectedContent, "")


@pytest.mark.parametrize("thing", [http(200, NGINX, content_type="text/html"), http(404, b"gone")])
async def test_a_page_of_another_server_or_about_maintenance_does_not_say_which_it_is(
    thing: bytes, fake_time: FakeTime
) -> None:
    page = http(200, NGINX, content_type="text/html")
    async with serve(lambda received: page if received.target == "/api/version" else thing) as server:
        transport = controlled(server.url, fake_time)
        transport.control = Control(CONTROL.name, get_version)
        error = await failing(transport)
    assert error.absent == ""
    assert "check the path of the base URL, or wait if the page is about maintenance" in str(error)


@pytest.mark.parametrize(("body", "found"), [(b'{ "success" : false }', ", but a Other"), (b"no", "")])
async def test_a_refusal_by_another_system_is_told_without_a_control_request(
    body: bytes, found: str, fake_time: FakeTime
) -> None:
    async with serve(lambda _: http(401, body)) as server:
        transport = controlled(server.url, fake_time)
        transport.control = Control(CONTROL.name, CONTROL.make_call, "Other", PRESERVICA_REFUSAL)
        error = await failing(transport)
    assert type(error) is Unauthorized
    assert error.absent == (f"no Test API at {server.url}{found}" if found else "")
    assert error.what.endswith(error.absent)
    assert [received.target for received in server.requests] == ["/thing"]


async def test_concurrent_calls_share_one_control_request(fake_time: FakeTime) -> None:
    def answer(received: ReceivedRequest) -> bytes:
        return http(200, b"1") if received.target == "/version" else http(404, b"gone")

    async with serve(answer) as server:
        transport = controlled(server.url, fake_time)
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(not_found, transport)
        await transport.aclose()
    requests = [received.target for received in server.requests]
    assert requests.count("/thing") == 8
    assert 1 <= requests.count("/version") <= 8


async def not_found(transport: Transport) -> None:
    with pytest.raises(NotFound):
        await transport.send(GET)
