"""One-time codes and the external login with a shared secret."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.sandbox.preservica.api import http_client, login, status_with_token
from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.preservica.app import PreservicaState
from workflow_async.sandbox.preservica.tokens import external_hash, totp

CONTEXTS = "/sdb/rest/workflow/contexts"
SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.fixture
async def http(server: PreservicaState) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(server) as http:
        yield http


@pytest.fixture
async def two_factor_login(clock: ManualClock) -> AsyncIterator[tuple[PreservicaState, httpx.AsyncClient]]:
    server = PreservicaState(clock, two_factor=SEED)
    async with http_client(server) as http:
        yield server, http


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
    assert totp(SEED, at) == code


def test_a_secret_may_be_typed_in_lower_case_groups_without_padding() -> None:
    assert totp("gezd gnbv gy3t qojq ge", 59) == totp("GEZDGNBVGY3TQOJQGE======", 59)


def test_a_secret_that_is_not_base32_is_refused_immediately(clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="base32"):
        PreservicaState(clock, two_factor="AJC5DEGUVM6UQ1TT")


async def start_login(http: httpx.AsyncClient, server: PreservicaState) -> str:
    response = await login(http, server)
    assert (response.status_code, response.json()["message"]) == (401, "needs.2fa")
    return str(response.json()["continuationToken"])


async def complete_login(
    http: httpx.AsyncClient, server: PreservicaState, continuation: str, code: str
) -> httpx.Response:
    form = {"username": server.username, "tenant": server.tenant}
    form |= {"continuationToken": continuation, "twoFactorToken": code}
    return await http.post("/api/accesstoken/complete-2fa", data=form)


@pytest.mark.parametrize("drift", [-30, 0, 30])
async def test_a_one_time_code_completes_a_login_with_a_step_of_drift(
    two_factor_login: tuple[PreservicaState, httpx.AsyncClient], clock: ManualClock, drift: int
) -> None:
    server, http = two_factor_login
    answer = await complete_login(http, server, await start_login(http, server), totp(SEED, clock() + drift))
    assert answer.status_code == 200
    assert await status_with_token(http, answer.json()["token"]) == 200
    assert server.logins == 1


@pytest.mark.parametrize("drift", [-90, 90])
async def test_a_one_time_code_of_another_time_is_401(
    two_factor_login: tuple[PreservicaState, httpx.AsyncClient], clock: ManualClock, drift: int
) -> None:
    server, http = two_factor_login
    answer = await complete_login(http, server, await start_login(http, server), totp(SEED, clock() + drift))
    assert answer.status_code == 401
    assert server.logins == 0


async def test_a_login_can_be_completed_once_after_a_wrong_code(
    two_factor_login: tuple[PreservicaState, httpx.AsyncClient], clock: ManualClock
) -> None:
    server, http = two_factor_login
    continuation = await start_login(http, server)
    codes = ["no digits", totp(SEED, clock()), totp(SEED, clock())]
    assert [(await complete_login(http, server, continuation, code)).status_code for code in codes] == [401, 200, 401]


async def test_a_continuation_ends_after_five_minutes(
    two_factor_login: tuple[PreservicaState, httpx.AsyncClient], clock: ManualClock
) -> None:
    server, http = two_factor_login
    continuation = await start_login(http, server)
    clock.advance(300)
    assert (await complete_login(http, server, continuation, totp(SEED, clock()))).status_code == 401


def external_login_form(server: PreservicaState, at: float, **more: str) -> dict[str, str]:
    proof = external_hash(str(int(at)), server.username, server.shared_secret)
    return {"username": server.username, "tenant": server.tenant, "timestamp": str(int(at)), "hash": proof} | more


def test_the_external_hash_is_the_one_recorded_from_pypreservica() -> None:
    assert external_hash("1795383564", "u@x", "pw") == "33607ef5fa0b177fb2882bbf51ed47c4cdbafc3a"


async def test_the_shared_secret_is_exchanged_for_a_token(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    answer = await http.post("/api/accesstoken/acquire-external", data=external_login_form(server, clock()))
    assert answer.status_code == 200
    assert await status_with_token(http, answer.json()["token"]) == 200
    assert server.logins == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"hash": "0" * 40},
        {"username": "nobody"},
        {"tenant": "ELSEWHERE"},
        {"timestamp": "soon"},
        {"timestamp": "9" * 5000},
    ],
    ids=["hash", "username", "tenant", "timestamp", "endless timestamp"],
)
async def test_a_wrong_proof_is_401(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock, wrong: dict[str, str]
) -> None:
    answer = await http.post("/api/accesstoken/acquire-external", data=external_login_form(server, clock(), **wrong))
    assert answer.status_code == 401


@pytest.mark.parametrize("drift", [-302, 302])
async def test_a_proof_of_another_time_is_401(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock, drift: int
) -> None:
    answer = await http.post("/api/accesstoken/acquire-external", data=external_login_form(server, clock() + drift))
    assert answer.status_code == 401


async def log_in_with(server: PreservicaState, http: httpx.AsyncClient, codes: tuple[str, str]) -> list[int]:
    return [(await complete_login(http, server, await start_login(http, server), code)).status_code for code in codes]


@pytest.mark.parametrize(("once", "second"), [(False, 200), (True, 401)])
async def test_a_code_can_be_limited_to_one_use(clock: ManualClock, *, once: bool, second: int) -> None:
    server = PreservicaState(clock, two_factor=SEED, codes_once=once)
    code = totp(SEED, clock())
    async with http_client(server) as http:
        assert await log_in_with(server, http, (code, code)) == [200, second]
        assert server.logins == (1 if once else 2)


async def test_each_valid_code_is_limited_separately(clock: ManualClock) -> None:
    server = PreservicaState(clock, two_factor=SEED, codes_once=True)
    now, before = totp(SEED, clock()), totp(SEED, clock() - 30)
    async with http_client(server) as http:
        assert await log_in_with(server, http, (now, before)) == [200, 200]
        clock.advance(30)
        assert await log_in_with(server, http, (now, totp(SEED, clock()))) == [401, 200]


async def test_a_refused_code_does_not_end_the_login(clock: ManualClock) -> None:
    server = PreservicaState(clock, two_factor=SEED, codes_once=True)
    code = totp(SEED, clock())
    async with http_client(server) as http:
        await log_in_with(server, http, (code, code))
        continuation = await start_login(http, server)
        refused = await complete_login(http, server, continuation, code)
        assert (refused.status_code, refused.json()["message"]) == (401, "Invalid two factor token")
        clock.advance(30)
        assert (await complete_login(http, server, continuation, totp(SEED, clock()))).status_code == 200
