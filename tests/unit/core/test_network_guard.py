"""`WORKFLOW_ASYNC_NO_NETWORK` keeps tests from real servers."""

from typing import Any

import httpx
import httpx2
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


@pytest.mark.usefixtures("_no_network")
async def test_a_login_to_another_host_is_not_sent() -> None:
    async with PreservicaClient("eu.preservica.com", username="user", password="secret") as pv:
        with pytest.raises(NetworkBlocked):
            await pv.workflows.get(1)
        with pytest.raises(NetworkBlocked):
            await pv.workflows.wait(1)


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("http", ["httpx", "httpx2", "aiohttp"])
async def test_every_backend_is_guarded(http: Any) -> None:
    async with OpencastClient("https://oc.example.org", auth=("user", "secret"), http=http) as oc:
        with pytest.raises(NetworkBlocked):
            await oc.version()


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_a_client_of_the_caller_is_guarded(library: Any) -> None:
    async with (
        library.AsyncClient() as http,
        OpencastClient("https://oc.example.org", auth=("user", "secret"), http=http) as oc,
    ):
        with pytest.raises(NetworkBlocked):
            await oc.version()


@pytest.mark.usefixtures("_no_network")
async def test_a_local_proxy_does_not_hide_another_host() -> None:
    async with (
        httpx.AsyncClient(proxy="http://127.0.0.1:9") as http,
        OpencastClient("https://oc.example.org", auth=("user", "secret"), http=http) as oc,
    ):
        with pytest.raises(NetworkBlocked):
            await oc.version()


@pytest.mark.usefixtures("_no_network")
async def test_a_mock_may_stand_for_another_host() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"default": "v1.11.0", "versions": []}))
    async with (
        httpx.AsyncClient(transport=transport) as http,
        OpencastClient("https://oc.example.org", auth=("user", "secret"), http=http) as oc,
    ):
        assert (await oc.version()).default == "v1.11.0"


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
