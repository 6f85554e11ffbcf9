"""How the monitor identifies a record of a Preservica, and what happens if the server asks for a pause."""

from typing import Any

import httpx
import pytest

from tests.conftest import FakeTime
from tests.support.stub_clients import MockServer
from workflow_async.errors import RateLimited
from workflow_async.monitor._engine.observation import conflicting
from workflow_async.preservica import State, Workflow
from workflow_async.preservica.monitor_source import PreservicaSource

SOURCE = PreservicaSource(None)  # type: ignore[arg-type]  # nothing is sent
KNOWN = {"context_id": "42", "context_name": "Ingest", "definition_id": "com.example.ingest", "correlation_id": "c-1"}


def workflow(**more: Any) -> Workflow:
    return Workflow(id=7, state=State.ACTIVE, state_text="ACTIVE", **more)


@pytest.mark.parametrize(
    ("other", "replaced"),
    [
        ({**KNOWN, "context_id": "43"}, True),
        ({**KNOWN, "definition_id": "com.example.delete"}, True),
        ({**KNOWN, "correlation_id": "c-2"}, True),
        ({**KNOWN, "context_name": "Ingest (renamed)"}, False),
        ({**KNOWN, "context_name": None}, False),
        ({"context_id": "42"}, False),
        ({"context_id": "", "definition_id": "", "correlation_id": ""}, False),
        ({}, False),
    ],
)
def test_a_record_is_of_another_workflow_if_a_known_value_differs(
    other: dict[str, Any], replaced: bool  # noqa: FBT001 - a case
) -> None:  # fmt: skip
    first, second = SOURCE.identity(workflow(**KNOWN)), SOURCE.identity(workflow(**other))
    assert conflicting(first, second) == conflicting(second, first) == replaced


async def test_a_retry_after_is_raised_to_the_monitor_immediately() -> None:
    time, server = FakeTime(), MockServer("preservica", lambda _: httpx.Response(429, headers={"retry-after": "7"}))
    async with server.client(time.clock) as pv:
        source = pv.workflows._poller.source
        with pytest.raises(RateLimited) as caught:
            await source.get(7, operations=False)
        assert (caught.value.attempts, caught.value.retry_after, time.naps) == (1, 7, [])
        with pytest.raises(RateLimited):
            async for _ in source.list_active(operations=False).pages():
                pass
        assert time.naps == []
