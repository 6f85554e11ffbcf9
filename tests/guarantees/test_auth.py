"""T-AUTH: one login however many need it, one attempt when it is down, and none with credentials that were refused."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.conftest import See
from tests.support.byte_server import RawResponse, http, refused_url, serve, until
from workflow_async import Bearer, Clock, OpencastClient, Poll, PreservicaClient, Timeouts
from workflow_async._http import HTTPBackend
from workflow_async.errors import CallError, Unauthorized
from workflow_async.monitor import Finished
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox
from workflow_async.sandbox.systems import FakePreservica

pytestmark = pytest.mark.figure("T-AUTH")

CROWD = 1000
ACCESS = ("/api/accesstoken/",)
REFRESH = ("/api/accesstoken/refresh",)
CARRIERS: tuple[HTTPBackend, ...] = ("httpx", "httpx2", "aiohttp")
Connect = Callable[..., PreservicaClient]


@pytest.fixture
def time() -> ManualClock:
    return ManualClock()


@pytest.fixture
def clock(time: ManualClock) -> Clock:
    """Time passes where somebody sleeps or a test says so; the wall clock is wrong."""

    async def sleep(seconds: float) -> None:
        time.advance(seconds)
        await asyncio.sleep(0)

    return Clock(now=time, sleep=sleep, jitter=lambda: 0.5, wall=lambda: -1e9)


@pytest.fixture
def options() -> dict[str, Any]:
    return {}


@pytest.fixture
def archive(time: ManualClock, options: dict[str, Any]) -> Iterator[FakePreservica]:
    with Sandbox("16", time, **options) as served:
        yield served.preservica


@pytest.fixture
def connect(archive: FakePreservica, clock: Clock) -> Connect:
    def connecting(**settings: Any) -> PreservicaClient:
        account = {"username": archive.username, "password": archive.password, "tenant": archive.tenant}
        return PreservicaClient(archive.url, **{**account, "clock": clock, **settings})

    return connecting


async def ask(pv: PreservicaClient) -> CallError | None:
    """How a call ended."""
    try:
        await pv.contexts.list(type="Access").first()
    except CallError as error:
        return error
    return None


async def crowd(pv: PreservicaClient, count: int = CROWD) -> list[CallError | None]:
    return await asyncio.gather(*(ask(pv) for _ in range(count)))


def accesses(archive: FakePreservica) -> list[str]:
    """What was asked of the token service."""
    return [one.path.removeprefix(ACCESS[0]) for one in archive.requests if one.path.startswith(ACCESS)]


def statuses(archive: FakePreservica) -> list[int]:
    return [one.status for one in archive.requests if not one.path.startswith(ACCESS)]


def shared(ends: list[CallError | None]) -> str:
    """The kind of error that all of them ended with: each has one of its own, and all are of the same attempts."""
    assert all(end is not None and end.at_login for end in ends)
    assert len({end.attempts for end in ends if end is not None}) == 1
    assert len({id(end) for end in ends}) == len(ends)
    (kind,) = {type(end).__name__ for end in ends}
    return kind


def passed(archive: FakePreservica, waiting: "asyncio.Task[object]", enough: int) -> bool:
    return waiting.done() or len(archive.requests) > enough


async def rounds(count: int = 50) -> None:
    """Let everybody come as far as they get without the server."""
    for _ in range(count):
        await asyncio.sleep(0)


# One login


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_thousand_401s_at_once_are_one_login(
    carrier: HTTPBackend, archive: FakePreservica, connect: Connect, see: See
) -> None:
    async with connect(http=carrier) as pv:
        await ask(pv)
        archive.revoke()
        assert await crowd(pv) == [None] * CROWD
    assert accesses(archive) == ["login"] * 2
    refused = statuses(archive).count(401)
    assert refused > 1
    see(f"{CROWD} calls with a revoked token: 1 login, all answered")


async def test_a_day_of_calls_is_one_login_and_no_401(
    archive: FakePreservica, connect: Connect, time: ManualClock, see: See
) -> None:
    async with connect() as pv:
        for _ in range(24 * 60):
            assert await ask(pv) is None
            time.advance(60.0)
    assert (archive.logins, archive.refreshes) == (1, 119)
    assert set(statuses(archive)) == {200}
    see("a day: 1 login, 119 refreshes, no 401")


@pytest.mark.parametrize("options", [{"token_minutes": 2000}])
async def test_a_life_beyond_a_day_is_taken_for_a_quarter_of_an_hour(
    archive: FakePreservica, connect: Connect, time: ManualClock
) -> None:
    async with connect() as pv:
        await ask(pv)
        time.advance(0.79 * 900)
        await ask(pv)
        assert accesses(archive) == ["login"]
        time.advance(0.02 * 900)
        await ask(pv)
    assert accesses(archive) == ["login", "refresh"]


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.CUT_BODY, Fault.ERROR_AFTER, Fault.LOGIN_PAGE])
async def test_a_refresh_of_unknown_outcome_is_followed_by_one_login_for_all(
    fault: Fault, archive: FakePreservica, connect: Connect, time: ManualClock, see: See
) -> None:
    async with connect() as pv:
        await ask(pv)
        time.advance(0.81 * 900)
        archive.faults = Faults(script=(fault,), paths=REFRESH)
        assert await crowd(pv, 100) == [None] * 100
    assert accesses(archive) == ["login", "refresh", "login"]
    see("refresh of unknown outcome: 1 login")


async def test_a_refresh_token_that_somebody_has_used_is_followed_by_one_login_for_all(
    archive: FakePreservica, connect: Connect, time: ManualClock, see: See
) -> None:
    async with connect() as pv:
        await ask(pv)
        time.advance(0.81 * 900)
        with archive.lock:
            archive.state.accounts._refresh.clear()
        assert await crowd(pv, 100) == [None] * 100
    assert accesses(archive) == ["login", "refresh", "login"]
    see("used refresh token: 1 login")


# A slow login, and callers who do not wait for it


async def test_a_slow_login_is_waited_for_by_all(archive: FakePreservica, connect: Connect) -> None:
    async with connect() as pv:
        with archive.lock:  # the server answers nobody
            callers = [asyncio.create_task(ask(pv)) for _ in range(CROWD)]
            await rounds()
        assert await asyncio.gather(*callers) == [None] * CROWD
    assert accesses(archive) == ["login"]


async def test_a_caller_who_is_cancelled_while_it_logs_in_costs_nobody_anything(
    archive: FakePreservica, connect: Connect, see: See
) -> None:
    async with connect() as pv:
        with archive.lock:
            leader, *others = [asyncio.create_task(ask(pv)) for _ in range(CROWD)]
            await rounds()
            leader.cancel()
            await rounds()
        assert await asyncio.gather(*others) == [None] * (CROWD - 1)
    assert leader.cancelled()
    assert accesses(archive) == ["login"]
    see(f"leader cancelled: 1 login, {CROWD - 1} others answered")


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_callers_who_come_and_go_while_the_login_is_stuck_are_one_attempt(
    carrier: HTTPBackend, clock: Clock, see: See
) -> None:
    before = asyncio.all_tasks()
    async with serve(lambda _: RawResponse(b"", "stall")) as wire:
        async with PreservicaClient(wire.url, username="u", password="p", tenant="t", http=carrier, clock=clock) as pv:
            there = [asyncio.create_task(ask(pv)) for _ in range(10)]
            await until(lambda: len(wire.requests) == 1)
            for _ in range(CROWD):
                there.append(asyncio.create_task(ask(pv)))
                there.pop(0).cancel()
                await rounds(3)
            for caller in there:
                caller.cancel()
            await asyncio.wait(there)
            await until(lambda: not wire.open)
        assert (wire.connections, len(wire.requests)) == (1, 1)
    assert not {task for task in asyncio.all_tasks() - before if "handle" not in repr(task)}
    see(f"{CROWD} callers come and go while the login is stuck: 1 attempt")


# A login that is down


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.RATE_LIMITED, Fault.CUT_BEFORE, Fault.LOGIN_PAGE])
@pytest.mark.parametrize("refused", [False, True], ids=["no token yet", "all refused with 401"])
async def test_a_login_that_is_down_is_retried_once_for_all_and_a_thousand_errors(
    fault: Fault, *, refused: bool, archive: FakePreservica, connect: Connect, see: See
) -> None:
    async with connect() as pv:
        if refused:
            await ask(pv)
            archive.revoke()
        archive.requests.clear()
        archive.faults = Faults(rates={fault: 1.0}, paths=ACCESS)
        kind = shared(await crowd(pv))
        attempts = 2 if fault is Fault.LOGIN_PAGE else 4
        assert accesses(archive) == ["login"] * attempts
        assert statuses(archive) == [401] * CROWD * refused
        archive.faults = Faults()
        assert await crowd(pv) == [None] * CROWD
        assert accesses(archive) == ["login"] * (attempts + 1)
    see(f"login down: {attempts} attempts, {CROWD} {kind}")


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_login_that_cannot_connect_is_retried_once_for_all_and_a_thousand_errors(
    carrier: HTTPBackend, clock: Clock, see: See
) -> None:
    asked = 0

    def counted() -> float:
        nonlocal asked
        asked += 1
        return 0.5

    clock = Clock(now=clock.now, sleep=clock.sleep, jitter=counted)
    async with PreservicaClient(refused_url(), username="u", password="p", tenant="t", http=carrier, clock=clock) as pv:
        see(f"nobody listens: {CROWD} {shared(await crowd(pv))}")
    assert asked == 4  # as many random numbers as attempts: the calls themselves are not retried


async def test_a_login_that_never_answers_is_retried_once_for_all_and_a_thousand_errors(clock: Clock, see: See) -> None:
    short = Timeouts(exchange=0.05)
    async with serve(lambda _: RawResponse(b"", "stall")) as wire:
        async with PreservicaClient(
            wire.url, username="u", password="p", tenant="t", clock=clock, timeouts=short
        ) as pv:
            kind = shared(await crowd(pv))
        assert len(wire.requests) == 4
    see(f"login stuck: 4 attempts, {CROWD} {kind}")


# Credentials that are refused


@pytest.mark.parametrize("status", [401, 403])
async def test_credentials_that_are_refused_are_sent_once_by_a_thousand_calls_and_all_after_them(
    status: int, clock: Clock, see: See
) -> None:
    async with serve(lambda _: http(status, {"message": "Invalid username or password"})) as wire:
        async with PreservicaClient(wire.url, username="u", password="p", tenant="t", clock=clock) as pv:
            ends = [*await crowd(pv), *await crowd(pv), *await crowd(pv)]
        assert len(wire.requests) == 1
    assert all(status == 403 or "open a new client with others" in str(end) for end in ends)
    see(f"refused credentials: 1 attempt, {len(ends)} {shared(ends)}")


async def test_a_new_client_sends_them_again(archive: FakePreservica, connect: Connect) -> None:
    for password in ("wrong", archive.password):
        async with connect(password=password) as pv:
            await crowd(pv, 10)
    assert [one.status for one in archive.requests if one.path.startswith(ACCESS)] == [401, 200]


async def test_a_password_that_was_changed_is_not_tried_until_the_account_is_locked(
    archive: FakePreservica, connect: Connect, time: ManualClock
) -> None:
    async with connect() as pv:
        await ask(pv)
        with archive.lock:
            archive.state.accounts.password = "another"
            archive.state.accounts.refresh_works = False
        for _ in range(60):
            time.advance(60.0)
            await ask(pv)
        assert isinstance(await ask(pv), Unauthorized)
    assert accesses(archive) == ["login", "refresh", "login"]


async def test_a_function_is_asked_for_its_token_again_and_a_call_is_sent_twice_at_most(clock: Clock, see: See) -> None:
    with Sandbox("16") as served:
        good = served.opencast.jwt
        given = iter(["one", "two", "two", "three", good, good, good])
        async with OpencastClient(served.opencast.url, auth=Bearer(lambda: next(given)), clock=clock) as oc:
            with pytest.raises(Unauthorized):
                await oc.me()
            assert [one.status for one in served.opencast.requests] == [401, 401]
            await oc.me()
            await oc.me()
        assert [one.status for one in served.opencast.requests] == [401, 401, 401, 200, 200]
    see("a token from a function: asked again after a 401, 2 sends at most")


# Polls


async def test_a_token_revoked_while_a_thousand_polls_are_in_flight_costs_none_of_them_a_look(
    archive: FakePreservica, connect: Connect, see: See
) -> None:
    async with connect() as pv:
        await ask(pv)
        looks = asyncio.create_task(crowd(pv))
        await until(lambda: len(archive.requests) > CROWD // 4)
        archive.revoke()
        assert await looks == [None] * CROWD
    assert accesses(archive) == ["login"] * 2
    see("revoked with 1000 polls in flight: no look missed")


async def test_a_token_revoked_while_the_login_fails_once_costs_no_poll_anything(
    archive: FakePreservica, connect: Connect, see: See
) -> None:
    async with connect() as pv:
        await ask(pv)
        looks = asyncio.create_task(crowd(pv))
        await until(lambda: len(archive.requests) > CROWD // 4)
        archive.faults = Faults(script=(Fault.SERVER_ERROR,), paths=ACCESS)
        archive.revoke()
        assert await looks == [None] * CROWD
    assert accesses(archive) == ["login"] * 3
    see(f"and the login down once: 2 logins, {CROWD} of {CROWD} polls answered")


async def test_a_watch_endures_tokens_that_are_revoked_and_logins_that_fail(
    archive: FakePreservica, connect: Connect
) -> None:
    ids = archive.seed(CROWD, contexts=["42"])
    async with connect() as pv:
        waiting = asyncio.create_task(pv.workflows.wait_all(ids, poll=Poll(interval=5.0, ceiling=5.0)))
        for _ in range(3):
            enough = len(archive.requests) + 2
            await until(partial(passed, archive, waiting, enough))
            archive.faults = Faults(script=(Fault.SERVER_ERROR,), paths=ACCESS)
            archive.revoke()
        outcomes = await waiting
    assert all(isinstance(outcome, Finished) for outcome in outcomes)
