"""The exception for each status code."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from workflow_async._core.call import Call, Replay, Reply, Signature
from workflow_async._core.status import REJECTIONS, error_for, error_message, is_unauthorized, status_error
from workflow_async.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    ForeignResponse,
    ListingNotSupported,
    NotAcceptable,
    NotFound,
    RateLimited,
    ServerError,
    StartUnauthorized,
    StatusError,
    Unauthorized,
    UnexpectedRedirect,
)

GET: Call[Any] = Call("GET", "/thing", lambda reply: reply)
OPENCAST: Call[Any] = evolve(GET, signature=Signature(redirects_to_login=True))
START: Call[Any] = Call("POST", "/thing", lambda reply: reply, replay=Replay.ONCE, refusals=REJECTIONS)

KINDS: dict[int, type[StatusError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    406: NotAcceptable,
    409: Conflict,
    429: RateLimited,
}


def kind(status: int) -> type[StatusError]:
    if status in KINDS:
        return KINDS[status]
    return {3: UnexpectedRedirect, 4: StatusError, 5: ServerError}.get(status // 100, ForeignResponse)


def test_every_status_but_the_expected_one_is_an_error_of_its_class() -> None:
    for status in (100, 199, *range(201, 600), 600, 750, 999):
        error = error_for(GET, Reply(status, {}, b""))
        assert type(error) is kind(status)
        assert isinstance(error, StatusError)
        assert error.status == status


def test_the_expected_status_is_no_error() -> None:
    assert error_for(GET, Reply(200, {}, b"")) is None
    assert error_for(Call("POST", "/", lambda reply: reply, success=frozenset({201, 202})), Reply(202, {}, b"")) is None


def test_a_call_can_map_a_status_to_its_own_error() -> None:
    call: Call[Any] = Call("GET", "/", lambda reply: reply, refusals={405: lambda _: ListingNotSupported("405")})
    assert isinstance(error_for(call, Reply(405, {}, b"")), ListingNotSupported)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", ""),
        (b"No such workflow", "No such workflow"),
        (b"  padded \n", "padded"),
        (b'{"message": "No such workflow"}', "No such workflow"),
        (b'{"message": 7}', '{"message": 7}'),
        (b'{"error": "x"}', '{"error": "x"}'),
        (b'{"message": ', '{"message":'),
        (b'["message"]', '["message"]'),
        (b'{"servlet": "s", "message": "field &apos;a&apos; &lt; &quot;b&quot; &amp;amp;"}', "field 'a' < \"b\" &amp;"),
        (b'{"message": "R&amp;D"}', "R&amp;D"),
        (b"<html><h1>502</h1>", ""),
        (b"<?xml version='1.0'?><error/>", ""),
        (b"gr\xf6\xdfe", "gr\ufffd\ufffde"),
        (b'{"a":' + b"[" * 2000, '{"a":' + "[" * 2000),
    ],
)
def test_the_servers_message_is_found_whatever_the_content_type(body: bytes, message: str) -> None:
    error = status_error(Reply(500, {"content-type": "application/json"}, body))
    assert error.message == message


@given(st.text())
def test_any_body_has_a_message(text: str) -> None:
    assert isinstance(error_message(text), str)
    assert isinstance(error_message("{" + text), str)


@pytest.mark.parametrize(
    "location",
    [
        "/login.html",
        "http://oc.example.org/login.html",
        "/admin-ui/login.html?error",
        "/login.html;jsessionid=1",
        "/login.html#x",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_the_login_page_is_unauthorized(status: int, location: str) -> None:
    reply = Reply(status, {"location": location}, b"")
    assert is_unauthorized(OPENCAST, reply)
    assert type(error_for(OPENCAST, reply)) is Unauthorized
    assert type(error_for(evolve(START, signature=OPENCAST.signature), reply)) is StartUnauthorized


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_an_unknown_login_page_renews_but_is_no_refusal(status: int) -> None:
    reply = Reply(status, {"location": "/login.html"}, b"")
    assert is_unauthorized(GET, reply)
    assert not is_unauthorized(START, reply), "the start may have been carried out"
    assert type(error_for(GET, reply)) is type(error_for(START, reply)) is UnexpectedRedirect


@pytest.mark.parametrize(
    "location", ["/", "/login", "/other?to=/login.html", "http://[::1/x", "http://[", "", "\x00", "//\u2100"]
)
def test_any_other_redirect_is_an_unexpected_redirect(location: str) -> None:
    reply = Reply(302, {"location": location}, b"")
    assert not is_unauthorized(OPENCAST, reply)
    assert type(error_for(OPENCAST, reply)) is UnexpectedRedirect


def test_a_redirect_without_a_target_is_an_unexpected_redirect_too() -> None:
    assert type(error_for(GET, Reply(304, {}, b""))) is UnexpectedRedirect


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://sso.example.org/auth?token=SECRET#x", "https://sso.example.org/auth"),
        ("https://user:SECRET@sso.example.org/auth", "https://sso.example.org/auth"),
        ("//user:SECRET@sso.example.org", "//sso.example.org"),
        ("/maintenance.html;jsessionid=1#SECRET", "/maintenance.html;jsessionid=1"),
        ("", ""),
    ],
)
def test_the_error_for_a_redirect_names_the_target_without_secrets(location: str, target: str) -> None:
    error = error_for(GET, Reply(302, {"location": location}, b""))
    assert isinstance(error, UnexpectedRedirect)
    assert error.location == target
    assert "SECRET" not in str(error)
    assert target in str(error)


def test_a_login_page_with_a_success_status_is_no_401() -> None:
    assert not is_unauthorized(OPENCAST, Reply(200, {"location": "/login.html"}, b""))


def test_an_error_holds_the_retry_after_of_the_response() -> None:
    error = error_for(GET, Reply(503, {"retry-after": "7"}, b""))
    assert error is not None
    assert error.retry_after == 7
