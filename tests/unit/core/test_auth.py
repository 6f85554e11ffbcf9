"""Credentials: their headers, their renewal, and one login for all calls that wait for it."""

import asyncio
import base64
import copy
import pickle
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import attrs
import pytest
from attrs import define, field

from tests.conftest import FakeTime
from tests.support.byte_server import until
from workflow_async import Basic, Bearer, Digest
from workflow_async._core.auth import Headers, Secret, SecretHeaders, checked_header
from workflow_async._core.call import Reply
from workflow_async._core.token_auth import TokenAuth, TokenGrant
from workflow_async.errors import CallError, ConnectFailed, InvalidArgument, ServerError, Unauthorized

REFUSED = Reply(401, {}, b"")
ASK = ("GET", "https://example.org/")

# Passwords and tokens of the caller


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


UNSPEAKABLE = ["\ud800", "\n", "\r\n", "\r\nX-Evil: 1", "\0", "\t", "\x7f", "\x85", "x" * 10240]


def short(value: object) -> str:
    return ascii(value)[:16]


@pytest.mark.figure("T-SECRET")
@pytest.mark.parametrize("end", UNSPEAKABLE, ids=short)
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


# Tokens of Preservica


@define
class LoginServer:
    """Issues tokens and counts the logins."""

    logins: int = 0
    refreshes: int = 0
    valid_for: float = 900.0
    fails: CallError | None = None
    refuses: CallError | None = None
    refreshable: bool = True
    wait: Callable[[], Awaitable[object]] = field(default=lambda: asyncio.sleep(0))

    def _grant(self) -> TokenGrant:
        number = self.logins + self.refreshes
        return TokenGrant(Secret(f"token{number}"), self.valid_for, Secret("again") if self.refreshable else None)

    async def log_in(self) -> TokenGrant:
        self.logins += 1
        await self.wait()
        if self.fails is not None:
            raise self.fails
        return self._grant()

    async def refresh(self, _: TokenGrant) -> TokenGrant:
        self.refreshes += 1
        await self.wait()
        if self.refuses is not None:
            raise self.refuses
        return self._grant()


@pytest.fixture
def login_server() -> LoginServer:
    return LoginServer()


@pytest.fixture
def token(login_server: LoginServer, fake_time: FakeTime) -> TokenAuth:
    return TokenAuth(login_server.log_in, login_server.refresh, fake_time.clock)


def token_headers(number: int) -> Headers:
    return (("preservica-access-token", f"token{number}"),)


async def test_a_thousand_concurrent_calls_share_one_login(login_server: LoginServer, token: TokenAuth) -> None:
    found = await asyncio.gather(*(token.headers(*ASK) for _ in range(1000)))
    assert (set(found), login_server.logins) == ({token_headers(1)}, 1)


@pytest.mark.figure("T-AUTH")
async def test_a_thousand_calls_with_a_refused_token_share_one_login(
    login_server: LoginServer, token: TokenAuth
) -> None:
    sent = await token.headers(*ASK)
    assert all(await asyncio.gather(*(token.renew(sent, REFUSED, *ASK) for _ in range(1000))))
    assert (login_server.logins, login_server.refreshes) == (2, 0)
    assert await token.headers(*ASK) == token_headers(2)


async def test_a_late_refusal_of_the_old_token_does_not_renew_again(
    login_server: LoginServer, token: TokenAuth
) -> None:
    old = await token.headers(*ASK)
    await token.renew(old, REFUSED, *ASK)
    assert await token.renew(old, REFUSED, *ASK)
    assert login_server.logins == 2


async def test_a_failed_login_raises_in_every_waiting_call(login_server: LoginServer, token: TokenAuth) -> None:
    login_server.fails = ConnectFailed("refused")
    found = await asyncio.gather(*(token.headers(*ASK) for _ in range(1000)), return_exceptions=True)
    assert {type(error) for error in found} == {ConnectFailed}
    assert len({id(error) for error in found}) == 1000
    assert login_server.logins == 1


async def test_the_call_after_a_failed_login_logs_in_again(login_server: LoginServer, token: TokenAuth) -> None:
    login_server.fails = ConnectFailed("refused")
    with pytest.raises(ConnectFailed):
        await token.headers(*ASK)
    login_server.fails = None
    assert await token.headers(*ASK) == token_headers(2)


@pytest.mark.figure("T-AUTH")
@pytest.mark.parametrize("gone", [slice(0, 1), slice(50, 51), slice(0, 99), slice(1, 100)])
async def test_a_cancelled_call_leaves_the_login_to_the_other_calls(
    gone: slice, login_server: LoginServer, token: TokenAuth
) -> None:
    going = asyncio.Event()
    login_server.wait = going.wait
    callers = [asyncio.create_task(token.headers(*ASK)) for _ in range(100)]
    await until(lambda: login_server.logins == 1)
    for caller in callers[gone]:
        caller.cancel()
        await asyncio.sleep(0)
    going.set()
    left = [caller for caller in callers if caller not in callers[gone]]
    assert set(await asyncio.gather(*left)) == {token_headers(1)}
    assert all(caller.cancelled() for caller in callers[gone])
    assert login_server.logins == 1


async def test_cancelling_the_last_waiting_call_cancels_the_login(login_server: LoginServer, token: TokenAuth) -> None:
    before = asyncio.all_tasks()
    login_server.wait = asyncio.Event().wait
    callers = [asyncio.create_task(token.headers(*ASK)) for _ in range(10)]
    await until(lambda: login_server.logins == 1)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    assert asyncio.all_tasks() == before
    login_server.wait = lambda: asyncio.sleep(0)
    assert await token.headers(*ASK) == token_headers(2)


async def test_a_cancelled_scope_cancels_the_login_it_waits_for(login_server: LoginServer, token: TokenAuth) -> None:
    before = asyncio.all_tasks()
    login_server.wait = asyncio.Event().wait
    with anyio.move_on_after(0.01) as scope:
        await token.headers(*ASK)
    assert scope.cancelled_caught
    assert asyncio.all_tasks() == before


async def test_a_call_during_the_cancellation_of_a_login_logs_in_again(
    login_server: LoginServer, token: TokenAuth
) -> None:
    slow = asyncio.Event()

    async def reluctantly() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await slow.wait()

    login_server.wait = reluctantly
    first = asyncio.create_task(token.headers(*ASK))
    await until(lambda: login_server.logins == 1)
    first.cancel()
    await asyncio.sleep(0)
    login_server.wait = lambda: asyncio.sleep(0)
    assert await token.headers(*ASK) == token_headers(2)
    slow.set()
    await asyncio.wait([first])
    assert await token.headers(*ASK) == token_headers(2)


async def test_a_token_is_renewed_after_80_percent_of_its_lifetime(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    await token.headers(*ASK)
    fake_time.now += 719
    assert await token.headers(*ASK) == token_headers(1)
    fake_time.now += 1
    assert set(await asyncio.gather(*(token.headers(*ASK) for _ in range(100)))) == {token_headers(2)}
    assert (login_server.logins, login_server.refreshes) == (1, 1)


async def test_the_lifetime_counts_from_before_the_login_was_sent(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    login_server.wait = lambda: fake_time.sleep(700)
    await token.headers(*ASK)
    login_server.wait = lambda: asyncio.sleep(0)
    fake_time.now += 20
    assert await token.headers(*ASK) == token_headers(2)


async def test_a_login_follows_a_refused_refresh(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    await token.headers(*ASK)
    login_server.refuses = Unauthorized(401)
    fake_time.now += 800
    assert await token.headers(*ASK) == token_headers(3)
    assert (login_server.logins, login_server.refreshes) == (2, 1)


async def test_without_a_refresh_token_a_login_renews_the_token(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    login_server.refreshable = False
    await token.headers(*ASK)
    fake_time.now += 800
    assert await token.headers(*ASK) == token_headers(2)
    assert (login_server.logins, login_server.refreshes) == (2, 0)


async def test_an_expired_token_is_not_refreshed(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    await token.headers(*ASK)
    fake_time.now += 901
    assert await token.headers(*ASK) == token_headers(2)
    assert (login_server.logins, login_server.refreshes) == (2, 0)


@pytest.mark.figure("T-AUTH")
async def test_calls_refused_with_the_same_token_share_one_failed_login(
    login_server: LoginServer, token: TokenAuth
) -> None:
    sent = await token.headers(*ASK)
    login_server.fails = ServerError(503)
    for _ in range(1000):
        with pytest.raises(ServerError) as caught:
            await token.renew(sent, REFUSED, *ASK)
        assert caught.value.at_login
    assert login_server.logins == 2
    login_server.fails = None
    assert await token.headers(*ASK) == token_headers(3)
    assert await token.renew(sent, REFUSED, *ASK)
    assert login_server.logins == 3


async def test_a_token_that_expired_in_an_outage_is_renewed_once_for_all_calls(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    sent = await token.headers(*ASK)
    login_server.fails = login_server.refuses = ConnectFailed("refused")
    fake_time.now += 901
    with pytest.raises(ConnectFailed):
        await token.headers(*ASK)
    with pytest.raises(ConnectFailed):
        await token.renew(sent, REFUSED, *ASK)
    assert login_server.logins == 2


async def test_after_a_failed_renewal_the_old_token_is_used_until_it_expires(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    await token.headers(*ASK)
    login_server.fails = login_server.refuses = ConnectFailed("refused")
    fake_time.now += 800
    assert set(await asyncio.gather(*(token.headers(*ASK) for _ in range(100)))) == {token_headers(1)}
    assert (login_server.logins, login_server.refreshes) == (2, 1)
    fake_time.now += 14
    assert await token.headers(*ASK) == token_headers(1)
    assert login_server.logins == 2
    fake_time.now += 1
    assert await token.headers(*ASK) == token_headers(1)
    assert (login_server.logins, login_server.refreshes) == (3, 1)
    fake_time.now += 100
    with pytest.raises(ConnectFailed):
        await token.headers(*ASK)


async def test_a_refresh_token_is_used_once_even_if_its_response_was_lost(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    await token.headers(*ASK)
    fake_time.now += 800
    login_server.wait = lambda: asyncio.sleep(10)
    leader = asyncio.create_task(token.headers(*ASK))
    await until(lambda: login_server.refreshes == 1)
    leader.cancel()
    await asyncio.wait([leader])
    login_server.wait = lambda: asyncio.sleep(0)
    await token.headers(*ASK)
    assert (login_server.logins, login_server.refreshes) == (2, 1)


async def test_a_call_refused_during_a_renewal_waits_for_the_renewal(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    sent = await token.headers(*ASK)
    fake_time.now += 800
    login_server.wait = lambda: asyncio.sleep(0.01)
    renewing = asyncio.create_task(token.headers(*ASK))
    await until(lambda: login_server.refreshes == 1)
    assert await token.renew(sent, REFUSED, *ASK)
    assert await renewing == token_headers(2)
    assert (login_server.logins, login_server.refreshes) == (1, 1)


async def test_a_token_refused_while_other_calls_wait_is_renewed_for_them_too(
    login_server: LoginServer, token: TokenAuth
) -> None:
    async def refused_at_once() -> Headers:
        await token.renew(await token.headers(*ASK), REFUSED, *ASK)
        return await token.headers(*ASK)

    found = await asyncio.gather(*(token.headers(*ASK), refused_at_once(), token.headers(*ASK)))
    assert list(found) == [token_headers(1), token_headers(2), token_headers(2)]
    assert login_server.logins == 2


async def test_a_token_with_line_ends_never_reaches_a_header(fake_time: FakeTime) -> None:
    async def log_in() -> TokenGrant:
        return TokenGrant(Secret("s3cret\r\nx"), 900)

    async def refresh(_: TokenGrant) -> TokenGrant:
        raise AssertionError

    with pytest.raises(InvalidArgument) as caught:
        await TokenAuth(log_in, refresh, fake_time.clock).headers(*ASK)
    assert "s3cret" not in str(caught.value)


async def test_the_repr_of_a_grant_shows_no_token(login_server: LoginServer, token: TokenAuth) -> None:
    await token.headers(*ASK)
    assert "token1" not in repr(token)
    assert "token1" not in repr(token._grant)
