"""Reading the workflows of events: what a server or a user cannot do is requested once."""

from typing import Any

import pytest
from attrs import evolve

from workflow_async.errors import CallError, Forbidden, ListingNotSupported, NotFound
from workflow_async.opencast.event_workflows import EventWorkflows
from workflow_async.opencast.records import State, Workflow

WORKFLOW = Workflow(id=7, state=State.RUNNING, state_text="running", event_id="e")


class FakeSender:
    """Responds to the list of workflows and to other reads, and records the paths."""

    def __init__(self, list_error: CallError, response: Any) -> None:
        self.list_error = list_error
        self.response = response
        self.paths: list[str] = []

    async def read(self, call: Any) -> Any:
        self.paths.append(call.path)
        if call.path == "/api/workflows":
            raise self.list_error
        if isinstance(self.response, CallError):
            raise self.response
        return self.response


def event_workflows(response: Any) -> tuple[EventWorkflows, FakeSender]:
    sender = FakeSender(ListingNotSupported("405"), response)
    fake: Any = sender
    return EventWorkflows(fake), sender


async def test_the_list_of_a_server_without_one_is_requested_once() -> None:
    workflows, sender = event_workflows((WORKFLOW,))
    assert await workflows.of_event("e") == await workflows.of_event("e") == (WORKFLOW,)
    assert (sender.paths.count("/api/workflows"), len(sender.paths), workflows.can_list) == (1, 3, False)
    assert await workflows.running_ids() is None
    assert len(sender.paths) == 3


async def test_after_a_403_the_workflows_of_events_are_not_requested_again() -> None:
    workflows, sender = event_workflows(Forbidden(403))
    assert await workflows.visible("e") is None
    requests = len(sender.paths)
    assert await workflows.visible("f") is None
    assert len(sender.paths) == requests


async def test_after_a_404_the_workflows_of_the_next_event_are_requested() -> None:
    workflows, sender = event_workflows(NotFound(404))
    assert await workflows.visible("e") is None
    requests = len(sender.paths)
    assert await workflows.visible("f") is None
    assert len(sender.paths) == requests + 1


async def test_the_latest_start_on_an_event_is_remembered() -> None:
    workflows, sender = event_workflows(WORKFLOW)
    for id, event in ((6, "e"), (7, "e"), (7, "0")):
        workflows.known.note(event, id)
    assert await workflows.started_and_active("1") == []
    assert sender.paths == []
    assert await workflows.started_and_active("e") == [WORKFLOW]
    assert await workflows.started_and_active("0") == []  # the id belongs to a workflow on another event by now
    assert sender.paths == ["/api/workflows/7"] * 2


@pytest.mark.parametrize("response", [Forbidden(403), NotFound(404), evolve(WORKFLOW, state=State.SUCCEEDED)])
async def test_a_start_that_cannot_be_read_or_has_ended_is_not_active(response: Any) -> None:
    workflows, _ = event_workflows(response)
    workflows.known.note("e", 7)
    assert await workflows.started_and_active("e") == []


async def test_an_event_that_this_user_does_not_see_is_none() -> None:
    assert await event_workflows(Forbidden(403))[0].find_event("e") is None
    assert await event_workflows(())[0].find_event("e") is None
