"""The access token of Preservica: its renewal, and one login for all calls that wait for it."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import pytest
from attrs import define, field

from tests.conftest import FakeTime
from tests.support.byte_server import until
from workflow_async._core.auth import Headers, Secret
from workflow_async._core.call import Reply
from workflow_async._core.token_auth import TokenAuth, TokenGrant
from workflow_async.errors import CallError, ConnectFailed, InvalidArgument, ServerError, Unauthorized

REFUSED = Reply(401, {}, b"")
REQUEST = ("GET", "https://example.org/")


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
    found = await asyncio.gather(*(token.headers(*REQUEST) for _ in range(1000)))
    assert (set(found), login_server.logins) == ({token_headers(1)}, 1)


@pytest.mark.figure("T-AUTH")
async def test_a_thousand_calls_with_a_refused_token_share_one_login(
    login_server: LoginServer, token: TokenAuth
) -> None:
    sent = await token.headers(*REQUEST)
    assert all(await asyncio.gather(*(token.renew(sent, REFUSED, *REQUEST) for _ in range(1000))))
    assert (login_server.logins, login_server.refreshes) == (2, 0)
    assert await token.headers(*REQUEST) == token_headers(2)


async def test_a_late_refusal_of_the_old_token_does_not_renew_again(
    login_server: LoginServer, token: TokenAuth
) -> None:
    old = await token.headers(*REQUEST)
    await token.renew(old, REFUSED, *REQUEST)
    assert await token.renew(old, REFUSED, *REQUEST)
    assert login_server.logins == 2


async def test_a_failed_login_raises_in_every_waiting_call(login_server: LoginServer, token: TokenAuth) -> None:
    login_server.fails = ConnectFailed("refused")
    found = await asyncio.gather(*(token.headers(*REQUEST) for _ in range(1000)), return_exceptions=True)
    assert {type(error) for error in found} == {ConnectFailed}
    assert len({id(error) for error in found}) == 1000
    assert login_server.logins == 1


async def test_the_call_after_a_failed_login_logs_in_again(login_server: LoginServer, token: TokenAuth) -> None:
    login_server.fails = ConnectFailed("refused")
    with pytest.raises(ConnectFailed):
        await token.headers(*REQUEST)
    login_server.fails = None
    assert await token.headers(*REQUEST) == token_headers(2)


@pytest.mark.figure("T-AUTH")
@pytest.mark.parametrize("gone", [slice(0, 1), slice(50, 51), slice(0, 99), slice(1, 100)])
async def test_a_cancelled_call_leaves_the_login_to_the_other_calls(
    gone: slice, login_server: LoginServer, token: TokenAuth
) -> None:
    pending = asyncio.Event()
    login_server.wait = pending.wait
    callers = [asyncio.create_task(token.headers(*REQUEST)) for _ in range(100)]
    await until(lambda: login_server.logins == 1)
    for caller in callers[gone]:
        caller.cancel()
        await asyncio.sleep(0)
    pending.set()
    rest = [caller for caller in callers if caller not in callers[gone]]
    assert set(await asyncio.gather(*rest)) == {token_headers(1)}
    assert all(caller.cancelled() for caller in callers[gone])
    assert login_server.logins == 1


async def test_cancelling_the_last_waiting_call_cancels_the_login(login_server: LoginServer, token: TokenAuth) -> None:
    before = asyncio.all_tasks()
    login_server.wait = asyncio.Event().wait
    callers = [asyncio.create_task(token.headers(*REQUEST)) for _ in range(10)]
    await until(lambda: login_server.logins == 1)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    assert asyncio.all_tasks() == before
    login_server.wait = lambda: asyncio.sleep(0)
    assert await token.headers(*REQUEST) == token_headers(2)


async def test_a_cancelled_scope_cancels_the_login_it_waits_for(login_server: LoginServer, token: TokenAuth) -> None:
    before = asyncio.all_tasks()
    login_server.wait = asyncio.Event().wait
    with anyio.move_on_after(0.01) as scope:
        await token.headers(*REQUEST)
    assert scope.cancelled_caught
    assert asyncio.all_tasks() == before


async def test_a_call_during_the_cancellation_of_a_login_logs_in_again(
    login_server: LoginServer, token: TokenAuth
) -> None:
    slow = asyncio.Event()

    async def slow_to_cancel() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await slow.wait()

    login_server.wait = slow_to_cancel
    first = asyncio.create_task(token.headers(*REQUEST))
    await until(lambda: login_server.logins == 1)
    first.cancel()
    await asyncio.sleep(0)
    login_server.wait = lambda: asyncio.sleep(0)
    assert await token.headers(*REQUEST) == token_headers(2)
    slow.set()
    await asyncio.wait([first])
    assert await token.headers(*REQUEST) == token_headers(2)


async def test_a_token_is_renewed_after_80_percent_of_its_lifetime(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    await token.headers(*REQUEST)
    fake_time.now += 719
    assert await token.headers(*REQUEST) == token_headers(1)
    fake_time.now += 1
    assert set(await asyncio.gather(*(token.headers(*REQUEST) for _ in range(100)))) == {token_headers(2)}
    assert (login_server.logins, login_server.refreshes) == (1, 1)


async def test_the_lifetime_counts_from_before_the_login_was_sent(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    login_server.wait = lambda: fake_time.sleep(700)
    await token.headers(*REQUEST)
    login_server.wait = lambda: asyncio.sleep(0)
    fake_time.now += 20
    assert await token.headers(*REQUEST) == token_headers(2)


async def test_a_login_follows_a_refused_refresh(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    await token.headers(*REQUEST)
    login_server.refuses = Unauthorized(401)
    fake_time.now += 800
    assert await token.headers(*REQUEST) == token_headers(3)
    assert (login_server.logins, login_server.refreshes) == (2, 1)


async def test_without_a_refresh_token_a_login_renews_the_token(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    login_server.refreshable = False
    await token.headers(*REQUEST)
    fake_time.now += 800
    assert await token.headers(*REQUEST) == token_headers(2)
    assert (login_server.logins, login_server.refreshes) == (2, 0)


async def test_an_expired_token_is_not_refreshed(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    await token.headers(*REQUEST)
    fake_time.now += 901
    assert await token.headers(*REQUEST) == token_headers(2)
    assert (login_server.logins, login_server.refreshes) == (2, 0)


@pytest.mark.figure("T-AUTH")
async def test_calls_refused_with_the_same_token_share_one_failed_login(
    login_server: LoginServer, token: TokenAuth
) -> None:
    sent = await token.headers(*REQUEST)
    login_server.fails = ServerError(503)
    for _ in range(1000):
        with pytest.raises(ServerError) as caught:
            await token.renew(sent, REFUSED, *REQUEST)
        assert caught.value.at_login
    assert login_server.logins == 2
    login_server.fails = None
    assert await token.headers(*REQUEST) == token_headers(3)
    assert await token.renew(sent, REFUSED, *REQUEST)
    assert login_server.logins == 3


async def test_a_token_that_expired_in_an_outage_is_renewed_once_for_all_calls(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    sent = await token.headers(*REQUEST)
    login_server.fails = login_server.refuses = ConnectFailed("refused")
    fake_time.now += 901
    with pytest.raises(ConnectFailed):
        await token.headers(*REQUEST)
    with pytest.raises(ConnectFailed):
        await token.renew(sent, REFUSED, *REQUEST)
    assert login_server.logins == 2


async def test_after_a_failed_renewal_the_old_token_is_used_until_it_expires(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    await token.headers(*REQUEST)
    login_server.fails = login_server.refuses = ConnectFailed("refused")
    fake_time.now += 800
    assert set(await asyncio.gather(*(token.headers(*REQUEST) for _ in range(100)))) == {token_headers(1)}
    assert (login_server.logins, login_server.refreshes) == (2, 1)
    fake_time.now += 14
    assert await token.headers(*REQUEST) == token_headers(1)
    assert login_server.logins == 2
    fake_time.now += 1
    assert await token.headers(*REQUEST) == token_headers(1)
    assert (login_server.logins, login_server.refreshes) == (3, 1)
    fake_time.now += 100
    with pytest.raises(ConnectFailed):
        await token.headers(*REQUEST)


async def test_a_refresh_token_is_used_once_even_if_its_response_was_lost(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    await token.headers(*REQUEST)
    fake_time.now += 800
    login_server.wait = lambda: asyncio.sleep(10)
    first_call = asyncio.create_task(token.headers(*REQUEST))
    await until(lambda: login_server.refreshes == 1)
    first_call.cancel()
    await asyncio.wait([first_call])
    login_server.wait = lambda: asyncio.sleep(0)
    await token.headers(*REQUEST)
    assert (login_server.logins, login_server.refreshes) == (2, 1)


async def test_a_call_refused_during_a_renewal_waits_for_the_renewal(
    login_server: LoginServer, token: TokenAuth, fake_time: FakeTime
) -> None:
    sent = await token.headers(*REQUEST)
    fake_time.now += 800
    login_server.wait = lambda: asyncio.sleep(0.01)
    renewing = asyncio.create_task(token.headers(*REQUEST))
    await until(lambda: login_server.refreshes == 1)
    assert await token.renew(sent, REFUSED, *REQUEST)
    assert await renewing == token_headers(2)
    assert (login_server.logins, login_server.refreshes) == (1, 1)


async def test_a_token_refused_while_other_calls_wait_is_renewed_for_them_too(
    login_server: LoginServer, token: TokenAuth
) -> None:
    async def refused_at_once() -> Headers:
        await token.renew(await token.headers(*REQUEST), REFUSED, *REQUEST)
        return await token.headers(*REQUEST)

    found = await asyncio.gather(*(token.headers(*REQUEST), refused_at_once(), token.headers(*REQUEST)))
    assert list(found) == [token_headers(1), token_headers(2), token_headers(2)]
    assert login_server.logins == 2


async def test_a_token_with_line_ends_never_reaches_a_header(fake_time: FakeTime) -> None:
    async def log_in() -> TokenGrant:
        return TokenGrant(Secret("s3cret\r\nx"), 900)

    async def refresh(_: TokenGrant) -> TokenGrant:
        raise AssertionError

    with pytest.raises(InvalidArgument) as caught:
        await TokenAuth(log_in, refresh, fake_time.clock).headers(*REQUEST)
    assert "s3cret" not in str(caught.value)


async def test_the_repr_of_a_grant_shows_no_token(login_server: LoginServer, token: TokenAuth) -> None:
    await token.headers(*REQUEST)
    assert "token1" not in repr(token)
    assert "token1" not in repr(token._grant)
