"""One token for every call of a client, over a real socket: logins, expiry, refresh, and what follows a 401."""

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


async def ask(pv: PreservicaClient) -> None:
    await pv.contexts.list(type="Access").first()


def paths(archive: FakePreservica) -> list[str]:
    return [exchange.path.rpartition("/")[2] for exchange in archive.requests]


async def at_once(pv: PreservicaClient, count: int) -> list[CallError | None]:
    """That many calls at the same time, and how each of them ended."""
    ends: list[CallError | None] = []

    async def one() -> None:
        try:
            await ask(pv)
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
    assert await at_once(pv, 1000) == [None] * 1000
    assert archive.logins == 1
    assert len(archive.requests) == 1001


@pytest.mark.sweep
async def test_a_thousand_simultaneous_calls_with_a_revoked_token_need_one_more_login(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    await ask(pv)
    archive.state.revoke()
    assert await at_once(pv, 1000) == [None] * 1000
    assert archive.logins == 2


async def test_a_login_that_fails_fails_for_all_who_wait_for_it(archive: FakePreservica, connect: Connect) -> None:
    async with connect(password="wrong") as pv:
        ends = await at_once(pv, 200)
    assert {type(end) for end in ends} == {Unauthorized}
    assert [exchange.status for exchange in archive.requests] == [401]


async def test_a_token_is_refreshed_before_it_ends(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    for _ in range(4):
        await ask(pv)
        time.advance(LIFE * 0.81)
    assert (archive.logins, archive.refreshes) == (1, 3)
    assert all(exchange.status == 200 for exchange in archive.requests)


async def test_a_refresh_carries_the_old_token(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    await ask(pv)
    time.advance(LIFE * 0.81)
    await ask(pv)
    first, refresh, second = archive.requests[1:]
    assert refresh.path == "/api/accesstoken/refresh"
    assert refresh.headers["preservica-access-token"] == first.headers["preservica-access-token"]
    assert second.headers["preservica-access-token"] != first.headers["preservica-access-token"]


async def test_a_refresh_that_is_refused_is_followed_by_a_login(serve: Serve, clock: Clock, time: ManualClock) -> None:
    archive = serve(refresh_works=False)
    async with client(archive, clock) as pv:
        await ask(pv)
        time.advance(LIFE * 0.81)
        await ask(pv)
    assert paths(archive) == ["login", "contexts", "refresh", "login", "contexts"]
    assert (archive.logins, archive.refreshes) == (2, 0)


async def test_a_token_that_has_ended_is_not_refreshed_but_replaced_by_a_login(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    await ask(pv)
    time.advance(LIFE + 1)
    await ask(pv)
    assert paths(archive) == ["login", "contexts", "login", "contexts"]


async def test_a_token_that_outlives_a_renewal_that_failed_is_used_on(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    await ask(pv)
    time.advance(LIFE * 0.81)
    archive.faults = Faults(script=(Fault.SERVER_ERROR,) * 5, paths=ACCESS)
    await ask(pv)
    assert archive.logins == 1


async def test_a_call_refused_with_401_is_sent_once_more_with_another_token(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    await ask(pv)
    archive.state.revoke()
    await ask(pv)
    assert [exchange.status for exchange in archive.requests] == [200, 200, 401, 200, 200]


async def test_a_standing_401_ends_after_two_sends(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.faults = Faults(rates={Fault.UNAUTHORIZED: 1.0}, paths=("/sdb/",))
    with pytest.raises(Unauthorized):
        await ask(pv)
    assert paths(archive) == ["login", "contexts", "login", "contexts"]


async def test_a_login_page_in_place_of_an_answer_is_taken_for_a_stale_token(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(script=(Fault.LOGIN_PAGE,), paths=("/sdb/",))
    await ask(pv)
    assert paths(archive) == ["login", "contexts", "login", "contexts"]


@pytest.mark.parametrize("fault", [Fault.LOGIN_PAGE, Fault.SERVER_ERROR, Fault.RATE_LIMITED, Fault.CUT_BEFORE])
async def test_a_login_that_fails_in_passing_is_tried_again(
    fault: Fault, archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(script=(fault,), paths=ACCESS)
    await ask(pv)
    assert paths(archive) == ["login", "login", "contexts"]


async def test_a_login_is_tried_again_until_the_deadline_of_the_call(archive: FakePreservica, connect: Connect) -> None:
    archive.faults = Faults(rates={Fault.SERVER_ERROR: 1.0}, paths=ACCESS)
    async with connect(retry=Retry(attempts=3)) as pv:
        with pytest.raises(ServerError, match="accesstoken/login") as caught:
            await ask(pv)
        assert caught.value.at_login
        assert (caught.value.attempts, len(archive.requests)) == (3, 3)


async def test_an_outage_of_the_login_is_one_flight_of_attempts_and_an_error_for_all(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(rates={Fault.SERVER_ERROR: 1.0}, paths=ACCESS)
    ends = await at_once(pv, 100)
    assert {type(end) for end in ends} == {ServerError}
    assert paths(archive) == ["login"] * 4


async def test_an_outage_of_the_login_while_the_token_lives_is_endured(
    archive: FakePreservica, pv: PreservicaClient, time: ManualClock
) -> None:
    await ask(pv)
    time.advance(LIFE * 0.81)
    archive.faults = Faults(rates={Fault.SERVER_ERROR: 1.0}, paths=ACCESS)
    for _ in range(10):
        await ask(pv)
        time.advance(16)
    attempts = [path for path in paths(archive) if path != "contexts"]
    assert attempts[:2] == ["login", "refresh"]
    assert set(attempts[2:]) == {"login"}
    archive.faults = Faults()
    await ask(pv)
    assert archive.logins == 2


async def test_a_caller_that_is_cancelled_while_it_logs_in_leaves_the_login_to_the_others(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.faults = Faults(latency=(0.05, 0.05), paths=ACCESS)
    async with anyio.create_task_group() as others, anyio.create_task_group() as group:
        group.start_soon(ask, pv)
        await anyio.sleep(0.01)
        others.start_soon(ask, pv)
        await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    assert paths(archive)[-1] == "contexts"


async def test_a_second_factor_logs_in_and_is_spared_by_the_refresh(
    serve: Serve, clock: Clock, time: ManualClock
) -> None:
    archive = serve(two_factor=SEED)
    async with client(archive, clock, two_factor=SEED) as pv:
        await ask(pv)
        time.advance(LIFE * 0.81)
        await ask(pv)
    assert paths(archive) == ["login", "complete-2fa", "contexts", "refresh", "contexts"]


async def test_a_wrong_seed_is_unauthorized_after_codes_of_five_steps(
    serve: Serve, clock: Clock, time: ManualClock
) -> None:
    archive, began = serve(two_factor=SEED), time()
    async with client(archive, clock, two_factor="MZXW6YTB") as pv:
        for _ in range(2):
            with pytest.raises(Unauthorized, match="complete-2fa: 401 Unauthorized: Invalid two factor token; 5 codes"):
                await ask(pv)
    assert paths(archive) == ["login", "complete-2fa"] * 5
    assert 4 * 30 - 30 < time() - began <= 5 * 30


async def test_a_shared_secret_logs_in_without_the_password(archive: FakePreservica, connect: Connect) -> None:
    async with connect(password=archive.shared_secret, shared_secret=True) as pv:
        await ask(pv)
    assert paths(archive) == ["acquire-external", "contexts"]


async def test_without_a_tenant_the_login_works_all_the_same(archive: FakePreservica, connect: Connect) -> None:
    async with connect(tenant=None) as pv:
        await ask(pv)
    assert b"includeUserDetails=true" in archive.requests[0].body


async def test_a_wrong_tenant_is_quoted(connect: Connect) -> None:
    async with connect(tenant="OTHER") as pv:
        with pytest.raises(Unauthorized, match="401 Unauthorized: Invalid tenant"):
            await ask(pv)
