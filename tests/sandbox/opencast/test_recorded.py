"""The sandbox's answers beside those of real Opencast code."""

import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.contract.recorded import Answered, Recorded, exchanges
from tests.sandbox.opencast.scene import CONFIGURED, scene
from workflow_async.sandbox.opencast.definitions import OPERATIONS

COMPARED = ("allow", "www-authenticate", "cache-control", "connection")
"""The headers that mean something to a client, besides Content-Type and Location."""
LOGINS: Mapping[str, tuple[str, str]] = {
    "viewer GET foreign": ("viewer", "viewer"),
    "401 of the container (stand-in security, Jetty's page)": ("admin", "wrong"),
}

SAME = frozenset(
    {
        *("state", "failed_attempts", "failed-attempts", "fail_workflow_on_error", "fail-on-error"),
        *("retry_strategy", "retry-strategy", "if", "unless", "error_handler_workflow", "abortable", "continuable"),
        *("default", "versions", "version", "status", "processing_state", "message", "cause0", "organization-id"),
        *("provider", "username", "userrole", "tags", "configuration", "configurations", "publication_status"),
    }
)
"""The keys whose values are compared too. Of others the type is: they hold ids, dates, and the recording's names."""
PLANTED = "the record was written into the database by hand: no engine makes it"
EXPLAINED: Mapping[tuple[str, str], str] = {
    ("GET failing all", "/body/operations/0/failed_attempts"): PLANTED,
    ("odd characters, largest id, no configuration of the operation", "/body/operations/0/retry_strategy"): PLANTED,
    ("/workflow: numbers and booleans instead of texts", "/body/workflows/workflow/state"): PLANTED,
    ("/workflow: two workflows of an event", "/body/workflows/workflow/0/state"): PLANTED,
}
"""The places that cannot be the same, by the name of the exchange, and why."""


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the operations of the sandbox as they were."""
    for name, operation in CONFIGURED.items():
        monkeypatch.setitem(OPERATIONS, name, operation)


async def answered(exchange: Recorded) -> Answered:
    headers = {"Accept": exchange.accept}
    if exchange.content_type is not None:
        headers["Content-Type"] = exchange.content_type
    transport = httpx.ASGITransport(app=scene(exchange).app)
    auth = LOGINS.get(exchange.name, ("admin", "opencast"))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080", auth=auth) as http:
        answer = await http.request(exchange.method, exchange.path, content=exchange.body, headers=headers)
    return Answered(answer.status_code, answer.headers, answer.text)


def comparable(tree: Any, name: str = "") -> Any:
    """Return a JSON text with the names of types for the values that are not compared."""
    if isinstance(tree, dict):
        return {key: comparable(value, name if name in SAME else key) for key, value in tree.items()}
    if isinstance(tree, list):
        return [comparable(value, name) for value in tree]
    return tree if name in SAME else type(tree).__name__


def facts(answer: Answered, *, json: bool) -> dict[str, Any]:
    """Return what two answers to one request have in common, if they are of the same server."""
    location = answer.headers.get("location")
    return {
        "status": answer.status,
        "content-type": answer.kind,
        "location": None if location is None else re.sub("[0-9]+$", "N", location),
        **{name: answer.headers.get(name) for name in COMPARED},
        "body": comparable(answer.tree) if json else answer.body,
    }


def differences(real: Any, ours: Any, place: str = "") -> list[str]:
    """Return every place where two trees differ."""
    if isinstance(real, dict) and isinstance(ours, dict):
        return [d for key in {**real, **ours} for d in differences(real.get(key), ours.get(key), f"{place}/{key}")]
    if isinstance(real, list) and isinstance(ours, list) and len(real) == len(ours):
        return [d for n, pair in enumerate(zip(real, ours, strict=True)) for d in differences(*pair, f"{place}/{n}")]
    return [] if real == ours and type(real) is type(ours) else [f"{place}: {real!r}, not {ours!r}"]


@pytest.mark.parametrize("exchange", exchanges(), ids=lambda e: e.key)
async def test_the_sandbox_answers_as_the_real_server_did(exchange: Recorded) -> None:
    ours = await answered(exchange)
    found = differences(facts(exchange.answer, json=exchange.is_json), facts(ours, json=exchange.is_json))
    explained = {place for name, place in EXPLAINED if name == exchange.name}
    assert [difference for difference in found if difference.partition(":")[0] not in explained] == []
    assert {difference.partition(":")[0] for difference in found} == explained
