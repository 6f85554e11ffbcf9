"""Faults between a client and the login of Preservica."""

import httpx
import pytest

from tests.sandbox.preservica.api import login, status_with_token
from workflow_async.sandbox import Boot, CannedResponse, Fault, Faults, ManualClock, Sandbox, Trouble
from workflow_async.sandbox.systems import FakePreservica

TOKENS = "/api/accesstoken"
VERSION = "/api/entity/versiondetails/version"


@pytest.fixture
def preservica(clock: ManualClock) -> FakePreservica:
    return Sandbox(clock=clock).preservica


def http_client(preservica: FakePreservica) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(preservica.app), base_url="http://127.0.0.1")


@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        (Fault.RATE_LIMITED, 429),
        (Fault.SERVER_ERROR, 503),
        (CannedResponse.text(403, '{"message":"Forbidden"}', "application/json"), 403),
        (CannedResponse.text(502, "<html>Bad Gateway</html>", "text/html"), 502),
        (CannedResponse.redirect("https://sso.example.org/"), 302),
    ],
)
async def test_a_login_can_be_refused_once_by_a_proxy(
    preservica: FakePreservica, trouble: Trouble, status: int
) -> None:
    preservica.faults = Faults(script=(trouble,), paths=TOKENS)
    async with http_client(preservica) as http:
        refused, let_in = await login(http, preservica.state), await login(http, preservica.state)
    assert (refused.status_code, let_in.status_code, preservica.logins) == (status, 200, 1)
    if status == 403:
        assert refused.json() == {"message": "Forbidden"}


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.CUT_BODY])
async def test_a_connection_can_break_after_a_login_was_executed(preservica: FakePreservica, fault: Fault) -> None:
    preservica.faults = Faults(script=(fault,), paths=TOKENS)
    async with http_client(preservica) as http:
        with pytest.raises(ConnectionResetError):
            await login(http, preservica.state)
    assert preservica.logins == 1


async def test_the_version_is_served_after_the_boot(preservica: FakePreservica, clock: ManualClock) -> None:
    async with http_client(preservica) as http:
        token = {"Preservica-Access-Token": (await login(http, preservica.state)).json()["token"]}
        preservica.faults = Boot(60, responses=(CannedResponse.jetty_html(404),))
        assert [
            await status_with_token(http, token["Preservica-Access-Token"], path) for path in (VERSION, TOKENS)
        ] == [404, 404]
        clock.advance(60)
        body = await http.get(VERSION, headers=token)
    assert (body.status_code, "<CurrentVersion>7.7.0</CurrentVersion>" in body.text) == (200, True)
