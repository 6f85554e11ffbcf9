"""The requests of starts: a start is sent once, and a read is not retried while the server is unavailable."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.journal_files import ticket
from workflow_async.batch.start_sender import StartSender
from workflow_async.errors import CallError, ConnectFailed, ConnectionBroken, StartOutcomeUnknown
from workflow_async.opencast import calls, event_calls


class FakeTransport:
    """Records each call with its timeout, and raises `error` if there is one."""

    timeouts = SimpleNamespace(call=30.0)

    def __init__(self, error: CallError | None = None) -> None:
        self.error = error
        self.sent: list[tuple[Any, float | None]] = []

    async def send(self, call: Any, *, timeout: float | None = None) -> str:
        self.sent.append((call, timeout))
        if self.error is not None:
            raise self.error
        return "response"


START = calls.start_workflow("e", "fast", None)


def unknown(error: CallError) -> StartOutcomeUnknown:
    return StartOutcomeUnknown(error, look_for="a workflow", ticket=ticket("a"))


def sender(transport: FakeTransport) -> StartSender:
    fake: Any = transport
    return StartSender(fake)


@pytest.mark.parametrize(("timeout", "expected"), [(None, 30.0), (5.0, 5.0)])
async def test_a_start_has_all_of_the_call_timeout_unless_one_is_given(timeout: float | None, expected: float) -> None:
    transport = FakeTransport()
    assert await sender(transport).send_start(START, timeout, unknown) == "response"  # type: ignore[comparison-overlap]  # of the fake
    assert transport.sent == [(START, expected)]


async def test_a_start_that_may_have_happened_raises_start_outcome_unknown_without_a_context() -> None:
    error = ConnectionBroken("ReadError")
    with pytest.raises(StartOutcomeUnknown) as caught:
        await sender(FakeTransport(error)).send_start(START, None, unknown)
    assert caught.value.cause is error
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


async def test_a_start_that_was_not_sent_raises_its_own_error() -> None:
    error = ConnectFailed("refused")
    with pytest.raises(ConnectFailed) as caught:
        await sender(FakeTransport(error)).send_start(START, None, unknown)
    assert caught.value is error


async def test_a_read_is_not_retried_while_the_server_is_unavailable() -> None:
    transport = FakeTransport()
    await sender(transport).read(event_calls.workflows_of_event("e"))
    ((call, timeout),) = transport.sent
    assert (call.retries_unavailable, timeout) == (False, None)
