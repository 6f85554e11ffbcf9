import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.sandbox.preservica.asking import door, knock, login
from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.preservica.app import PreservicaState

CONTEXTS = "/sdb/rest/workflow/contexts"


async def refresh(http: httpx.AsyncClient, token: str, refresh_token: str) -> httpx.Response:
    headers = {"Preservica-Access-Token": token}
    return await http.post("/api/accesstoken/refresh", data={"refreshToken": refresh_token}, headers=headers)


@pytest.fixture
async def http(world: PreservicaState) -> AsyncIterator[httpx.AsyncClient]:
    async with door(world) as http:
        yield http


async def test_a_login_answers_with_a_token_its_lifetime_and_a_hyphenated_refresh_token(
    http: httpx.AsyncClient, world: PreservicaState
) -> None:
    answer = await login(http, world, tenant="SANDBOX")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"success", "user", "token", "refresh-token", "validFor"}
    assert (body["success"], body["user"], body["validFor"]) == (True, "manager@example.org", 15)
    assert await knock(http, body["token"]) == 200
    assert world.logins == 1


async def test_a_login_tells_the_tenant_when_asked_for_user_details(
    http: httpx.AsyncClient, world: PreservicaState
) -> None:
    body = (await login(http, world, includeUserDetails="true")).json()
    assert (body["tenant"], body["tenantValue"], body["email"]) == ("SANDBOX", "SANDBOX", world.username)
    assert body["roles"]


@pytest.mark.parametrize(
    "wrong",
    [{"password": "guess"}, {"username": "nobody@example.org"}, {"tenant": "ELSEWHERE"}],
    ids=["password", "username", "tenant"],
)
async def test_wrong_credentials_are_401_with_a_message(
    http: httpx.AsyncClient, world: PreservicaState, wrong: dict[str, str]
) -> None:
    answer = await login(http, world, **wrong)
    assert answer.status_code == 401
    assert answer.json()["success"] is False
    assert answer.json()["message"]
    assert world.logins == 0


async def test_a_form_without_a_password_is_400_and_names_what_it_lacks(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/accesstoken/login", data={"username": "manager@example.org"})
    assert (answer.status_code, answer.json()["message"]) == (400, "Missing form parameter: password")


async def test_credentials_in_the_query_string_do_not_count(http: httpx.AsyncClient, world: PreservicaState) -> None:
    query = {"username": world.username, "password": world.password}
    assert (await http.post("/api/accesstoken/login", params=query)).status_code == 400


async def test_credentials_in_json_do_not_count(http: httpx.AsyncClient, world: PreservicaState) -> None:
    body = {"username": world.username, "password": world.password}
    assert (await http.post("/api/accesstoken/login", json=body)).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        CONTEXTS,
        "/sdb/rest/workflow/instances",
        "/api/process/ingest/configs",
        "/api/processmonitor/monitors",
        "/api/user/details",
        "/api/entity/versiondetails/version",
        "/no/such/path",
    ],
)
async def test_nothing_but_the_token_service_answers_without_a_token(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 401
    assert await knock(http, "made-up", path) == 401


async def test_a_token_ends_when_its_minutes_are_over(clock: ManualClock) -> None:
    world = PreservicaState(clock, token_minutes=2)
    async with door(world) as http:
        token = (await login(http, world)).json()["token"]
        clock.advance(119.9)
        assert await knock(http, token) == 200
        clock.advance(0.2)
        assert await knock(http, token) == 401


async def test_an_older_token_lives_on_beside_a_newer_one(http: httpx.AsyncClient, world: PreservicaState) -> None:
    first, second = [(await login(http, world)).json()["token"] for _ in range(2)]
    assert first != second
    assert [await knock(http, first), await knock(http, second)] == [200, 200]


async def test_revoking_makes_every_token_stale_at_once(http: httpx.AsyncClient, world: PreservicaState) -> None:
    tokens = [(await login(http, world)).json()["token"] for _ in range(3)]
    world.revoke()
    assert [await knock(http, token) for token in tokens] == [401, 401, 401]
    assert await knock(http, (await login(http, world)).json()["token"]) == 200


async def test_a_refresh_token_works_once(http: httpx.AsyncClient, world: PreservicaState) -> None:
    old = (await login(http, world)).json()
    new = await refresh(http, old["token"], old["refresh-token"])
    assert new.status_code == 200
    assert await knock(http, new.json()["token"]) == 200
    assert (await refresh(http, old["token"], old["refresh-token"])).status_code == 401
    assert (world.logins, world.refreshes) == (1, 1)


async def test_a_refreshed_pair_can_be_refreshed_again(http: httpx.AsyncClient, world: PreservicaState) -> None:
    pair = (await login(http, world)).json()
    for _ in range(3):
        pair = (await refresh(http, pair["token"], pair["refresh-token"])).json()
    assert world.refreshes == 3


async def test_a_refresh_needs_an_access_token_that_holds(http: httpx.AsyncClient, world: PreservicaState) -> None:
    pair = (await login(http, world)).json()
    assert (await refresh(http, "made-up", pair["refresh-token"])).status_code == 401


async def test_a_refresh_token_ends_with_its_access_token(
    http: httpx.AsyncClient, world: PreservicaState, clock: ManualClock
) -> None:
    old = (await login(http, world)).json()
    clock.advance(14 * 60)
    new = (await login(http, world)).json()
    clock.advance(2 * 60)
    assert (await refresh(http, new["token"], old["refresh-token"])).status_code == 401


async def test_a_server_with_the_known_bug_refuses_every_refresh(clock: ManualClock) -> None:
    world = PreservicaState(clock, refresh_works=False)
    async with door(world) as http:
        pair = (await login(http, world)).json()
        assert (await refresh(http, pair["token"], pair["refresh-token"])).status_code == 401
        assert await knock(http, pair["token"]) == 200
    assert world.refreshes == 0


async def test_the_version_is_found_where_pypreservica_looks_for_it(
    http: httpx.AsyncClient, world: PreservicaState
) -> None:
    http.headers["Preservica-Access-Token"] = (await login(http, world)).json()["token"]
    answer = await http.get("/api/entity/versiondetails/version")
    assert "<CurrentVersion>7.7.0</CurrentVersion>" in answer.text
    assert isinstance((await http.get("/api/user/details")).json()["roles"], list)


async def test_two_worlds_of_one_seed_give_the_same_tokens_and_others_do_not(clock: ManualClock) -> None:
    tokens = []
    for seed in (1, 1, 2):
        world = PreservicaState(clock, seed)
        async with door(world) as http:
            tokens.append((await login(http, world)).json()["token"])
    assert tokens[0] == tokens[1] != tokens[2]


async def test_the_sandbox_may_run_on_the_real_clock() -> None:
    world = PreservicaState(time.time)
    async with door(world) as http:
        assert await knock(http, (await login(http, world)).json()["token"]) == 200
