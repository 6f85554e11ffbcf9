"""`on_conflict` of `start` and `start_and_wait`: an event that has an active workflow."""

from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from tests.support import virtual_time
from tests.support.opencast_releases import on_12_and_later, on_all
from workflow_async import Clock, OpencastClient, Phase, Poll, Retry
from workflow_async.batch import OnConflict, StartFound
from workflow_async.batch.workflow_ends import wait_ended
from workflow_async.errors import (
    InvalidArgument,
    NotFound,
    ServerError,
    StartConflict,
    StartOutcomeUnknown,
    WorkflowReplaced,
)
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox, Step, StepResult
from workflow_async.sandbox.systems import FakeOpencast

Connect = Callable[..., OpencastClient]

OFTEN = Poll(interval=1.0, ceiling=2.0, outage=30.0)
EVERY: tuple[OnConflict, ...] = ("raise", "skip", "attach", "wait")
INTEGRATION = ("integration", "integration")
"""A user who may start workflows and may not read those of others from Opencast 12 on."""


@pytest.fixture
def fake(sandbox: Sandbox) -> FakeOpencast:
    sandbox.opencast.define("slow", [Step("one", 30.0)])
    sandbox.opencast.define("quick", [Step("one", 5.0)])
    return sandbox.opencast


@pytest.fixture
def busy(fake: FakeOpencast, time: ManualClock) -> str:
    """Return an event that has an active workflow of the definition `slow`, which every index shows."""
    event = fake.event()
    fake.start(event, "slow")
    time.advance(12)
    return event


def runs(fake: FakeOpencast) -> list[str]:
    """Return the definitions of all workflows, in the order of their starts."""
    return [run.definition for run in fake.engine.all()]


def posts(fake: FakeOpencast) -> int:
    """Return the number of starts that were sent."""
    return sum((request.method, request.path) == ("POST", "/api/workflows") for request in fake.requests)


# An event that is free


@pytest.mark.parametrize("on_conflict", EVERY)
async def test_on_a_free_event_every_word_starts_and_sends_one_request(
    on_conflict: OnConflict, oc: OpencastClient, fake: FakeOpencast
) -> None:
    workflow = await oc.workflows.start(fake.event(), "quick", on_conflict=on_conflict)
    assert workflow is not None
    assert workflow.location is not None
    assert (runs(fake), len(fake.requests)) == (["quick"], 1)


@pytest.mark.parametrize("on_conflict", EVERY)
async def test_another_refusal_is_raised_whatever_the_word(
    on_conflict: OnConflict, oc: OpencastClient, fake: FakeOpencast
) -> None:
    with pytest.raises(NotFound):
        await oc.workflows.start("no-such-event", "quick", on_conflict=on_conflict)
    assert posts(fake) == 1


@pytest.mark.parametrize("on_conflict", ["hope", "", None, True])
async def test_another_word_is_refused_before_any_request(
    on_conflict: Any, oc: OpencastClient, fake: FakeOpencast
) -> None:
    for start in (oc.workflows.start, oc.workflows.start_and_wait):
        with pytest.raises(InvalidArgument, match='^on_conflict: must be "raise"'):
            await start("event", "quick", on_conflict=on_conflict)
    poll: Any = 5
    with pytest.raises(InvalidArgument, match="^poll"):
        await oc.workflows.start("event", "quick", on_conflict="wait", poll=poll)
    assert fake.requests == []


# raise and skip


@on_all
async def test_raise_is_the_default_and_tries_nothing(oc: OpencastClient, fake: FakeOpencast, busy: str) -> None:
    with pytest.raises(StartConflict) as caught:
        await oc.workflows.start(busy, "quick")
    assert (caught.value.tried, len(fake.requests), runs(fake)) == ("", 1, ["slow"])


@on_all
async def test_skip_returns_none_and_starts_nothing(oc: OpencastClient, fake: FakeOpencast, busy: str) -> None:
    assert await oc.workflows.start(busy, "quick", on_conflict="skip") is None
    assert await oc.workflows.start_and_wait(busy, "quick", on_conflict="skip") is None
    assert await oc.workflows.start(oc.workflows.prepare_start(busy, "quick"), on_conflict="skip") is None
    assert runs(fake) == ["slow"]


# attach


@on_all
async def test_attach_returns_the_active_workflow_with_the_fields_asked_for(
    oc: OpencastClient, fake: FakeOpencast, busy: str
) -> None:
    (run,) = fake.engine.all()
    workflow = await oc.workflows.start(busy, "slow", on_conflict="attach")
    assert (workflow.id, workflow.event_id, workflow.definition_id) == (run.id, busy, "slow")
    assert (workflow.location, workflow.operations, workflow.configuration) == (None, None, None)
    detailed = await oc.workflows.start(
        busy, "slow", on_conflict="attach", with_operations=True, with_configuration=True
    )
    assert detailed.operations is not None
    assert detailed.configuration is not None
    assert runs(fake) == ["slow"]


async def test_start_and_wait_with_attach_waits_for_the_end_of_the_other_workflow(
    oc: OpencastClient, fake: FakeOpencast, busy: str
) -> None:
    ended = await oc.workflows.start_and_wait(busy, "slow", on_conflict="attach", poll=OFTEN)
    assert (ended.phase, runs(fake)) == (Phase.SUCCEEDED, ["slow"])


@on_all
async def test_a_workflow_of_another_definition_is_not_attached_to(oc: OpencastClient, busy: str) -> None:
    with pytest.raises(StartConflict, match=r"409 .*: workflow \d+ is active, but of the definition 'slow'"):
        await oc.workflows.start(busy, "quick", on_conflict="attach")


@on_12_and_later
async def test_a_user_who_may_not_read_the_other_workflow_is_shown_what_was_tried(connect: Connect, busy: str) -> None:
    async with connect(auth=INTEGRATION) as oc:
        for _ in range(2):  # the refusal is remembered
            with pytest.raises(StartConflict) as caught:
                await oc.workflows.start(busy, "slow", on_conflict="attach")
            assert "cannot be read (403 Forbidden" in caught.value.tried
            assert "needs ROLE_ADMIN" in caught.value.tried
            assert "this client has started no active one" in str(caught.value)


@on_all
async def test_a_user_who_may_not_read_others_can_attach_to_what_this_client_has_started(
    connect: Connect, fake: FakeOpencast, time: ManualClock
) -> None:
    event = fake.event()
    async with connect(auth=INTEGRATION) as oc:
        first = await oc.workflows.start(event, "slow")
        time.advance(11)
        assert (await oc.workflows.start(event, "slow", on_conflict="attach")).id == first.id
        assert runs(fake) == ["slow"]


async def test_a_workflow_that_this_client_started_and_that_has_ended_is_not_attached_to(
    connect: Connect, fake: FakeOpencast, time: ManualClock
) -> None:
    event = fake.event()
    async with connect(auth=INTEGRATION) as oc:
        await oc.workflows.start(event, "quick")
        time.advance(60)
        fake.start(event, "quick")
        with pytest.raises(StartConflict, match="has started no active one"):
            await oc.workflows.start(event, "quick", on_conflict="attach")


async def test_a_failed_read_is_named_in_the_conflict(oc: OpencastClient, fake: FakeOpencast, busy: str) -> None:
    fake.faults = Faults(rates={Fault.SERVER_ERROR: 1.0}, methods=("GET",))
    with pytest.raises(StartConflict, match=r"the workflows of the event cannot be read now \(.*503"):
        await oc.workflows.start(busy, "slow", on_conflict="attach", poll=OFTEN)


async def test_an_outage_of_the_read_is_waited_for(oc: OpencastClient, fake: FakeOpencast, busy: str) -> None:
    fake.faults = Faults(script=[Fault.SERVER_ERROR] * 6, methods=("GET",))
    assert (await oc.workflows.start(busy, "slow", on_conflict="attach", poll=OFTEN)).definition_id == "slow"


# wait


@on_all
async def test_wait_starts_when_the_event_is_free(
    oc: OpencastClient, fake: FakeOpencast, busy: str, time: ManualClock
) -> None:
    workflow = await oc.workflows.start(busy, "quick", on_conflict="wait", poll=OFTEN)
    first, second = fake.engine.all()
    assert (workflow.id, second.definition) == (second.id, "quick")
    assert first.finished is not None
    assert second.created >= first.finished


async def test_start_and_wait_with_wait_waits_for_the_event_and_then_for_the_workflow(
    oc: OpencastClient, fake: FakeOpencast, busy: str
) -> None:
    done = await oc.workflows.start_and_wait(busy, "quick", on_conflict="wait", poll=OFTEN, timeout=25)
    assert (done.phase, done.definition_id, runs(fake)) == (Phase.SUCCEEDED, "quick", ["slow", "quick"])


async def test_the_wait_ends_if_the_id_belongs_to_another_workflow_now(
    oc: OpencastClient, fake: FakeOpencast, busy: str
) -> None:
    (run,) = fake.engine.all()
    async with oc.workflows.watch([run.id], poll=OFTEN) as changes:
        await anext(changes)
        fake.replace(run.id, "slow")
        with pytest.raises(WorkflowReplaced):
            await oc.workflows.wait(run.id, poll=OFTEN)
        fake.replace(run.id, "slow")
        await wait_ended(oc.workflows._poller, run.id, OFTEN)


@on_12_and_later
async def test_a_user_who_does_not_see_the_other_workflow_tries_again_until_the_event_is_free(
    connect: Connect, fake: FakeOpencast, busy: str
) -> None:
    async with connect(auth=INTEGRATION) as oc:
        await oc.workflows.start(busy, "quick", on_conflict="wait", poll=OFTEN)
    assert runs(fake) == ["slow", "quick"]
    assert 2 < posts(fake) < 15


@pytest.mark.parametrize("auth", [("admin", "opencast"), INTEGRATION])
async def test_an_event_that_is_not_free_in_time_is_a_conflict_that_says_so(
    auth: Any, connect: Connect, fake: FakeOpencast, time: ManualClock
) -> None:
    event = fake.event()
    fake.define("endless", [Step("one", 10**6)])
    fake.start(event, "endless")
    began = time()
    async with connect(auth=auth) as oc:
        with pytest.raises(StartConflict) as caught:
            await oc.workflows.start(event, "quick", on_conflict="wait", timeout=7.5)
    assert caught.value.tried == "the event was not free within 7.5 s"
    assert time() - began >= 7.5
    assert runs(fake) == ["endless"]


@pytest.mark.parametrize("visible", [True, False])
def test_the_wait_for_the_event_ends_on_time(visible: bool) -> None:  # noqa: FBT001
    posts: list[float] = []

    async def respond(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            posts.append(anyio.current_time())
            return httpx.Response(409, json={"message": "another workflow is currently active"})
        if request.url.path == "/api/workflows":
            return httpx.Response(405, headers={"allow": "OPTIONS,POST"})
        if request.url.path == "/api/version":
            return httpx.Response(200, json={"default": "v1.11.0", "versions": ["v1.11.0"]})
        if request.url.path == "/api/events":
            return httpx.Response(200, json=[])
        if request.url.path.startswith("/workflow/"):
            row = {"id": 7, "state": "RUNNING", "template": "slow", "mediaPackageId": "e", "operations": ""}
            return (
                httpx.Response(200, json={"workflows": {"workflow": row}}) if visible else httpx.Response(403, json={})
            )
        return httpx.Response(200, json={"identifier": 7, "state": "running", "event_identifier": "e"})

    async def main() -> float:
        clock = Clock(now=anyio.current_time, jitter=lambda: 0.5)
        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http_client,
            OpencastClient("http://127.0.0.1", auth=("a", "b"), clock=clock, http=http_client) as oc,
        ):
            with pytest.raises(StartConflict):
                await oc.workflows.start("e", "quick", on_conflict="wait", timeout=50)
            return anyio.current_time()

    assert virtual_time.run(main()) == pytest.approx(50, abs=0.1)
    assert posts == pytest.approx([0.0, 50.0] if visible else [0.0, 30.0, 50.0], abs=0.1)


async def test_a_paused_workflow_keeps_its_event_busy(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    event = fake.event()
    fake.define("asks", [Step("one", 1.0, StepResult.HELD), Step("two", 1.0)])
    fake.start(event, "asks")
    time.advance(5)
    with pytest.raises(StartConflict, match="not free within 60 s"):
        await oc.workflows.start(event, "quick", on_conflict="wait", timeout=60)


async def test_an_outage_during_the_wait_is_tolerated_and_a_longer_one_raised(
    oc: OpencastClient, fake: FakeOpencast, busy: str
) -> None:
    fake.faults = Faults(script=[Fault.SERVER_ERROR] * 6, methods=("GET",))
    await oc.workflows.start(busy, "quick", on_conflict="wait", poll=OFTEN)
    fake.faults = Faults(rates={Fault.SERVER_ERROR: 1.0}, methods=("GET",))
    with pytest.raises(ServerError):
        await oc.workflows.start(busy, "slow", on_conflict="wait", poll=OFTEN)
    assert runs(fake) == ["slow", "quick"]


async def test_the_ticket_of_an_unknown_start_has_the_time_after_the_wait(
    connect: Connect, fake: FakeOpencast, busy: str
) -> None:
    """Otherwise a workflow that ran on the event during the wait could be taken for that of the start."""
    async with connect(retry=Retry(attempts=1)) as oc:
        ticket = oc.workflows.prepare_start(busy, "slow")
        fake.faults = Faults(script=[None, Fault.CUT_BODY], methods=("POST",))
        with pytest.raises(StartOutcomeUnknown) as caught:
            await oc.workflows.start(ticket, on_conflict="wait", poll=OFTEN)
        first, second = fake.engine.all()
        sent: Any = caught.value.ticket
        assert sent.baseline == first.id
        assert sent.prepared_at > ticket.prepared_at
        found = await oc.workflows.reconcile(sent, wait=0)
        assert isinstance(found, StartFound)
        assert found.workflow.id == second.id
