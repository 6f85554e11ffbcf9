"""Logins, access tokens and refresh tokens."""

import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.sandbox.preservica.api import http_client, login, status_with_token
from workflow_async.sandbox.clock import ManualClock
from workflow_async.sandbox.preservica.app import PreservicaState

CONTEXTS = "/sdb/rest/workflow/contexts"


async def refresh(http: httpx.AsyncClient, token: str, refresh_token: str) -> httpx.Response:
    headers = {"Preservica-Access-Token": token}
    return await http.post("/api/accesstoken/refresh", data={"refreshToken": refresh_token}, headers=headers)


@pytest.fixture
async def http(server: PreservicaState) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(server) as http:
        yield http


async def test_a_login_answers_with_a_token_its_lifetime_and_a_hyphenated_refresh_token(
    http: httpx.AsyncClient, server: PreservicaState
) -> None:
    answer = await login(http, server, tenant="SANDBOX")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"success", "user", "token", "refresh-token", "validFor"}
    assert (body["success"], body["user"], body["validFor"]) == (True, "manager@example.org", 15)
    assert await status_with_token(http, body["token"]) == 200
    assert server.logins == 1


async def test_a_login_returns_the_tenant_with_the_user_details(
    http: httpx.AsyncClient, server: PreservicaState
) -> None:
    body = (await login(http, server, includeUserDetails="true")).json()
    assert (body["tenant"], body["tenantValue"], body["email"]) == ("SANDBOX", "SANDBOX", server.username)
    assert body["roles"]


@pytest.mark.parametrize(
    "wrong",
    [{"password": "guess"}, {"username": "nobody@example.org"}, {"tenant": "ELSEWHERE"}],
    ids=["password", "username", "tenant"],
)
async def test_wrong_credentials_are_401_with_a_message(
    http: httpx.AsyncClient, server: PreservicaState, wrong: dict[str, str]
) -> None:
    answer = await login(http, server, **wrong)
    assert answer.status_code == 401
    assert answer.json()["success"] is False
    assert answer.json()["message"]
    assert server.logins == 0


async def test_a_form_without_a_password_is_400_and_names_what_it_lacks(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/accesstoken/login", data={"username": "manager@example.org"})
    assert (answer.status_code, answer.json()["message"]) == (400, "Missing form parameter: password")


async def test_credentials_in_the_query_string_do_not_count(http: httpx.AsyncClient, server: PreservicaState) -> None:
    query = {"username": server.username, "password": server.password}
    assert (await http.post("/api/accesstoken/login", params=query)).status_code == 400


async def test_credentials_in_json_do_not_count(http: httpx.AsyncClient, server: PreservicaState) -> None:
    body = {"username": server.username, "password": server.password}
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
async def test_only_the_token_service_responds_without_a_token(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 401
    assert await status_with_token(http, "made-up", path) == 401


async def test_a_token_expires_after_its_minutes(clock: ManualClock) -> None:
    server = PreservicaState(clock, token_minutes=2)
    async with http_client(server) as http:
        token = (await login(http, server)).json()["token"]
        clock.advance(119.9)
        assert await status_with_token(http, token) == 200
        clock.advance(0.2)
        assert await status_with_token(http, token) == 401


async def test_an_older_token_stays_valid_beside_a_newer_one(http: httpx.AsyncClient, server: PreservicaState) -> None:
    first, second = [(await login(http, server)).json()["token"] for _ in range(2)]
    assert first != second
    assert [await status_with_token(http, first), await status_with_token(http, second)] == [200, 200]


async def test_revoking_invalidates_every_token(http: httpx.AsyncClient, server: PreservicaState) -> None:
    tokens = [(await login(http, server)).json()["token"] for _ in range(3)]
    server.revoke()
    assert [await status_with_token(http, token) for token in tokens] == [401, 401, 401]
    assert await status_with_token(http, (await login(http, server)).json()["token"]) == 200


async def test_a_refresh_token_works_once(http: httpx.AsyncClient, server: PreservicaState) -> None:
    old = (await login(http, server)).json()
    new = await refresh(http, old["token"], old["refresh-token"])
    assert new.status_code == 200
    assert await status_with_token(http, new.json()["token"]) == 200
    assert (await refresh(http, old["token"], old["refresh-token"])).status_code == 401
    assert (server.logins, server.refreshes) == (1, 1)


async def test_a_refreshed_pair_can_be_refreshed_again(http: httpx.AsyncClient, server: PreservicaState) -> None:
    pair = (await login(http, server)).json()
    for _ in range(3):
        pair = (await refresh(http, pair["token"], pair["refresh-token"])).json()
    assert server.refreshes == 3


async def test_a_refresh_needs_a_valid_access_token(http: httpx.AsyncClient, server: PreservicaState) -> None:
    pair = (await login(http, server)).json()
    assert (await refresh(http, "made-up", pair["refresh-token"])).status_code == 401


async def test_a_refresh_token_ends_with_its_access_token(
    http: httpx.AsyncClient, server: PreservicaState, clock: ManualClock
) -> None:
    old = (await login(http, server)).json()
    clock.advance(14 * 60)
    new = (await login(http, server)).json()
    clock.advance(2 * 60)
    assert (await refresh(http, new["token"], old["refresh-token"])).status_code == 401


async def test_a_server_with_the_known_bug_refuses_every_refresh(clock: ManualClock) -> None:
    server = PreservicaState(clock, refresh_works=False)
    async with http_client(server) as http:
        pair = (await login(http, server)).json()
        assert (await refresh(http, pair["token"], pair["refresh-token"])).status_code == 401
        assert await status_with_token(http, pair["token"]) == 200
    assert server.refreshes == 0


async def test_the_version_is_found_where_pypreservica_looks_for_it(
    http: httpx.AsyncClient, server: PreservicaState
) -> None:
    http.headers["Preservica-Access-Token"] = (await login(http, server)).json()["token"]
    answer = await http.get("/api/entity/versiondetails/version")
    assert "<CurrentVersion>7.7.0</CurrentVersion>" in answer.text
    assert isinstance((await http.get("/api/user/details")).json()["roles"], list)


async def test_the_tokens_depend_on_the_seed_only(clock: ManualClock) -> None:
    tokens = []
    for seed in (1, 1, 2):
        server = PreservicaState(clock, seed)
        async with http_client(server) as http:
            tokens.append((await login(http, server)).json()["token"])
    assert tokens[0] == tokens[1] != tokens[2]


async def test_the_sandbox_may_run_on_the_real_clock() -> None:
    server = PreservicaState(time.time)
    async with http_client(server) as http:
        assert await status_with_token(http, (await login(http, server)).json()["token"]) == 200
