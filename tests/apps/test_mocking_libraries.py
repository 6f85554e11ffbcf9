"""Which backends respx, pytest-httpx and vcrpy see. A request that none of them sees is stopped by the guard."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
import vcr  # type: ignore[import-untyped]
from pytest_httpx import HTTPXMock

from workflow_async import OpencastClient, PreservicaClient
from workflow_async.errors import NetworkBlocked
from workflow_async.sandbox import Sandbox

URL = "https://oc.example.org"
WORKFLOW = {"identifier": 1603, "state": "running", "event_identifier": "event-1603"}
BACKENDS = ("httpx", "httpx2", "aiohttp", "AsyncClient")

Connect = Callable[..., Any]


@asynccontextmanager
async def connected(http: str, url: str = URL, auth: tuple[str, str] = ("user", "secret")) -> AsyncIterator[Any]:
    """Open a client with a backend, or with an `AsyncClient` of httpx."""
    async with httpx.AsyncClient() as client:
        backend: Any = client if http == "AsyncClient" else http
        async with OpencastClient(url, auth=auth, http=backend) as oc:
            yield oc


@pytest.fixture(autouse=True)
def _guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOW_ASYNC_NO_NETWORK", "1")


async def is_mocked(http: str) -> bool:
    """Return True if a mock answers for the server. Otherwise the guard refuses the connection."""
    async with connected(http) as oc:
        try:
            return bool((await oc.workflows.get(1603)).state_text == "running")
        except NetworkBlocked:
            return False


@pytest.mark.parametrize("http", BACKENDS)
async def test_respx_sees_the_default_backend_and_an_async_client(http: str) -> None:
    with respx.mock(assert_all_called=False) as router:
        router.get(f"{URL}/api/workflows/1603").respond(json=WORKFLOW)
        assert await is_mocked(http) == (http in {"httpx", "AsyncClient"})


@pytest.mark.httpx_mock(assert_all_responses_were_requested=False)
@pytest.mark.parametrize("http", BACKENDS)
async def test_pytest_httpx_sees_an_async_client_only(http: str, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{URL}/api/workflows/1603", json=WORKFLOW)
    assert await is_mocked(http) == (http == "AsyncClient")


@pytest.mark.parametrize("http", BACKENDS)
async def test_vcr_sees_an_async_client_and_aiohttp(http: str, workflow_sandbox: Sandbox, tmp_path: Path) -> None:
    opencast = workflow_sandbox.opencast
    id, states = opencast.start(opencast.event(), "publish"), list[str]()
    cassette = tmp_path / "workflow.yaml"
    for mode in ("once", "none"):
        with vcr.use_cassette(str(cassette), record_mode=mode, filter_headers=["authorization"]):
            async with connected(http, opencast.url, opencast.auth) as oc:
                states.append((await oc.workflows.get(id)).state_text)
    replayed = http in {"AsyncClient", "aiohttp"}
    assert len(opencast.requests) == (1 if replayed else 2)
    assert cassette.exists() == replayed
    assert states[0] == states[1] or not replayed
    if replayed:
        assert "authorization" not in cassette.read_text().lower()


async def test_a_cassette_of_preservica_can_hold_no_password_and_no_token(
    workflow_sandbox: Sandbox, tmp_path: Path
) -> None:
    """The recipe of the page: what has to be filtered, so that a cassette can be committed."""
    preservica, cassette = workflow_sandbox.preservica, tmp_path / "workflow.yaml"
    (id,) = preservica.seed(1)

    def without_login(request: Any) -> Any:
        return None if "accesstoken" in request.uri else request

    filters: dict[str, Any] = {"filter_headers": ["preservica-access-token"], "before_record_request": without_login}
    async with httpx.AsyncClient() as http:
        account: dict[str, Any] = {"username": preservica.username, "password": preservica.password}
        with vcr.use_cassette(str(cassette), record_mode="once", **filters):
            async with PreservicaClient(preservica.url, tenant=preservica.tenant, http=http, **account) as pv:
                recorded = await pv.workflows.get(id)
    text = cassette.read_text().lower()
    assert recorded.id == id
    assert preservica.password.lower() not in text
    assert "preservica-access-token" not in text
