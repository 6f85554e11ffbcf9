"""Rows 25 to 29 and 31: responses with an error status or with other content."""

from collections.abc import Callable

import pytest

from tests.conftest import FakeTime, See
from tests.support.byte_server import ByteServer, ReceivedRequest, http, serve
from tests.support.call_endings import Outcomes, faulty_server, outcome, outcomes
from tests.support.stub_clients import SYSTEMS, client_of, workflow
from workflow_async import errors
from workflow_async.errors import DecodeError, ListingNotSupported, ServerError, UnexpectedRedirect
from workflow_async.preservica.login_calls import LOGIN

REPEATED = "get: 2 sent, right; start: 1 sent, StartOutcomeUnknown"
HTML = b"<html><head><title>500</title></head><body>" + b"\xff\xfe \xc3\xbc " * 1000 + b"</body></html>"
MESSAGE = b'{"message": "Workflow engine asleep"}'
call = pytest.mark.parametrize("system", SYSTEMS)


def says(status: int, body: bytes = b"", **headers: str) -> Callable[[bytes], bytes]:
    """Return a fault that replaces every response with this one."""
    return lambda _: http(status, body, **headers)


# The server, or a proxy in front of it, fails


@pytest.mark.row(25)
@pytest.mark.parametrize(
    ("body", "message", "kept"),
    [(HTML, "", HTML.decode("utf-8", "replace")[:2048]), (MESSAGE, "Workflow engine asleep", MESSAGE.decode())],
    ids=["a page", "a sentence"],
)
@call
async def test_a_failing_server_is_retried_and_its_message_is_kept(
    system: str, body: bytes, message: str, kept: str, fake_time: FakeTime, see: See
) -> None:
    found = await outcomes(system, says(500, body), fake_time)
    assert str(found) == REPEATED
    cause = found.start_result.cause
    assert (type(cause), cause.body, cause.message) == (ServerError, kept, message)
    found = await outcomes(system, says(500, body), fake_time, always=True)
    assert (type(found.get_result), found.get_result.body, found.get_result.message, found.get_result.attempts) == (
        ServerError,
        kept,
        message,
        4,
    )
    see(f"{REPEATED}; body kept: 2,048 characters")


@pytest.mark.row(26)
@pytest.mark.parametrize("status", [502, 504])
@call
async def test_a_failing_proxy_is_retried_and_a_start_may_have_happened(
    system: str, status: int, fake_time: FakeTime, see: See
) -> None:
    page = b"<html><body><h1>Bad Gateway</h1></body></html>"
    found = await outcomes(system, says(status, page), fake_time)
    assert str(found) == REPEATED
    assert found.start_result.cause.status == status
    see(str(found))


# The server redirects


async def redirected(system: str, location: str, status: int, time: FakeTime) -> Outcomes:
    """Return how both calls end if every response redirects. No redirect is followed."""
    found = await outcomes(system, says(status, b"", location=location), time, always=True)
    assert getattr(found.start_result, "cause", found.start_result).attempts == 1
    return found


@pytest.mark.row(27)
@pytest.mark.parametrize("host", ["", "https://oc.example.org"])
@call
async def test_only_the_redirect_of_opencast_to_its_login_page_is_a_refusal(
    system: str, host: str, fake_time: FakeTime, see: See
) -> None:
    found = await redirected(system, f"{host}/login.html", 302, fake_time)
    assert (
        str(found)
        == {
            "opencast": "get: 1 sent, Unauthorized; start: 1 sent, StartUnauthorized",
            "preservica": "get: 7 sent, UnexpectedRedirect; start: 1 sent, StartOutcomeUnknown",
        }[system]
    )
    see(f"{system}: {found}")


@pytest.mark.row(27)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@call
async def test_a_redirect_to_another_host_is_not_followed_and_a_start_may_have_happened(
    system: str, status: int, fake_time: FakeTime, see: See
) -> None:
    async with serve(http(200, workflow(system, 1603))) as other:
        found = await redirected(system, f"{other.url}/api/workflows/1603", status, fake_time)
        assert (other.connections, other.requests) == (0, [])
    assert (
        str(found) == "get: 5 sent, UnexpectedRedirect; start: 1 sent, StartOutcomeUnknown"
    )  # 4 attempts and the version
    assert isinstance(found.get_result, UnexpectedRedirect)
    assert found.get_result.location == f"{other.url}/api/workflows/1603"
    see("another host: UnexpectedRedirect, no connection to it")


# Pages


PAGE = b"\r\n<!DOCTYPE html><html><body><form action='/login'>running succeeded</form></body></html>"


def logins(byte_server: ByteServer) -> int:
    return sum(request.target == LOGIN for request in byte_server.requests)


@pytest.mark.row(28)
@call
async def test_a_login_page_causes_one_login_one_more_attempt_and_one_control_request(
    system: str, fake_time: FakeTime, see: See
) -> None:
    # the control request gets the page too, and a client whose credentials expire logs in once more for it
    sent = {"opencast": 3, "preservica": 5}[system]
    async with faulty_server(system, says(200, PAGE, content_type="text/html"), fake_time, always=True) as (
        server,
        client,
        w,
    ):
        found = await server.outcomes(client)
        assert logins(w) == {"opencast": 0, "preservica": 3}[system]
    assert str(found) == f"get: {sent} sent, UnexpectedContent; start: 1 sent, StartOutcomeUnknown"
    see(f"{system}: {found}, {logins(w)} logins")


@pytest.mark.row(28)
@call
async def test_a_temporary_login_page_is_retried(system: str, fake_time: FakeTime) -> None:
    found = await outcomes(system, says(200, PAGE, content_type="text/html"), fake_time)
    assert str(found) == REPEATED


@pytest.mark.row(28)
@call
async def test_an_html_page_is_no_record_whatever_its_content_type(system: str, fake_time: FakeTime) -> None:
    for content_type in ("application/json", "application/xml", ""):
        found = await outcomes(system, says(201, PAGE, content_type=content_type), fake_time, always=True)
        assert not hasattr(found.start_result, "state")
        found = await outcomes(system, says(200, PAGE, content_type=content_type), fake_time, always=True)
        assert isinstance(found.get_result, DecodeError)


PORTALS = (
    b'{"status": "Please accept the terms of use", "redirect": "https://portal.example.org"}',
    b'{"message": "down for maintenance", "state": "maintenance"}',
    b'"maintenance"',
    b"<portal><status>Please accept the terms of use</status></portal>",
)


@pytest.mark.row(29)
@pytest.mark.parametrize("content_type", ["application/json", "application/xml"])
@pytest.mark.parametrize("body", PORTALS, ids=["portal", "maintenance", "a text", "XML"])
@call
async def test_a_document_about_something_else_is_a_decode_error(
    system: str, body: bytes, content_type: str, fake_time: FakeTime, see: See
) -> None:
    assert str(await outcomes(system, says(200, body, content_type=content_type), fake_time)) == REPEATED
    found = await outcomes(system, says(200, body, content_type=content_type), fake_time, always=True)
    assert isinstance(found.get_result, DecodeError)
    assert found.get_result.attempts >= 2
    see(REPEATED)


# Refusals


@pytest.mark.row(31)
@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "BadRequest", "StartInvalid"),
        (403, "Forbidden", "StartForbidden"),
        (404, "NotFound", "StartNotFound"),
        (405, "StatusError", "StartRejected"),
        (406, "NotAcceptable", "StartRejected"),
        (409, "Conflict", "StartConflict"),
        (410, "StatusError", "StartRejected"),
        (415, "StatusError", "StartRejected"),
    ],
)
@call
async def test_a_refusal_is_typed_never_repeated_and_a_start_has_not_happened(
    system: str, status: int, kind: str, expected: str, fake_time: FakeTime, see: See
) -> None:
    found = await outcomes(system, says(status, MESSAGE), fake_time, always=True, has_version=True)
    assert str(found) == f"get: 1 sent, {kind}; start: 1 sent, {expected}"
    assert (found.get_result.status, found.get_result.message, fake_time.naps) == (status, "Workflow engine asleep", [])
    assert isinstance(found.get_result, getattr(errors, kind))
    see("1 sent each, typed")


@pytest.mark.row(31)
@pytest.mark.parametrize(
    "answer",
    [http(404), http(405), http(200, b"{}"), http(200, b'{"workflows": []}'), http(200, b'"none"'), http(200, b"7")],
    ids=["404", "405", "object", "object with a list", "text", "number"],
)
async def test_no_list_is_listing_not_supported_with_the_version_of_the_server(
    answer: bytes, fake_time: FakeTime, see: See
) -> None:
    def respond(request: ReceivedRequest) -> bytes:
        version = {"default": "v1.10.0", "versions": ["v1.10.0"]}
        refused = http(403) if request.target.startswith("/api/events") else answer
        return http(200, version) if request.target == "/api/version" else refused

    async with serve(respond) as byte_server, client_of("opencast", byte_server.url, clock=fake_time.clock) as oc:
        found = await outcome(oc.workflows.list().first())
        assert isinstance(found, ListingNotSupported)
        assert found.version == "v1.10.0"
        assert sum(request.target.startswith("/api/workflows") for request in byte_server.requests) == 1
    see("no list and no events: ListingNotSupported, 1 request for the list")
