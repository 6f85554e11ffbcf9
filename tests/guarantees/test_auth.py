"""T-AUTH: one login for any number of callers, one retried login during an outage, none with rejected credentials."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import attrs
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

CALLERS = 1000
TOKEN_PATHS = ("/api/accesstoken/",)
REFRESH = ("/api/accesstoken/refresh",)
BACKENDS: tuple[HTTPBackend, ...] = ("httpx", "httpx2", "aiohttp")
Connect = Callable[..., PreservicaClient]


@pytest.fixture
def clock(clock: Clock) -> Clock:
    """Return the clock with a wall clock that is wrong."""
    return attrs.evolve(clock, wall=lambda: -1e9)


@pytest.fixture
def options() -> dict[str, Any]:
    return {}


@pytest.fixture
def archive(time: ManualClock, options: dict[str, Any]) -> Iterator[FakePreservica]:
    with Sandbox("16", time, **options) as served:
        yield served.preservica


@pytest.fixture
def connect(archive: FakePreservica, clock: Clock) -> Connect:
    def make_client(**settings: Any) -> PreservicaClient:
        account = {"username": archive.username, "password": archive.password, "tenant": archive.tenant}
        return PreservicaClient(archive.url, **{**account, "clock": clock, **settings})

    return make_client


async def call_error(pv: PreservicaClient) -> CallError | None:
    """Make a call and return its error. None if it succeeded."""
    try:
        await pv.contexts.list(type="Access").first()
    except CallError as error:
        return error
    return None


async def call_concurrently(pv: PreservicaClient, count: int = CALLERS) -> list[CallError | None]:
    return await asyncio.gather(*(call_error(pv) for _ in range(count)))


def token_requests(archive: FakePreservica) -> list[str]:
    """Return the requests to the token service."""
    return [
        request.path.removeprefix(TOKEN_PATHS[0])
        for request in archive.requests
        if request.path.startswith(TOKEN_PATHS)
    ]


def statuses(archive: FakePreservica) -> list[int]:
    return [request.status for request in archive.requests if not request.path.startswith(TOKEN_PATHS)]


def shared_error(errors: list[CallError | None]) -> str:
    """Return the one type of all errors. Check that they are distinct objects that report the same attempts."""
    assert all(error is not None and error.at_login for error in errors)
    assert len({error.attempts for error in errors if error is not None}) == 1
    assert len({id(error) for error in errors}) == len(errors)
    (kind,) = {type(error).__name__ for error in errors}
    return kind


def enough_requests(archive: FakePreservica, waiting: "asyncio.Task[object]", enough: int) -> bool:
    return waiting.done() or len(archive.requests) > enough


async def run_loop(count: int = 50) -> None:
    """Let all tasks run until they wait for the server."""
    for _ in range(count):
        await asyncio.sleep(0)


# One login


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_thousand_concurrent_401s_cause_one_login(
    backend: HTTPBackend, archive: FakePreservica, connect: Connect, see: See
) -> None:
    async with connect(http=backend) as pv:
        await call_error(pv)
        archive.revoke()
        assert await call_concurrently(pv) == [None] * CALLERS
    assert token_requests(archive) == ["login"] * 2
    unauthorized = statuses(archive).count(401)
    assert unauthorized > 1
    see(f"{CALLERS} calls with a revoked token: 1 login, all answered")


async def test_a_day_of_calls_takes_one_login_and_no_401(
    archive: FakePreservica, connect: Connect, time: ManualClock, see: See
) -> None:
    async with connect() as pv:
        for _ in range(24 * 60):
            assert await call_error(pv) is None
            time.advance(60.0)
    assert (archive.logins, archive.refreshes) == (1, 119)
    assert set(statuses(archive)) == {200}
    see("a day: 1 login, 119 refreshes, no 401")


@pytest.mark.parametrize("options", [{"token_minutes": 2000}])
async def test_a_token_lifetime_of_more_than_a_day_counts_as_15_minutes(
    archive: FakePreservica, connect: Connect, time: ManualClock
) -> None:
    async with connect() as pv:
        await call_error(pv)
        time.advance(0.79 * 900)
        await call_error(pv)
        assert token_requests(archive) == ["login"]
        time.advance(0.02 * 900)
        await call_error(pv)
    assert token_requests(archive) == ["login", "refresh"]


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.CUT_BODY, Fault.ERROR_AFTER, Fault.LOGIN_PAGE])
async def test_a_refresh_of_unknown_outcome_is_followed_by_one_login_for_all(
    fault: Fault, archive: FakePreservica, connect: Connect, time: ManualClock, see: See
) -> None:
    async with connect() as pv:
        await call_error(pv)
        time.advance(0.81 * 900)
        archive.faults = Faults(script=(fault,), paths=REFRESH)
        assert await call_concurrently(pv, 100) == [None] * 100
    assert token_requests(archive) == ["login", "refresh", "login"]
    see("refresh of unknown outcome: 1 login")


async def test_a_used_refresh_token_is_followed_by_one_login_for_all(
    archive: FakePreservica, connect: Connect, time: ManualClock, see: See
) -> None:
    async with connect() as pv:
        await call_error(pv)
        time.advance(0.81 * 900)
        with archive.lock:
            archive.state.accounts._refresh.clear()
        assert await call_concurrently(pv, 100) == [None] * 100
    assert token_requests(archive) == ["login", "refresh", "login"]
    see("used refresh token: 1 login")


# A slow login, and callers that are cancelled


async def test_all_callers_wait_for_a_slow_login(archive: FakePreservica, connect: Connect) -> None:
    async with connect() as pv:
        with archive.lock:  # the server does not respond
            callers = [asyncio.create_task(call_error(pv)) for _ in range(CALLERS)]
            await run_loop()
        assert await asyncio.gather(*callers) == [None] * CALLERS
    assert token_requests(archive) == ["login"]


async def test_a_caller_cancelled_during_its_login_does_not_affect_the_others(
    archive: FakePreservica, connect: Connect, see: See
) -> None:
    async with connect() as pv:
        with archive.lock:
            first, *others = [asyncio.create_task(call_error(pv)) for _ in range(CALLERS)]
            await run_loop()
            first.cancel()
            await run_loop()
        assert await asyncio.gather(*others) == [None] * (CALLERS - 1)
    assert first.cancelled()
    assert token_requests(archive) == ["login"]
    see(f"first caller cancelled: 1 login, {CALLERS - 1} others answered")


@pytest.mark.parametrize("backend", BACKENDS)
async def test_callers_that_come_and_go_while_the_login_is_stuck_cause_one_attempt(
    backend: HTTPBackend, clock: Clock, see: See
) -> None:
    before = asyncio.all_tasks()
    async with serve(lambda _: RawResponse(b"", "stall")) as wire:
        async with PreservicaClient(wire.url, username="u", password="p", tenant="t", http=backend, clock=clock) as pv:
            waiting = [asyncio.create_task(call_error(pv)) for _ in range(10)]
            await until(lambda: len(wire.requests) == 1)
            for _ in range(CALLERS):
                waiting.append(asyncio.create_task(call_error(pv)))
                waiting.pop(0).cancel()
                await run_loop(3)
            for caller in waiting:
                caller.cancel()
            await asyncio.wait(waiting)
            await until(lambda: not wire.open)
        assert (wire.connections, len(wire.requests)) == (1, 1)
    assert not {task for task in asyncio.all_tasks() - before if "handle" not in repr(task)}
    see(f"{CALLERS} callers come and go while the login is stuck: 1 attempt")


# A login that is down


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.RATE_LIMITED, Fault.CUT_BEFORE, Fault.LOGIN_PAGE])
@pytest.mark.parametrize("refused", [False, True], ids=["no token yet", "all refused with 401"])
async def test_a_login_that_is_down_is_retried_once_for_all_and_fails_a_thousand_calls(
    fault: Fault, *, refused: bool, archive: FakePreservica, connect: Connect, see: See
) -> None:
    async with connect() as pv:
        if refused:
            await call_error(pv)
            archive.revoke()
        archive.requests.clear()
        archive.faults = Faults(rates={fault: 1.0}, paths=TOKEN_PATHS)
        kind = shared_error(await call_concurrently(pv))
        attempts = 2 if fault is Fault.LOGIN_PAGE else 4
        assert token_requests(archive) == ["login"] * attempts
        assert statuses(archive) == [401] * CALLERS * refused
        archive.faults = Faults()
        assert await call_concurrently(pv) == [None] * CALLERS
        assert token_requests(archive) == ["login"] * (attempts + 1)
    see(f"login down: {attempts} attempts, {CALLERS} {kind}")


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_login_that_cannot_connect_is_retried_once_for_all_and_fails_a_thousand_calls(
    backend: HTTPBackend, clock: Clock, see: See
) -> None:
    jitters = 0

    def counted_jitter() -> float:
        nonlocal jitters
        jitters += 1
        return 0.5

    clock = Clock(now=clock.now, sleep=clock.sleep, jitter=counted_jitter)
    async with PreservicaClient(refused_url(), username="u", password="p", tenant="t", http=backend, clock=clock) as pv:
        see(f"connection refused: {CALLERS} {shared_error(await call_concurrently(pv))}")
    assert jitters == 4  # one per attempt: the calls themselves are not retried


async def test_a_login_without_a_response_is_retried_once_for_all_and_fails_a_thousand_calls(
    clock: Clock, see: See
) -> None:
    short = Timeouts(exchange=0.05)
    async with serve(lambda _: RawResponse(b"", "stall")) as wire:
        async with PreservicaClient(
            wire.url, username="u", password="p", tenant="t", clock=clock, timeouts=short
        ) as pv:
            kind = shared_error(await call_concurrently(pv))
        assert len(wire.requests) == 4
    see(f"login stuck: 4 attempts, {CALLERS} {kind}")


# Rejected credentials


@pytest.mark.parametrize("status", [401, 403])
async def test_rejected_credentials_are_sent_once_by_a_thousand_calls_and_never_again(
    status: int, clock: Clock, see: See
) -> None:
    async with serve(lambda _: http(status, {"message": "Invalid username or password"})) as wire:
        async with PreservicaClient(wire.url, username="u", password="p", tenant="t", clock=clock) as pv:
            errors = [*await call_concurrently(pv), *await call_concurrently(pv), *await call_concurrently(pv)]
        assert len(wire.requests) == 1
    assert all(status == 403 or "open a new client with others" in str(error) for error in errors)
    see(f"rejected credentials: 1 attempt, {len(errors)} {shared_error(errors)}")


async def test_a_new_client_sends_them_again(archive: FakePreservica, connect: Connect) -> None:
    for password in ("wrong", archive.password):
        async with connect(password=password) as pv:
            await call_concurrently(pv, 10)
    assert [request.status for request in archive.requests if request.path.startswith(TOKEN_PATHS)] == [401, 200]


async def test_a_changed_password_is_not_retried_until_the_account_is_locked(
    archive: FakePreservica, connect: Connect, time: ManualClock
) -> None:
    async with connect() as pv:
        await call_error(pv)
        with archive.lock:
            archive.state.accounts.password = "another"
            archive.state.accounts.refresh_works = False
        for _ in range(60):
            time.advance(60.0)
            await call_error(pv)
        assert isinstance(await call_error(pv), Unauthorized)
    assert token_requests(archive) == ["login", "refresh", "login"]


async def test_a_token_function_is_called_again_after_a_401_and_a_call_is_sent_twice_at_most(
    clock: Clock, see: See
) -> None:
    with Sandbox("16") as served:
        valid = served.opencast.jwt
        tokens = iter(["one", "two", "two", "three", valid, valid, valid])
        async with OpencastClient(served.opencast.url, auth=Bearer(lambda: next(tokens)), clock=clock) as oc:
            with pytest.raises(Unauthorized):
                await oc.me()
            assert [request.status for request in served.opencast.requests] == [401, 401]
            await oc.me()
            await oc.me()
        assert [request.status for request in served.opencast.requests] == [401, 401, 401, 200, 200]
    see("a token function: called again after a 401, 2 requests at most")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("as_function", [False, True], ids=["a text", "a function"])
async def test_a_wrong_basic_password_is_sent_once_by_one_client(
    backend: HTTPBackend, *, as_function: bool, clock: Clock, see: See
) -> None:
    async def current() -> str:
        return "wrong"

    with Sandbox("16") as served:
        password: Any = current if as_function else "wrong"
        async with OpencastClient(served.opencast.url, auth=("admin", password), http=backend, clock=clock) as oc:
            errors = []
            for _ in range(5):
                with pytest.raises(Unauthorized) as caught:
                    await oc.me()
                errors.append(str(caught.value))
        assert [request.status for request in served.opencast.requests] == [401]
    way = "the function for the password must return another one" if as_function else "open a new client with others"
    assert all(f"these credentials are not tried again: {way}" in error for error in errors)
    see("a wrong Basic password: 5 calls, 1 request")


async def test_a_new_basic_password_of_a_function_clears_the_refusal(clock: Clock, see: See) -> None:
    with Sandbox("16") as served:
        right, current = served.opencast.password, "wrong"
        async with OpencastClient(served.opencast.url, auth=("admin", lambda: current), clock=clock) as oc:
            for _ in range(2):
                with pytest.raises(Unauthorized):
                    await oc.me()
            current = right
            await oc.me()
            current = "wrong again"
            for _ in range(2):
                with pytest.raises(Unauthorized):
                    await oc.me()
            current = right
            await oc.me()
        assert [request.status for request in served.opencast.requests] == [401, 200, 401, 200]
    see("a rotated Basic password: the next call sends it")


async def test_a_basic_password_that_changes_under_a_call_is_asked_for_again(clock: Clock) -> None:
    with Sandbox("16") as served:
        passwords = iter(["old", served.opencast.password, served.opencast.password])
        async with OpencastClient(served.opencast.url, auth=("admin", lambda: next(passwords)), clock=clock) as oc:
            await oc.me()
        assert [request.status for request in served.opencast.requests] == [401, 200]


# Checks


async def test_a_token_revoked_with_a_thousand_checks_in_flight_fails_none_of_them(
    archive: FakePreservica, connect: Connect, see: See
) -> None:
    async with connect() as pv:
        await call_error(pv)
        checks = asyncio.create_task(call_concurrently(pv))
        await until(lambda: len(archive.requests) > CALLERS // 4)
        archive.revoke()
        assert await checks == [None] * CALLERS
    assert token_requests(archive) == ["login"] * 2
    see("revoked with 1000 checks in flight: 0 checks failed")


async def test_a_token_revoked_while_the_login_fails_once_fails_no_check(
    archive: FakePreservica, connect: Connect, see: See
) -> None:
    async with connect() as pv:
        await call_error(pv)
        checks = asyncio.create_task(call_concurrently(pv))
        await until(lambda: len(archive.requests) > CALLERS // 4)
        archive.faults = Faults(script=(Fault.SERVER_ERROR,), paths=TOKEN_PATHS)
        archive.revoke()
        assert await checks == [None] * CALLERS
    assert token_requests(archive) == ["login"] * 3
    see(f"and the login down once: 2 logins, {CALLERS} of {CALLERS} checks answered")


async def test_a_watch_survives_revoked_tokens_and_failed_logins(archive: FakePreservica, connect: Connect) -> None:
    ids = archive.seed(CALLERS, contexts=["42"])
    async with connect() as pv:
        waiting = asyncio.create_task(pv.workflows.wait_all(ids, poll=Poll(interval=5.0, ceiling=5.0)))
        for _ in range(3):
            enough = len(archive.requests) + 2
            await until(partial(enough_requests, archive, waiting, enough))
            archive.faults = Faults(script=(Fault.SERVER_ERROR,), paths=TOKEN_PATHS)
            archive.revoke()
        outcomes = await waiting
    assert all(isinstance(outcome, Finished) for outcome in outcomes)
