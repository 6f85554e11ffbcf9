"""The sender that adds the workflows of each event to a page of events."""

import asyncio
from typing import Any

import pytest

from workflow_async.errors import ConnectFailed
from workflow_async.opencast.event_records import Event
from workflow_async.opencast.event_search import EventSearch
from workflow_async.opencast.event_sender import EventRows, EventSender
from workflow_async.opencast.known_workflows import KnownWorkflows
from workflow_async.opencast.list_routes import ListRoutes
from workflow_async.opencast.query import WorkflowQuery

FAILING, SLOW = Event(id="failing"), Event(id="slow")


async def unused(_: Any, /) -> Any:
    raise AssertionError


@pytest.fixture
def ending() -> asyncio.Event:
    """Return what is set when the slow request is being cancelled."""
    return asyncio.Event()


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch, ending: asyncio.Event) -> EventSender:
    """Return a sender whose request for one event fails, and whose other request takes some time to be cancelled."""

    async def rows_once(_: EventSender, event: Event) -> EventRows:
        if event is FAILING:
            await asyncio.sleep(0)
            raise ConnectFailed("refused")
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.sleep(0)
        return EventRows()

    monkeypatch.setattr(EventSender, "_rows_once", rows_once)
    search = EventSearch(WorkflowQuery.of())
    return EventSender(unused, unused, search, (), "raise", ListRoutes(KnownWorkflows()), 4)


async def test_the_first_error_cancels_the_other_requests_and_is_raised(
    sender: EventSender, ending: asyncio.Event
) -> None:
    with pytest.raises(ConnectFailed):
        await sender._all_rows([FAILING, SLOW])
    assert ending.is_set()


async def test_a_cancellation_after_the_first_error_is_kept(sender: EventSender, ending: asyncio.Event) -> None:
    task = asyncio.create_task(sender._all_rows([FAILING, SLOW]))
    await ending.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_failed_step_does_not_count_as_a_cancellation_of_its_task(sender: EventSender) -> None:
    with pytest.raises(ConnectFailed):
        await sender._all_rows([FAILING, SLOW])
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
