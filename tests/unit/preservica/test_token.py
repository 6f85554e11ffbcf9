"""One token for all calls of a client over a real socket: logins, expiry, refresh, and what follows a 401."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from workflow_async import Clock, Retry
from workflow_async.errors import CallError, ServerError, Unauthorized
from workflow_async.preservica import PreservicaClient
from workflow_async.sandbox import Fault, Faults, ManualClock
from workflow_async.sandbox.systems import FakePreservica

Connect = Callable[..., PreservicaClient]
Serve = Callable[..., FakePreservica]

SEED = "JBSWY3DPEHPK3PXP"
LIFE = 900.0
ACCESS = ("/api/accesstoken/",)


def client(archive: FakePreservica, clock: Clock, **settings: Any) -> PreservicaClient:
    account = {"username": archive.username, "password": archive.password, "tenant": archive.tenant}
    return PreservicaClient(archive.url, **{**account, "clock": clock, **settings})


async def call(pv: PreservicaClient) -> None:
    await pv.contexts.list(type="Access").first()


def paths(archive: FakePreservica) -> list[str]:
    return [request.path.rpartition("/")[2] for request in archive.requests]


async def concurrently(pv: PreservicaClient, count: int) -> list[CallError | None]:
    """Make this number of calls concurrently, and return the error of each or None."""
    ends: list[CallError | None] = []

    async def one() -> None:
        try:
            await call(pv)
        except CallError as error:
            ends.append(error)
        else:
            ends.append(None)

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)
    return ends


@pytest.mark.sweep
async def test_a_thousand_simultaneous_calls_need_one_login(archive: FakePreservica, pv: PreservicaClient) -> None:
    assert await concurrently(pv, 1000) == [None] * 1000
    assert archive.logins == 1
    assert len(archive.requests) == 1001


@pytest.mark.sweep
async def test_a_thousand_simultaneous_calls_with_a_revoked_token_need_one_more_login(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    await call(pv)
    archive.state.revoke()
    assert await concurrently(pv, 1000) == [None] * 1000
    assert archive.logins == 2


async def test_a_failed_login_fails_for_all_waiting_calls(archive: FakePreservica, connect: Connect) -> None:
    async with connect(password="wrong") as pv:
        ends = await concurrently(pv, 200)
    assert {type(end) for end in ends} == {Unauthorized}
    assert [request.status for request in archive.requests] == [401]


async def test_a_token_is_refreshed_before_it_expires(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    for _ in range(4):
        await call(pv)
        time.advance(LIFE * 0.81)
    assert (archive.logins, archive.refreshes) == (1, 3)
    assert all(request.status == 200 for request in archive.requests)


async def test_a_refresh_carries_the_old_token(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    await call(pv)
    time.advance(LIFE * 0.81)
    await call(pv)
    first, refresh, second = archive.requests[1:]
    assert refresh.path == "/api/accesstoken/refresh"
    assert refresh.headers["preservica-access-token"] == first.headers["preservica-access-token"]
    assert second.headers["preservica-access-token"] != first.headers["preservica-access-token"]


async def test_a_refused_refresh_is_followed_by_a_login(serve: Serve, clock: Clock, time: ManualClock) -> None:
    archive = serve(refresh_works=False)
    async with client(archive, clock) as pv:
        await call(pv)
        time.advance(LIFE * 0.81)
        await call(pv)
    assert paths(archive) == ["login", "contexts", "refresh", "login", "contexts"]
    assert (archive.logins, archive.refreshes) == (2, 0)


async def test_an_expired_token_is_replaced_by_a_login_and_not_refreshed(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    await call(pv)
    time.advance(LIFE + 1)
    await call(pv)
    assert paths(archive) == ["login", "contexts", "login", "contexts"]


async def test_a_valid_token_is_still_used_after_a_failed_renewal(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    await call(pv)
    time.advance(LIFE * 0.81)
    archive.faults = Faults(script=(Fault.SERVER_ERROR,) * 5, paths=ACCESS)
    await call(pv)
    assert archive.logins == 1


async def test_a_call_refused_with_401_is_sent_once_more_with_another_token(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    await call(pv)
    archive.state.revoke()
    await call(pv)
    assert [request.status for request in archive.requests] == [200, 200, 401, 200, 200]


async def test_a_permanent_401_raises_after_two_requests(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.faults = Faults(rates={Fault.UNAUTHORIZED: 1.0}, paths=("/sdb/",))
    with pytest.raises(Unauthorized):
        await call(pv)
    assert paths(archive) == ["login", "contexts", "login", "contexts"]


async def test_a_login_page_in_place_of_a_response_counts_as_an_expired_token(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(script=(Fault.LOGIN_PAGE,), paths=("/sdb/",))
    await call(pv)
    assert paths(archive) == ["login", "contexts", "login", "contexts"]


@pytest.mark.parametrize("fault", [Fault.LOGIN_PAGE, Fault.SERVER_ERROR, Fault.RATE_LIMITED, Fault.CUT_BEFORE])
async def test_a_login_that_fails_temporarily_is_retried(
    fault: Fault, archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(script=(fault,), paths=ACCESS)
    await call(pv)
    assert paths(archive) == ["login", "login", "contexts"]


async def test_a_login_is_retried_until_the_call_times_out(archive: FakePreservica, connect: Connect) -> None:
    archive.faults = Faults(rates={Fault.SERVER_ERROR: 1.0}, paths=ACCESS)
    async with connect(retry=Retry(attempts=3)) as pv:
        with pytest.raises(ServerError, match="accesstoken/login") as caught:
            await call(pv)
        assert caught.value.at_login
        assert (caught.value.attempts, len(archive.requests)) == (3, 3)


async def test_an_outage_of_the_login_is_one_series_of_attempts_and_an_error_for_all(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(rates={Fault.SERVER_ERROR: 1.0}, paths=ACCESS)
    ends = await concurrently(pv, 100)
    assert {type(end) for end in ends} == {ServerError}
    assert paths(archive) == ["login"] * 4


async def test_an_outage_of_the_login_has_no_effect_while_the_token_is_valid(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    await call(pv)
    time.advance(LIFE * 0.81)
    archive.faults = Faults(rates={Fault.SERVER_ERROR: 1.0}, paths=ACCESS)
    for _ in range(10):
        await call(pv)
        time.advance(16)
    attempts = [path for path in paths(archive) if path != "contexts"]
    assert attempts[:2] == ["login", "refresh"]
    assert set(attempts[2:]) == {"login"}
    archive.faults = Faults()
    await call(pv)
    assert archive.logins == 2


async def test_a_cancelled_caller_does_not_cancel_the_login_of_the_others(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(latency=(0.05, 0.05), paths=ACCESS)
    async with anyio.create_task_group() as others, anyio.create_task_group() as group:
        group.start_soon(call, pv)
        await anyio.sleep(0.01)
        others.start_soon(call, pv)
        await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    assert paths(archive)[-1] == "contexts"


async def test_a_second_factor_logs_in_and_a_refresh_needs_none(serve: Serve, clock: Clock, time: ManualClock) -> None:
    archive = serve(two_factor=SEED)
    async with client(archive, clock, two_factor=SEED) as pv:
        await call(pv)
        time.advance(LIFE * 0.81)
        await call(pv)
    assert paths(archive) == ["login", "complete-2fa", "contexts", "refresh", "contexts"]


async def test_a_wrong_seed_is_unauthorized_after_codes_of_five_steps(
    serve: Serve, clock: Clock, time: ManualClock
) -> None:
    archive, started = serve(two_factor=SEED), time()
    async with client(archive, clock, two_factor="MZXW6YTB") as pv:
        for _ in range(2):
            with pytest.raises(Unauthorized, match="complete-2fa: 401 Unauthorized: Invalid two factor token; 5 codes"):
                await call(pv)
    assert paths(archive) == ["login", "complete-2fa"] * 5
    assert 4 * 30 - 30 < time() - started <= 5 * 30


async def test_a_shared_secret_logs_in_without_the_password(archive: FakePreservica, connect: Connect) -> None:
    async with connect(password=archive.shared_secret, shared_secret=True) as pv:
        await call(pv)
    assert paths(archive) == ["acquire-external", "contexts"]


async def test_the_login_works_without_a_tenant(archive: FakePreservica, connect: Connect) -> None:
    async with connect(tenant=None) as pv:
        await call(pv)
    assert b"includeUserDetails=true" in archive.requests[0].body


async def test_a_wrong_tenant_is_quoted(connect: Connect) -> None:
    async with connect(tenant="OTHER") as pv:
        with pytest.raises(Unauthorized, match="401 Unauthorized: Invalid tenant"):
            await call(pv)
