"""Rows 32, 33 and 35: one login for all calls, and what follows if it fails or is revoked."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.conftest import FakeTime, See
from tests.support import virtual_time as virtual
from tests.support.byte_server import ByteServer, RawResponse, ReceivedRequest, http, serve, until
from tests.support.call_endings import outcome
from tests.support.monitored_system import new_system
from tests.support.stub_clients import client_of, workflow
from workflow_async import Poll, Timeouts
from workflow_async.errors import (
    ConnectFailed,
    ConnectionBroken,
    DeadlineExceeded,
    Forbidden,
    ServerError,
    Unauthorized,
)
from workflow_async.monitor import Change
from workflow_async.preservica.login_calls import LOGIN
from workflow_async.sandbox import ManualClock, Sandbox
from workflow_async.sandbox.systems import FakePreservica

MANY = 1000


@pytest.fixture
def archive() -> Iterator[FakePreservica]:
    with Sandbox(clock=ManualClock()) as sandbox:
        yield sandbox.preservica


def manager(archive: FakePreservica, time: FakeTime, **settings: Any) -> Any:
    """Return a client of the account with all permissions."""
    account = {"username": archive.username, "password": archive.password, "tenant": archive.tenant}
    return client_of("preservica", archive.url, **{**account, "clock": time.clock, **settings})


async def concurrently(count: int, call: Callable[[int], Awaitable[Any]]) -> Counter[str]:
    """Return how this many concurrent calls end."""
    return Counter(type(found).__name__ for found in await asyncio.gather(*(outcome(call(n)) for n in range(count))))


@pytest.mark.row(32)
async def test_a_thousand_refused_calls_share_one_login(archive: FakePreservica, fake_time: FakeTime, see: See) -> None:
    ids = archive.seed(10)
    async with manager(archive, fake_time) as pv:
        await pv.workflows.get(ids[0])
        archive.revoke()
        found = await concurrently(MANY, lambda n: pv.workflows.get(ids[n % 10]))
    assert found == {"Workflow": MANY}
    assert archive.logins == 2
    see("1 login, 1000 successes")


@pytest.mark.row(32)
async def test_a_thousand_first_calls_share_one_login(archive: FakePreservica, fake_time: FakeTime) -> None:
    (id,) = archive.seed(1)
    async with manager(archive, fake_time) as pv:
        assert await concurrently(MANY, lambda _: pv.workflows.get(id)) == {"Workflow": MANY}
    assert archive.logins == 1
    assert len(archive.requests) == MANY + 1


# A login that fails


@asynccontextmanager
async def login_server(
    login: Callable[[int], RawResponse | bytes], time: FakeTime, **settings: Any
) -> AsyncIterator[tuple[Any, ByteServer]]:
    """Run a server that answers login number `n` with this, and a client of it."""

    def answer(request: ReceivedRequest) -> RawResponse | bytes:
        if request.target == LOGIN:
            return login(sum(before.target == LOGIN for before in server.requests))
        return http(200, workflow("preservica", 1603))

    async with (
        serve(answer) as server,
        client_of("preservica", server.url, **{"clock": time.clock, **settings}) as pv,
    ):
        yield pv, server


GRANTED = http(200, {"success": True, "token": "tok", "validFor": 15})
DOWN: dict[type[Exception], RawResponse | bytes] = {
    ServerError: http(503),
    ConnectionBroken: RawResponse(b"", "fin"),
    DeadlineExceeded: RawResponse(b"", "stall"),
    Forbidden: http(403),
    Unauthorized: http(401),
}
ATTEMPTS: dict[type[Exception], int] = {Forbidden: 1, Unauthorized: 1}
"""Number of logins sent when one is refused. Other errors are retried 3 times."""
RETRY = Timeouts(call=30.0, exchange=0.3)


@pytest.mark.row(33)
@pytest.mark.parametrize("kind", DOWN)
async def test_a_failed_login_is_retried_once_for_all_and_raised_in_every_waiting_call(
    kind: type[Exception], fake_time: FakeTime, see: See
) -> None:
    async with login_server(lambda _: DOWN[kind], fake_time, timeouts=RETRY) as (pv, server):
        found = await concurrently(MANY, lambda _: pv.workflows.get(1603))
        assert found == {kind.__name__: MANY}
        attempts = ATTEMPTS.get(kind, 4)
        assert [request.target for request in server.requests] == [LOGIN] * attempts
    see(f"{kind.__name__}: {attempts} logins, 1000 typed errors")


@pytest.mark.row(33)
async def test_a_login_at_a_closed_port_is_retried_once_for_all(fake_time: FakeTime) -> None:
    async with login_server(lambda _: GRANTED, fake_time) as (_, server):
        url = server.url
    async with client_of("preservica", url, clock=fake_time.clock) as pv:
        found = await asyncio.gather(*(outcome(pv.workflows.get(1603)) for _ in range(100)))
    assert {type(error) for error in found} == {ConnectFailed}
    assert all(isinstance(error, ConnectFailed) and error.at_login and error.attempts == 4 for error in found)
    assert len(fake_time.naps) == 3


@pytest.mark.row(33)
@pytest.mark.parametrize("kind", [ServerError, ConnectionBroken, DeadlineExceeded])
async def test_later_calls_log_in_again_after_a_failed_login(
    kind: type[Exception], fake_time: FakeTime, see: See
) -> None:
    def login(n: int) -> RawResponse | bytes:
        return DOWN[kind] if n <= 4 else GRANTED

    async with login_server(login, fake_time, timeouts=RETRY) as (pv, _):
        assert await concurrently(10, lambda _: pv.workflows.get(1603)) == {kind.__name__: 10}
        assert await concurrently(10, lambda _: pv.workflows.get(1603)) == {"Workflow": 10}
    see("later calls log in again")


@pytest.mark.row(33)
@pytest.mark.parametrize("kind", [Forbidden, Unauthorized])
async def test_refused_credentials_are_not_sent_again_so_no_account_is_locked(
    kind: type[Exception], fake_time: FakeTime, see: See
) -> None:
    async with login_server(lambda _: DOWN[kind], fake_time) as (pv, server):
        for _ in range(20):
            assert await concurrently(10, lambda _: pv.workflows.get(1603)) == {kind.__name__: 10}
        assert len(server.requests) == 1
    see("401, 403: 1 login, however many come later")


@pytest.mark.row(33)
async def test_a_slow_login_is_not_sent_twice(fake_time: FakeTime) -> None:
    async with login_server(lambda _: RawResponse(GRANTED[:20], "stall"), fake_time, timeouts=RETRY) as (pv, server):
        calls = asyncio.gather(*(outcome(pv.workflows.get(1603)) for _ in range(100)))
        await until(lambda: bool(server.requests))
        late = asyncio.gather(*(outcome(pv.workflows.get(1603)) for _ in range(100)))
        assert {type(error) for error in [*await calls, *await late]} == {DeadlineExceeded}
        assert len(server.requests) == 4


# A token that is revoked


@pytest.mark.row(35)
async def test_a_token_revoked_with_a_thousand_calls_in_flight_fails_no_call(
    archive: FakePreservica, fake_time: FakeTime, see: See
) -> None:
    ids = archive.seed(MANY)
    async with manager(archive, fake_time) as pv:
        calls = asyncio.gather(*(pv.workflows.get(id) for id in ids))
        await until(lambda: len(archive.requests) > MANY // 2)
        archive.revoke()
        found = await calls
    assert [workflow.id for workflow in found] == ids
    assert (archive.logins, fake_time.naps) == (2, [])
    see("1000 in flight: 1 login more, all right")


@pytest.mark.row(35)
def test_a_watch_whose_token_is_revoked_repeatedly_misses_nothing(see: See) -> None:
    async def main() -> tuple[int, int]:
        fake = new_system("preservica")
        ids = [id for seconds in range(10, 110, 10) for id in fake.starts(100, float(seconds))]
        ends: Counter[int] = Counter()
        late = 0.0
        loop = asyncio.get_running_loop()
        for at in range(5, 100, 10):
            loop.call_later(at, fake.preservica.revoke)
        async with fake.client() as pv, pv.workflows.watch(ids, poll=Poll(interval=2, ceiling=2, jitter=0)) as changes:
            async for change in changes:
                assert isinstance(change, Change)
                if change.now.final:
                    ends[change.id] += 1
                    ended = fake.run(change.id).finished
                    assert ended is not None
                    late = max(late, fake.system.engine.clock() - ended)
        assert ends == dict.fromkeys(ids, 1)
        assert late <= 2 * 2.0
        return fake.preservica.logins, len(ends)

    logins, reported = virtual.run(main())
    assert logins == 11
    see(f"revoked 10 times in a watch: {reported} ends, none later than 2 intervals")
