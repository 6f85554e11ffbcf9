"""Logins, sessions, roles and user switching of the sandbox's Opencast."""

import base64
import hashlib
import re
from typing import Any

import httpx
import pytest

from tests.sandbox.opencast.releases import with_list, without_list
from workflow_async.sandbox import ManualClock
from workflow_async.sandbox.opencast.auth import Account, role_for
from workflow_async.sandbox.systems import FakeOpencast

VIEWER_LOGIN = ("viewer", "viewer")
SYSTEM_LOGIN = ("opencast_system_account", "CHANGE_ME")
ASK_DIGEST = {"X-Requested-Auth": "Digest"}


async def send(http: httpx.AsyncClient, path: str = "/api", method: str = "GET", **more: Any) -> httpx.Response:
    return await http.request(method, path, **{"auth": None, **more})


async def test_a_request_without_a_login_is_redirected_to_the_login_page(http: httpx.AsyncClient) -> None:
    answer = await send(http)
    assert (answer.status_code, answer.headers["location"], answer.content) == (302, "/login.html", b"")


async def test_following_the_redirect_ends_in_html(http: httpx.AsyncClient) -> None:
    answer = await send(http, follow_redirects=True)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")


@without_list
async def test_a_request_for_basic_is_challenged(http: httpx.AsyncClient) -> None:
    answer = await send(http, headers={"X-Requested-Auth": "Basic"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="Opencast"')
    assert answer.headers["content-type"].startswith("text/html")


@with_list
async def test_opencast_11_ignores_a_request_for_basic(http: httpx.AsyncClient) -> None:
    assert (await send(http, headers={"X-Requested-Auth": "Basic"})).status_code == 302


async def test_a_script_in_a_browser_gets_419(http: httpx.AsyncClient) -> None:
    assert (await send(http, headers={"X-Requested-With": "XMLHttpRequest"})).status_code == 419


@pytest.mark.parametrize("auth", [("admin", "wrong"), ("nobody", "opencast"), ("admin", ""), SYSTEM_LOGIN, ("ä", "ö")])
async def test_wrong_credentials_are_401(http: httpx.AsyncClient, auth: tuple[str, str]) -> None:
    answer = await send(http, auth=auth)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="Opencast"')


@pytest.mark.parametrize("credentials", ["Basic", "Basic !!!", "Basic " + base64.b64encode(b"\xff").decode()])
async def test_credentials_that_cannot_be_read_are_401(http: httpx.AsyncClient, credentials: str) -> None:
    assert (await send(http, headers={"Authorization": credentials})).status_code == 401


async def test_the_system_account_logs_in_by_digest(http: httpx.AsyncClient) -> None:
    answer = await send(http, "/api/info/me", auth=httpx.DigestAuth(*SYSTEM_LOGIN), headers=ASK_DIGEST)
    assert (answer.status_code, answer.json()["username"]) == (200, SYSTEM_LOGIN[0])


async def test_a_request_for_digest_is_challenged(http: httpx.AsyncClient) -> None:
    challenge = (await send(http, headers=ASK_DIGEST)).headers["www-authenticate"]
    assert re.fullmatch(r'Digest realm="Opencast", qop="auth", nonce="[A-Za-z0-9+/=]+"', challenge)


@pytest.mark.parametrize("auth", [(SYSTEM_LOGIN[0], "wrong"), ("admin", "opencast"), ("nobody", "")])
async def test_digest_is_for_the_system_account_only(http: httpx.AsyncClient, auth: tuple[str, str]) -> None:
    assert (await send(http, auth=httpx.DigestAuth(*auth), headers=ASK_DIGEST)).status_code == 401


async def test_a_nonce_is_valid_for_300_seconds(http: httpx.AsyncClient, clock: ManualClock) -> None:
    auth = httpx.DigestAuth(*SYSTEM_LOGIN)
    await send(http, auth=auth, headers=ASK_DIGEST)
    clock.advance(301)
    answer = await send(http, auth=auth, headers=ASK_DIGEST)
    assert answer.status_code == 200
    assert 'stale="true"' in answer.history[0].headers["www-authenticate"]


@pytest.mark.parametrize("nonce", ["!", base64.b64encode(b"9999999999:forged").decode(), ""])
async def test_a_foreign_nonce_is_refused(http: httpx.AsyncClient, nonce: str) -> None:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    proof = md5(f"{md5(':'.join((SYSTEM_LOGIN[0], 'Opencast', SYSTEM_LOGIN[1])))}:{nonce}:1:c:auth:{md5('GET:/api')}")
    credentials = (
        f'username="{SYSTEM_LOGIN[0]}", nonce="{nonce}", uri="/api", qop=auth, nc=1, cnonce="c", response="{proof}"'
    )
    assert (await send(http, headers={"Authorization": f"Digest {credentials}"})).status_code == 401


async def test_a_bearer_token_is_accepted(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    assert (await send(http, headers={"Authorization": f"Bearer {opencast.jwt}"})).status_code == 200
    assert (await send(http, headers={"Authorization": "Bearer other"})).status_code == 401


async def test_a_token_can_be_a_query_parameter(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    assert (await send(http, "/api", params={"jwt": opencast.jwt})).status_code == 200


async def test_a_client_that_keeps_its_cookie_has_one_session(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    for _ in range(3):
        await send(http)
    assert len(opencast.sessions) == 1


async def test_a_client_without_cookies_opens_a_session_for_each_request(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    for _ in range(3):
        assert "JSESSIONID=node0" in (await send(http)).headers["set-cookie"]
        http.cookies.clear()
    assert len(set(opencast.sessions)) == 3


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/api", "ROLE_API"),
        ("GET", "/api/version/default", "ROLE_API"),
        ("GET", "/api/info/me/roles", "ROLE_API"),
        ("GET", "/api/workflows", "ROLE_API_WORKFLOW_INSTANCE_VIEW"),
        ("GET", "/api/workflows/7", "ROLE_API_WORKFLOW_INSTANCE_VIEW"),
        ("POST", "/api/workflows", "ROLE_API_WORKFLOW_INSTANCE_CREATE"),
        ("PUT", "/api/workflows/7", "ROLE_API_WORKFLOW_INSTANCE_EDIT"),
        ("DELETE", "/api/workflows/7", "ROLE_API_WORKFLOW_INSTANCE_DELETE"),
        ("GET", "/api/workflow-definitions/fast", "ROLE_API_WORKFLOW_DEFINITION_VIEW"),
        ("GET", "/api/events", "ROLE_API_EVENTS_VIEW"),
        ("POST", "/api/workflows/", "ROLE_ADMIN"),
        ("GET", "/workflow/count", "ROLE_ADMIN"),
        ("GET", "/", "ROLE_ADMIN"),
    ],
)
def test_every_path_needs_a_role(method: str, path: str, role: str) -> None:
    assert role_for(method, path) == role


async def test_a_missing_role_is_403_in_html(http: httpx.AsyncClient) -> None:
    answer = await send(http, "/api/workflows", "POST", auth=VIEWER_LOGIN)
    assert (answer.status_code, b"403" in answer.content) == (403, True)
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_trailing_slash_is_for_administrators(http: httpx.AsyncClient) -> None:
    integration = ("integration", "integration")
    assert (await send(http, "/api/workflow-definitions/", auth=integration)).status_code == 403
    assert (await http.get("/api/workflow-definitions/")).status_code == 200


@pytest.mark.parametrize("header", ["X-RUN-AS-USER", "X-Opencast-Matterhorn-User"])
async def test_an_administrator_may_act_as_another(http: httpx.AsyncClient, header: str) -> None:
    assert (await http.get("/api/info/me", headers={header: "viewer"})).json()["username"] == "viewer"


@pytest.mark.parametrize("headers", [{"X-RUN-AS-USER": "nobody"}, {"X-RUN-AS-USER": ""}])
async def test_acting_as_an_unknown_user_is_403(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await http.get("/api", headers=headers)).status_code == 403


@pytest.mark.parametrize("headers", [{"X-RUN-AS-USER": "admin"}, {"X-RUN-WITH-ROLES": "ROLE_ADMIN"}])
async def test_acting_as_another_needs_sudo(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await send(http, auth=VIEWER_LOGIN, headers=headers)).status_code == 403


async def test_roles_without_a_user_are_anonymous_and_start_nothing(
    http: httpx.AsyncClient, opencast: FakeOpencast
) -> None:
    headers = {"X-RUN-WITH-ROLES": "ROLE_USER,ROLE_OTHER"}
    assert (await http.get("/api/info/me/roles", headers=headers)).json() == ["ROLE_OTHER", "ROLE_USER"]
    form = {"event_identifier": opencast.event(), "workflow_definition_identifier": "fast"}
    answer = await http.post("/api/workflows", data=form, headers=headers)
    assert answer.status_code == 500
    assert answer.text == "Could not create workflow instances, reason: 'Current user 'anonymous' can not be loaded'"


async def test_the_creator_is_the_user_that_was_switched_to(http: httpx.AsyncClient, opencast: FakeOpencast) -> None:
    form = {"event_identifier": opencast.event(), "workflow_definition_identifier": "fast"}
    answer = await http.post("/api/workflows", data=form, headers={"X-RUN-AS-USER": "viewer"})
    assert answer.json()["creator"] == "viewer"


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Account("me", "secret"))
