"""What users pass as `auth=`: the headers of each credential, and what is refused without repeating it."""

import asyncio
import base64
import copy
import pickle
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from workflow_async import Basic, Bearer, Digest
from workflow_async._core.auth import Secret, SecretHeaders, checked_header
from workflow_async._core.call import Reply
from workflow_async.errors import InvalidArgument

REFUSED = Reply(401, {}, b"")
ASK = ("GET", "https://example.org/")


@pytest.mark.parametrize(
    ("username", "password"),
    [("admin", "opencast"), ("jörg", "pässwörd €"), ("a b", ":::"), ("a", ""), ("a", " x "), ("a", "x" * 8192)],
)
async def test_basic_sends_user_and_password_in_utf_8(username: str, password: str) -> None:
    headers = dict(await Basic(username, password).headers(*ASK))
    scheme, _, pair = headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair).decode()) == ("Basic", f"{username}:{password}")
    assert headers["x-requested-auth"] == "Basic"


@pytest.mark.parametrize("username", ["", "a:b", "a\r\nb", "a\0"])
def test_a_user_name_that_basic_cannot_encode_is_refused(username: str) -> None:
    with pytest.raises(InvalidArgument, match="username"):
        Basic(username, "s3cret")


FORBIDDEN_ENDS = ["\ud800", "\n", "\r\n", "\r\nX-Evil: 1", "\0", "\t", "\x7f", "\x85", "x" * 10240]


def short(value: object) -> str:
    return ascii(value)[:16]


@pytest.mark.figure("T-SECRET")
@pytest.mark.parametrize("end", FORBIDDEN_ENDS, ids=short)
def test_an_invalid_password_is_refused_and_not_repeated(end: str) -> None:
    with pytest.raises(InvalidArgument, match="^password: must be a text without line ends") as caught:
        Basic("a", "s3cret" + end)
    assert "s3cret" not in printed(caught.value)


@pytest.mark.parametrize("nothing", [None, b"s3cret", 7])
def test_a_password_that_is_not_a_string_is_refused_and_not_repeated(nothing: Any) -> None:
    with pytest.raises(InvalidArgument, match="password") as caught:
        Basic("a", nothing)
    assert "s3cret" not in printed(caught.value)


def test_the_error_for_a_user_name_does_not_reveal_the_password() -> None:
    with pytest.raises(InvalidArgument) as caught:
        Basic("a:b", "s3cret")
    assert "s3cret" not in printed(caught.value)


def printed(error: BaseException) -> str:
    """Return the error and the local variables of every frame except the test's own, which holds the secret."""
    _, *frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    assert frames
    return "".join([str(error), repr(error), repr(vars(error)), *(str(frame.locals) for frame in frames)])


async def test_a_refused_password_stays_refused() -> None:
    basic = Basic("a", "b")
    assert not await basic.renew(await basic.headers(*ASK), REFUSED, *ASK)


def constant(password: str | Secret) -> Callable[[], str | Secret]:
    return lambda: password


def awaited(password: str | Secret) -> Callable[[], Awaitable[str | Secret]]:
    async def current() -> str | Secret:
        return password

    return current


@pytest.mark.parametrize("make", [constant, awaited])
@pytest.mark.parametrize("password", ["pässwörd", Secret("pässwörd")], ids=["text", "secret"])
async def test_a_function_returns_the_password_of_basic(make: Any, password: Any) -> None:
    assert await Basic("a", make(password)).headers(*ASK) == await Basic("a", "pässwörd").headers(*ASK)


async def test_a_function_renews_basic_only_by_another_password() -> None:
    passwords = iter(["old", "old", "new"])
    basic = Basic("a", lambda: next(passwords))
    sent = await basic.headers(*ASK)
    assert not await basic.renew(sent, REFUSED, *ASK)
    assert await basic.renew(sent, REFUSED, *ASK)


@pytest.mark.parametrize("end", ["\n", "\ud800"], ids=ascii)
@pytest.mark.parametrize("make", [constant, awaited])
async def test_an_invalid_password_of_a_function_is_refused_and_not_repeated(make: Any, end: str) -> None:
    with pytest.raises(InvalidArgument, match="^password: must be a text without line ends") as caught:
        await Basic("a", make("s3cret" + end)).headers(*ASK)
    assert "s3cret" not in f"{caught.value!r}"


async def test_what_a_401_refuses_for_good() -> None:
    one, other = [await Basic("a", password).headers(*ASK) for password in ("one", "other")]
    assert Basic("a", "one").refusable(one) == Basic("a", "one").refusable(one) != Basic("a", "one").refusable(other)
    assert Basic("a", "one").refusable(one).advice.startswith("open a new client with others, or give the password as")
    assert "must return another one" in Basic("a", lambda: "one").refusable(one).advice
    token = Bearer("one").refusable(one)
    assert token is not None
    assert "give the token as a function" in token.advice
    assert Bearer(lambda: "one").refusable(one) is None
    assert Digest("a", "one").refusable(one) is None  # before a challenge was answered


def test_a_secret_is_shown_only_by_reveal() -> None:
    secret = Secret("s3cret")
    assert secret.reveal() == "s3cret"
    assert "s3cret" not in f"{secret} {secret!r}"
    for keep in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="a Secret cannot be pickled"):
            keep(secret)


@pytest.mark.parametrize(
    "credential", [Basic("a", "s3cret"), Bearer.of("s3cret"), Bearer("s3cret"), Digest("a", "s3cret")]
)
def test_the_repr_of_a_credential_shows_no_secret_and_it_cannot_be_pickled(credential: object) -> None:
    assert "s3cret" not in f"{credential} {credential!r}"
    with pytest.raises(TypeError):
        pickle.dumps(credential)
    if attrs.has(type(credential)):
        assert "s3cret" not in str({name: str(value) for name, value in attrs.asdict(credential).items()})  # type: ignore[arg-type]  # has() checked it


def test_headers_with_credentials_are_hidden_in_a_traceback() -> None:
    proof = SecretHeaders((("authorization", "s3cret"),))
    assert repr(proof) == "SecretHeaders(...)"
    assert proof == (("authorization", "s3cret"),)


@pytest.mark.parametrize(
    "value", ["", " ", "a b", "a\n", " a", "a\r\nX: 1", "ä", "a\0", "\x7f", "x" * 10240, None, b"a"], ids=short
)
async def test_a_text_that_is_no_header_value_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="token: must be visible ASCII"):
        checked_header("token", value)
    for bearer in (Bearer, Bearer.of):
        with pytest.raises(InvalidArgument):
            bearer(value)
    with pytest.raises(InvalidArgument):
        await Bearer(lambda: value).headers(*ASK)


@pytest.mark.figure("T-SECRET")
@pytest.mark.parametrize("end", [" ", "\n", "\r\nX: 1", "ä", "x" * 10240], ids=short)
async def test_the_error_for_an_invalid_token_does_not_repeat_it(end: str) -> None:
    for bearer in (Bearer, Bearer.of):
        with pytest.raises(InvalidArgument) as caught:
            bearer("s3cret" + end)
        assert "s3cret" not in printed(caught.value)
    calls = Bearer(lambda: "s3cret" + end)
    with pytest.raises(InvalidArgument) as caught:
        await calls.headers(*ASK)
    assert "s3cret" not in printed(caught.value)


async def test_the_longest_token_is_8_kib() -> None:
    assert (await Bearer("x" * 8192).headers(*ASK))[0][1] == "Bearer " + "x" * 8192


async def test_a_function_for_a_bearer_token_is_called_for_each_request() -> None:
    tokens = iter(["one", "two", "two", "two"])
    bearer = Bearer(lambda: next(tokens))
    sent = await bearer.headers(*ASK)
    assert sent[0] == ("authorization", "Bearer one")
    assert await bearer.renew(sent, REFUSED, *ASK)
    assert not await bearer.renew(await bearer.headers(*ASK), REFUSED, *ASK)


async def test_a_fixed_bearer_token_is_not_sent_again() -> None:
    bearer = Bearer("one")
    assert not await bearer.renew(await bearer.headers(*ASK), REFUSED, *ASK)


async def test_a_token_can_come_from_a_coroutine_function() -> None:
    given = ["first", "second"]

    async def current() -> str:
        await asyncio.sleep(0)
        return given[0]

    bearer = Bearer(current)
    sent = await bearer.headers(*ASK)
    assert sent[0] == ("authorization", "Bearer first")
    assert not await bearer.renew(sent, REFUSED, *ASK)
    given.pop(0)
    assert await bearer.renew(sent, REFUSED, *ASK)


async def test_an_invalid_token_of_a_coroutine_function_is_refused() -> None:
    async def current() -> str:
        return "a\nb"

    with pytest.raises(InvalidArgument, match="token: must be visible ASCII"):
        await Bearer(current).headers(*ASK)
