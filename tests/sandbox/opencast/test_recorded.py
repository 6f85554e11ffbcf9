"""The sandbox responds to recorded requests as real Opencast code did."""

import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.contract.recorded import RecordedExchange, RecordedResponse, recorded_exchanges
from tests.sandbox.opencast.recorded_state import CONFIGURED, sandbox_for
from workflow_async.sandbox.opencast.definitions import OPERATIONS

COMPARED_HEADERS = ("allow", "www-authenticate", "cache-control", "connection")
"""The compared headers, besides Content-Type and Location."""
LOGINS: Mapping[str, tuple[str, str]] = {
    "viewer GET foreign": ("viewer", "viewer"),
    "401 of the container (stand-in security, Jetty's page)": ("admin", "wrong"),
}

COMPARED_KEYS = frozenset(
    {
        *("state", "failed_attempts", "failed-attempts", "fail_workflow_on_error", "fail-on-error"),
        *("retry_strategy", "retry-strategy", "if", "unless", "error_handler_workflow", "abortable", "continuable"),
        *("default", "versions", "version", "status", "processing_state", "message", "cause0", "organization-id"),
        *("provider", "username", "userrole", "tags", "configuration", "configurations", "publication_status"),
    }
)
"""The keys whose values are compared. For other keys the types are compared, because values are ids, dates or names."""
WRITTEN_BY_HAND = "the record was written into the database by hand, and no engine creates it"
EXPECTED_DIFFERENCES: Mapping[tuple[str, str], str] = {
    ("GET failing all", "/body/operations/0/failed_attempts"): WRITTEN_BY_HAND,
    (
        "odd characters, largest id, no configuration of the operation",
        "/body/operations/0/retry_strategy",
    ): WRITTEN_BY_HAND,
    ("/workflow: numbers and booleans instead of texts", "/body/workflows/workflow/state"): WRITTEN_BY_HAND,
    ("/workflow: two workflows of an event", "/body/workflows/workflow/0/state"): WRITTEN_BY_HAND,
}
"""The differences that remain, by the name of the exchange and the place, with their reason."""


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the operations of the sandbox after the test."""
    for name, operation in CONFIGURED.items():
        monkeypatch.setitem(OPERATIONS, name, operation)


async def replay(exchange: RecordedExchange) -> RecordedResponse:
    headers = {"Accept": exchange.accept}
    if exchange.content_type is not None:
        headers["Content-Type"] = exchange.content_type
    transport = httpx.ASGITransport(app=sandbox_for(exchange).app)
    auth = LOGINS.get(exchange.name, ("admin", "opencast"))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080", auth=auth) as http:
        response = await http.request(exchange.method, exchange.path, content=exchange.body, headers=headers)
    return RecordedResponse(response.status_code, response.headers, response.text)


def without_values(tree: Any, name: str = "") -> Any:
    """Return a JSON tree in which types replace the values that are not compared."""
    if isinstance(tree, dict):
        return {key: without_values(value, name if name in COMPARED_KEYS else key) for key, value in tree.items()}
    if isinstance(tree, list):
        return [without_values(value, name) for value in tree]
    return tree if name in COMPARED_KEYS else type(tree).__name__


def compared_parts(response: RecordedResponse, *, json: bool) -> dict[str, Any]:
    """Return the parts of a response that have to be the same on both servers."""
    location = response.headers.get("location")
    return {
        "status": response.status,
        "content-type": response.content_type,
        "location": None if location is None else re.sub("[0-9]+$", "N", location),
        **{name: response.headers.get(name) for name in COMPARED_HEADERS},
        "body": without_values(response.json) if json else response.body,
    }


def differences(real: Any, replayed: Any, place: str = "") -> list[str]:
    """Return every difference of two trees, with its place."""
    if isinstance(real, dict) and isinstance(replayed, dict):
        return [
            d for key in {**real, **replayed} for d in differences(real.get(key), replayed.get(key), f"{place}/{key}")
        ]
    if isinstance(real, list) and isinstance(replayed, list) and len(real) == len(replayed):
        return [
            d for n, pair in enumerate(zip(real, replayed, strict=True)) for d in differences(*pair, f"{place}/{n}")
        ]
    return [] if real == replayed and type(real) is type(replayed) else [f"{place}: {real!r}, not {replayed!r}"]


@pytest.mark.parametrize("exchange", recorded_exchanges(), ids=lambda e: e.key)
async def test_the_sandbox_answers_as_the_real_server_did(exchange: RecordedExchange) -> None:
    replayed = await replay(exchange)
    found = differences(
        compared_parts(exchange.response, json=exchange.is_json), compared_parts(replayed, json=exchange.is_json)
    )
    explained = {place for name, place in EXPECTED_DIFFERENCES if name == exchange.name}
    assert [difference for difference in found if difference.partition(":")[0] not in explained] == []
    assert {difference.partition(":")[0] for difference in found} == explained
