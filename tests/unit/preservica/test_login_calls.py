"""The requests for a token: what is sent, what is read, and what stays secret."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from workflow_async._core.auth import Secret
from workflow_async._core.call import Call, Reply
from workflow_async._core.token_auth import TokenGrant
from workflow_async.errors import (
    DecodeError,
    InvalidArgument,
    Unauthorized,
    UnexpectedContent,
)
from workflow_async.preservica import PreservicaClient, login_calls
from workflow_async.preservica.login_calls import Account, Continuation

Sample = Callable[[str], bytes]

SEED = base64.b32encode(b"12345678901234567890").decode()
"""The seed of RFC 6238's test vectors."""
ACCOUNT = Account("u@x", "p@ss wörd&", "TEN")
LOGIN = "/api/accesstoken/login"


def form(call: Call[Any]) -> list[tuple[str, str]]:
    assert (call.method, call.content_type, call.params) == ("POST", "application/x-www-form-urlencoded", ())
    assert call.body is not None
    return parse_qsl(call.body.decode(), keep_blank_values=True)


def read(body: bytes, status: int = 200, account: Account = ACCOUNT) -> TokenGrant | Continuation:
    return login_calls.password_login(account).read(Reply(status, {}, body))


# What is sent


def test_a_login_is_a_form_with_the_tenant_if_there_is_one() -> None:
    call = login_calls.password_login(ACCOUNT)
    assert call.path == LOGIN
    assert form(call) == [("username", "u@x"), ("password", "p@ss wörd&"), ("tenant", "TEN")]


def test_a_login_without_a_tenant_requests_the_users_details() -> None:
    sent = form(login_calls.password_login(Account("u@x", "pw")))
    assert sent == [("username", "u@x"), ("password", "pw"), ("includeUserDetails", "true")]


def test_a_second_factor_has_the_continuation_and_the_current_code() -> None:
    call = login_calls.complete_login(Account("u@x", "pw", None, SEED), Continuation(Secret("cont-1"), "TEN"), 59.0)
    assert call.path == "/api/accesstoken/complete-2fa"
    assert form(call) == [
        ("username", "u@x"),
        ("continuationToken", "cont-1"),
        ("tenant", "TEN"),
        ("twoFactorToken", "287082"),
    ]


def test_a_refresh_sends_the_refresh_token() -> None:
    call = login_calls.refresh_token(TokenGrant(Secret("tok-1"), 900.0, Secret("r-1")))
    assert (call.path, form(call)) == ("/api/accesstoken/refresh", [("refreshToken", "r-1")])


def test_a_shared_secret_is_sent_as_the_recorded_hash() -> None:
    call = login_calls.external_login(Account("u@x", "pw", "TEN", shared_secret=True), 1795383564.9)
    assert call.path == "/api/accesstoken/acquire-external"
    digest = "33607ef5fa0b177fb2882bbf51ed47c4cdbafc3a"
    assert form(call) == [("username", "u@x"), ("tenant", "TEN"), ("timestamp", "1795383564"), ("hash", digest)]
    assert hashlib.sha1(b"preservica-external-auth1795383564u@xpw").hexdigest() == digest


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_one_time_codes_are_those_of_rfc_6238(at: int, code: str) -> None:
    assert login_calls.one_time_code(Secret(SEED), at) == code


def test_a_seed_can_be_short_and_have_spaces_dashes_and_lower_case_letters() -> None:
    plain = login_calls.one_time_code(Secret("JBSWY3DPEHPK3PXP"), 59)
    assert login_calls.one_time_code(Secret("jbsw y3dp-ehpk 3pxp=="), 59) == plain


@pytest.mark.parametrize("seed", ["", "AJC5DEGUVM6UQ1TT", "MZXW6!", "MZXW6Y"])
def test_a_seed_that_is_not_base32_is_refused_when_the_client_is_created_and_not_repeated(seed: str) -> None:
    with pytest.raises(InvalidArgument, match="^two_factor: must be the base32 seed") as caught:
        Account("u", "p", "T", seed)
    assert not seed or seed not in str(caught.value)


# What is read


def test_a_login_returns_a_token_its_lifetime_and_a_refresh_token(sample: Sample) -> None:
    grant = read(sample("login.json"))
    assert isinstance(grant, TokenGrant)
    assert grant.refresh_token is not None
    assert (grant.token.reveal(), grant.valid_for, grant.refresh_token.reveal()) == ("tok-1", 900.0, "r-1")


@pytest.mark.parametrize(
    ("valid", "seconds"),
    [
        ("1", 60.0),
        ("1440", 86400.0),
        ('"30"', 1800.0),
        ("0", 900.0),
        ("1441", 900.0),
        ("-5", 900.0),
        ("true", 900.0),
        ('"long"', 900.0),
        ("null", 900.0),
        ("1.5", 900.0),
    ],
)
def test_an_invalid_lifetime_counts_as_the_documented_15_minutes(valid: str, seconds: float) -> None:
    grant = read(b'{"token":"t","validFor":%s}' % valid.encode())
    assert isinstance(grant, TokenGrant)
    assert (grant.valid_for, grant.refresh_token) == (seconds, None)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b'{"token":""}', b'{"token":7}', b'{"token":"a b"}', b'{"token":"a\\nb"}', b"OK"],
)
def test_a_login_without_a_token_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError, match=r"expected a token @ \$\.token"):
        read(body)


def test_a_login_page_in_place_of_a_token_is_unexpected_content() -> None:
    with pytest.raises(UnexpectedContent):
        read(b"<html><body>Please log in</body></html>")


@pytest.mark.parametrize("key", [b"continuationToken", b"continuation-token"])
def test_a_login_that_needs_a_second_factor_is_continued_under_either_name(sample: Sample, key: bytes) -> None:
    body = sample("login-needs-2fa.json").replace(b"continuationToken", key)
    found = read(body, 401, Account("u@x", "pw", "TEN", SEED))
    assert isinstance(found, Continuation)
    assert (found.token.reveal(), found.tenant) == ("cont-1", "TEN")


def test_a_login_that_needs_a_second_factor_without_a_seed_names_the_argument(sample: Sample) -> None:
    with pytest.raises(Unauthorized, match="two-factor authentication: give two_factor="):
        read(sample("login-needs-2fa.json"), 401)


def test_a_second_factor_that_is_not_set_up_is_unauthorized(sample: Sample) -> None:
    with pytest.raises(Unauthorized, match="cannot be done unattended"):
        read(sample("login-needs-2fa-setup.json"), 401, Account("u@x", "pw", "TEN", SEED))


def test_a_second_factor_without_a_continuation_cannot_be_continued() -> None:
    with pytest.raises(DecodeError, match=r"expected a token @ \$\.continuationToken"):
        read(b'{"message":"needs.2fa"}', 401, Account("u@x", "pw", "TEN", SEED))


# What is refused before anything is sent


@pytest.mark.parametrize(
    ("settings", "argument"),
    [
        ({"username": ""}, "username"),
        ({"username": None}, "username"),
        ({"password": " "}, "password"),
        ({"password": None}, "password"),
        ({"password": "a\ud800"}, "password"),
        ({"tenant": ""}, "tenant"),
        ({"two_factor": "1"}, "two_factor"),
        ({"tenant": None, "shared_secret": True}, "tenant"),
        ({"server": ""}, "server"),
        ({"server": "http://pv.example.org"}, "server"),
        ({"server": "pv example.org"}, "server"),
        ({"server": "https://u:p@pv.example.org"}, "server"),
    ],
)
def test_an_invalid_account_or_server_is_refused_by_its_argument(settings: dict[str, Any], argument: str) -> None:
    given = {"server": "pv.example.org", "username": "u", "password": "pw", "tenant": "T", **settings}
    with pytest.raises(InvalidArgument) as caught:
        PreservicaClient(given.pop("server"), **given)
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("server", "base"),
    [
        ("eu.preservica.com", "https://eu.preservica.com"),
        ("eu.preservica.com:8443", "https://eu.preservica.com:8443"),
        ("https://eu.preservica.com/", "https://eu.preservica.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_a_server_is_a_host_or_a_url(server: str, base: str) -> None:
    assert repr(PreservicaClient(server, username="u", password="pw")) == f"PreservicaClient('{base}')"
