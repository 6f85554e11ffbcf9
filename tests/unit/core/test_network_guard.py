"""`WORKFLOW_ASYNC_NO_NETWORK` keeps tests from real servers."""

import pytest

from tests.conftest import FakeTime
from tests.support.byte_server import GET, connected, http, serve
from workflow_async import OpencastClient, PreservicaClient
from workflow_async._core.network_guard import NO_NETWORK
from workflow_async.errors import NetworkBlocked, NotSent


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NO_NETWORK, "1")


@pytest.mark.usefixtures("_no_network")
async def test_a_request_to_another_host_is_an_error_before_any_io() -> None:
    async with OpencastClient("https://oc.example.org", auth=("user", "secret")) as oc:
        with pytest.raises(
            NetworkBlocked, match=r"GET https://oc\.example\.org/api/version: WORKFLOW_ASYNC_NO_NETWORK"
        ):
            await oc.version()
        with pytest.raises(NotSent):
            await oc.workflows.start("event", "fast")
        assert oc.stats().requests == 0


@pytest.mark.usefixtures("_no_network")
async def test_a_login_to_another_host_is_not_sent_and_asks_for_no_password() -> None:
    asked: list[str] = []

    def password() -> str:
        asked.append("password")
        return "secret"

    async with PreservicaClient("eu.preservica.com", username="user", password=password) as pv:
        with pytest.raises(NetworkBlocked):
            await pv.workflows.get(1)
        with pytest.raises(NetworkBlocked):
            await pv.workflows.wait(1)
    assert asked == []


@pytest.mark.usefixtures("_no_network")
async def test_loopback_is_allowed(fake_time: FakeTime) -> None:
    async with serve(http(200, b"{}")) as server, connected(server.url, fake_time.clock) as transport:
        assert await transport.send(GET) == {}


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.9:1", "http://[::1]:1"])
@pytest.mark.usefixtures("_no_network")
async def test_every_name_of_this_host_is_allowed(url: str) -> None:
    async with OpencastClient(url, auth=("user", "secret")) as oc:
        assert not oc._transport._blocked


@pytest.mark.parametrize("value", ["", "0"])
async def test_the_variable_is_off_if_it_is_empty_or_0(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NO_NETWORK, value)
    async with OpencastClient("https://oc.example.org", auth=("user", "secret")) as oc:
        assert not oc._transport._blocked
