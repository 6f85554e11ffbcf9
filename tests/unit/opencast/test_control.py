"""Calls that change one workflow: what has happened when they return. Over a socket against the sandbox."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest

from tests.conftest import FakeTime
from tests.support.opencast_releases import on_11_and_16, on_all
from workflow_async import OpencastClient, Phase, Poll, Retry
from workflow_async.errors import (
    AlreadyFinished,
    CallError,
    Conflict,
    ConnectionBroken,
    InvalidArgument,
    NotFound,
    RateLimited,
    ServerError,
)
from workflow_async.monitor import Change, Parked, TimedOut
from workflow_async.opencast import State, Workflow
from workflow_async.opencast.resuming import check_delay
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox, Step, StepResult
from workflow_async.sandbox.opencast import workflows as served

Connect = Callable[..., OpencastClient]

PAUSES = 3
PLAN = (
    Step("op-pause", 1.0, StepResult.HELD),
    Step("op-slow", 7.0),
    Step("op-pause", 1.0, StepResult.HELD),
    Step("op-pause", 1.0, StepResult.HELD),
    Step("op-quick", 0.5),
)
"""A workflow with three pauses, two of which follow each other."""


def resumes(sandbox: Sandbox) -> list[str]:
    """Return the path of every resume that the server has received."""
    return [request.path for request in sandbox.opencast.requests if request.body == b"state=running"]


async def paused(sandbox: Sandbox, oc: OpencastClient, *plan: Step) -> int:
    """Return the id of a workflow that is in its first pause."""
    sandbox.opencast.define("pauses", plan or PLAN)
    id = sandbox.opencast.start(sandbox.opencast.event(), "pauses")
    assert (await oc.workflows.wait(id, parked="return")).state is State.PAUSED
    return id


@pytest.fixture
def dispatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Set for how many seconds the server queues a resume."""
    return lambda seconds: monkeypatch.setattr(served, "DISPATCH_SECONDS", seconds)  # type: ignore[return-value]


# Resuming


@on_11_and_16
@pytest.mark.parametrize("queued", [0.5, 2.0, 45.0])
async def test_a_loop_of_wait_and_resume_resumes_each_pause_once(
    sandbox: Sandbox, oc: OpencastClient, dispatch: Callable[[float], None], queued: float
) -> None:
    dispatch(queued)
    sandbox.opencast.define("pauses", PLAN)
    ids = [sandbox.opencast.start(sandbox.opencast.event(), "pauses") for _ in range(12)]
    resumed: Counter[int] = Counter()
    done: list[Workflow] = []

    async def work(id: int) -> None:
        while not (workflow := await oc.workflows.wait(id, parked="return")).phase.final:
            resumed[id] += 1
            await oc.workflows.resume(id)
        done.append(workflow)

    async with anyio.create_task_group() as group:
        for id in ids:
            group.start_soon(work, id)
    assert resumed == Counter(dict.fromkeys(ids, PAUSES))
    assert len(resumes(sandbox)) == PAUSES * len(ids)
    assert {workflow.state for workflow in done} == {State.SUCCEEDED}
    assert {each.state_text for workflow in done for each in workflow.operations or ()} == {"succeeded"}


@on_11_and_16
async def test_a_watch_reports_every_pause_once_at_any_interval(sandbox: Sandbox, oc: OpencastClient) -> None:
    """Pauses that follow each other within an interval differ only in their operations."""
    sandbox.opencast.define("pauses", PLAN)
    ids = [sandbox.opencast.start(sandbox.opencast.event(), "pauses") for _ in range(5)]
    seen: Counter[int] = Counter()
    async with oc.workflows.watch(ids, poll=Poll(interval=60, ceiling=60)) as changes:
        async for change in changes:
            assert isinstance(change, Change)
            if change.now is Phase.PARKED:
                seen[change.id] += 1
                await oc.workflows.resume(change.id)
    assert seen == Counter(dict.fromkeys(ids, PAUSES))


async def test_a_watch_of_operations_reports_every_pause_once_too(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.define("pauses", PLAN)
    id = sandbox.opencast.start(sandbox.opencast.event(), "pauses")
    states, pauses = [], 0
    async with oc.workflows.watch([id], operations=True, poll=Poll(interval=60, ceiling=60)) as changes:
        async for change in changes:
            assert isinstance(change, Change)
            states += [each.now for each in change.operations if each.position == 2]
            if change.now is Phase.PARKED:
                pauses += 1
                await oc.workflows.resume(id)
    assert pauses == PAUSES
    assert states[-3:] == ["paused", "running", "succeeded"]


@on_all
async def test_a_resume_has_taken_effect_when_it_returns(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await paused(sandbox, oc, Step("op-pause", 1.0, StepResult.HELD), Step("op-slow", 60.0))
    resumed = await oc.workflows.resume(id)
    assert (resumed.state, resumed.operations) == (State.RUNNING, None)
    assert (await oc.workflows.get(id, with_operations=True)).step == "op-slow"


@on_all
async def test_an_update_to_running_has_taken_effect_too(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await paused(sandbox, oc, Step("op-pause", 1.0, StepResult.HELD), Step("op-slow", 60.0))
    resumed = await oc.workflows.update(id, state="Running", with_operations=True, with_configuration=True)
    assert (resumed.state, resumed.step) == (State.RUNNING, "op-slow")
    assert resumed.configuration is not None


async def test_a_resume_returns_at_the_next_pause_if_that_is_first(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await paused(sandbox, oc, Step("a", 0.0, StepResult.HELD), Step("b", 0.0, StepResult.HELD), Step("c", 0.0))
    resumed = await oc.workflows.update(id, state="running", with_operations=True)
    assert (resumed.state, resumed.step) == (State.PAUSED, "b")
    assert (await oc.workflows.wait(id, parked="return")).step == "b"
    await oc.workflows.resume(id)
    assert (await oc.workflows.wait(id, parked="return")).state is State.SUCCEEDED


async def test_a_resume_without_effect_returns_the_current_record(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, dispatch: Callable[[float], None]
) -> None:
    dispatch(100.0)
    id = await paused(sandbox, oc)
    started = time()
    assert (await oc.workflows.resume(id)).state is State.PAUSED
    assert 30 <= time() - started <= 32
    (late,) = await oc.workflows.wait_all([id], timeout=10, parked="return")
    assert isinstance(late, TimedOut)
    started = time()
    assert (await oc.workflows.wait(id, parked="return")).step == "op-pause"
    assert len(resumes(sandbox)) == 1


async def test_a_resume_with_settle_0_does_not_wait(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, dispatch: Callable[[float], None]
) -> None:
    id = await paused(sandbox, oc)
    started = time()
    assert (await oc.workflows.resume(id, settle=0)).state is State.PAUSED
    assert (await oc.workflows.resume(id, settle=0)).state is State.PAUSED
    assert (time() - started, len(resumes(sandbox))) == (0.0, 1)
    with pytest.raises(InvalidArgument, match="^settle: must be a number of at least 0"):
        await oc.workflows.resume(id, settle=-1)


async def test_a_resume_that_is_cancelled_is_not_sent_again(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await paused(sandbox, oc)
    first = asyncio.create_task(oc.workflows.resume(id))
    while not resumes(sandbox):
        await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await oc.workflows.resume(id)).state is State.RUNNING
    assert len(resumes(sandbox)) == 1
    assert (await oc.workflows.wait(id, parked="return")).phase is Phase.PARKED


async def test_concurrent_resumes_of_one_pause_send_one_request(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await paused(sandbox, oc)
    found = await asyncio.gather(*(oc.workflows.resume(id) for _ in range(5)))
    assert {workflow.state for workflow in found} == {State.RUNNING}
    assert len(resumes(sandbox)) == 1


async def test_a_refused_resume_leaves_the_pause_unchanged(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await paused(sandbox, oc)
    sandbox.opencast.faults = Faults(script=(Fault.RATE_LIMITED,), methods=("PUT",))
    with pytest.raises(RateLimited):
        await oc.workflows.resume(id)
    assert (await oc.workflows.wait(id, parked="return")).state is State.PAUSED
    assert (await oc.workflows.resume(id)).state is State.RUNNING
    assert len(resumes(sandbox)) == 2


async def test_resumes_that_wait_for_a_refused_resume_send_their_own(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await paused(sandbox, oc)
    sandbox.opencast.faults = Faults(script=(Fault.RATE_LIMITED,), methods=("PUT",))
    found = await asyncio.gather(*(oc.workflows.resume(id) for _ in range(4)), return_exceptions=True)
    assert Counter(map(type, found)) == {RateLimited: 1, Workflow: 3}
    assert len(resumes(sandbox)) == 2


async def test_a_resume_whose_response_was_lost_is_not_repeated_if_it_took_effect(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    id = await paused(sandbox, oc)
    sandbox.opencast.faults = Faults(script=(Fault.CUT_BEFORE,), methods=("PUT",))
    with pytest.raises(ConnectionBroken):
        await oc.workflows.resume(id)
    assert (await oc.workflows.resume(id)).state is State.RUNNING
    assert len(resumes(sandbox)) == 1


async def test_a_resume_that_may_have_been_lost_is_sent_again_after_30_seconds(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    id = await paused(sandbox, oc)
    sandbox.opencast.faults = Faults(script=(Fault.SERVER_ERROR,), methods=("PUT",))
    with pytest.raises(ServerError):
        await oc.workflows.resume(id)
    assert (await oc.workflows.wait(id, parked="return")).state is State.PAUSED
    started = time()
    found = await asyncio.gather(*(oc.workflows.resume(id) for _ in range(3)))
    assert {workflow.state for workflow in found} == {State.RUNNING}
    assert time() - started >= 30
    assert len(resumes(sandbox)) == 2


async def test_the_same_pause_can_be_resumed_again_after_30_seconds(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, dispatch: Callable[[float], None]
) -> None:
    dispatch(1000.0)
    id = await paused(sandbox, oc)
    for seconds, sent in ((0, 1), (29, 1), (1, 2), (29, 2)):
        time.advance(seconds)
        await oc.workflows.resume(id, settle=0)
        assert len(resumes(sandbox)) == sent


@pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED, Fault.SERVER_ERROR, Fault.CUT_BODY])
async def test_a_failed_check_does_not_fail_the_resume(sandbox: Sandbox, connect: Connect, fault: Fault) -> None:
    async with connect(retry=Retry(attempts=1)) as oc:
        id = await paused(sandbox, oc)
        sandbox.opencast.faults = Faults(script=(None, fault, fault, fault), methods=("GET",))
        resumed = await oc.workflows.resume(id)
    assert resumed.state is (State.PAUSED if fault is Fault.UNAUTHORIZED else State.RUNNING)
    assert len(resumes(sandbox)) == 1


async def test_a_call_that_waits_for_another_resume_raises_its_own_errors(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(retry=Retry(attempts=1)) as oc:
        id = await paused(sandbox, oc)
        await oc.workflows.resume(id, settle=0)
        sandbox.opencast.faults = Faults(script=(None, Fault.UNAUTHORIZED, Fault.UNAUTHORIZED), methods=("GET",))
        with pytest.raises(CallError, match="401"):
            await oc.workflows.resume(id)
    assert len(resumes(sandbox)) == 1


async def test_a_check_that_hangs_does_not_delay_a_resume(sandbox: Sandbox, oc: OpencastClient) -> None:
    id = await paused(sandbox, oc)
    sandbox.opencast.faults = Faults(latency=(0.2, 0.2), methods=("GET",))
    with anyio.fail_after(5):
        assert (await oc.workflows.resume(id, settle=0.05)).state is State.PAUSED


async def test_a_pause_that_is_resumed_before_its_event_is_read_is_not_reported(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    id, other = await paused(sandbox, oc), sandbox.opencast.start(sandbox.opencast.event(), "pauses")
    outcomes = oc.workflows.as_completed([other, id], parked="return")
    first = await anext(outcomes)
    assert isinstance(first, Parked)
    await oc.workflows.wait_all([id, other], parked="return")  # both pauses are in the queue now
    waiting = id if first.id == other else other
    await oc.workflows.resume(waiting)
    async for outcome in outcomes:
        assert isinstance(outcome, Parked)
        assert outcome.workflow.operations is not None
        assert outcome.workflow.operations[0].state_text == "succeeded"


@pytest.mark.parametrize("wrong", ["succeeded", "Paused ", 5, None, State.FAILING])
async def test_other_states_are_refused(sandbox: Sandbox, oc: OpencastClient, wrong: Any) -> None:
    if wrong is not None:
        with pytest.raises(InvalidArgument, match="^state: must be 'paused', 'running' or 'stopped'"):
            await oc.workflows.update(1, state=wrong)
    assert not sandbox.opencast.requests


def test_the_delays_between_checks_grow_to_two_seconds() -> None:
    assert [round(check_delay(checks), 2) for checks in (0, 1, 2, 3, 4, 5, 6, 10**6)] == [
        *(0.25, 0.38, 0.56, 0.84, 1.27, 1.9),
        *(2.0, 2.0),
    ]


# Pausing and stopping ended workflows


@on_all
@pytest.mark.parametrize("state", ["paused", "STOPPED"])
async def test_a_result_is_overwritten_only_by_force(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, state: Any
) -> None:
    (id,) = sandbox.opencast.seed(1, definitions=["fast"])
    time.advance(60)
    with pytest.raises(AlreadyFinished, match=f"workflow {id} is succeeded already"):
        await oc.workflows.update(id, state=state)
    changed = await oc.workflows.update(id, state=state, force=True)
    kept = sandbox.opencast.state.release == "19" and state == "STOPPED"
    assert changed.state_text == ("succeeded" if kept else state.lower())
    assert [request.method for request in sandbox.opencast.requests] == ["GET", "PUT"]


# Deleting


class DeletingServer:
    """A server with one workflow that can be deleted from a certain time on. Before that it refuses."""

    def __init__(self, time: FakeTime, *, after: float, refusal: int = 404, state: str | None = "succeeded") -> None:
        self.time, self.refusal, self.state = time, refusal, state
        self.ready = time.now + after
        self.methods: list[str] = []
        self.lost: set[int] = set()
        """Numbers of the deletes whose response is lost."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/version":
            return httpx.Response(200, json={"default": "v1.7.0"})
        self.methods.append(request.method)
        if request.method == "GET":
            return self._record()
        if self.time.now < self.ready:
            return httpx.Response(self.refusal, text="Cannot find workflow instance with id '7'.")
        if self.state is None:
            return httpx.Response(404, text="Cannot find workflow instance with id '7'.")
        self.state = None
        if self.methods.count("DELETE") in self.lost:
            raise httpx.ReadError("lost", request=request)
        return httpx.Response(204)

    def _record(self) -> httpx.Response:
        if self.state is None:
            return httpx.Response(404, text="Cannot find workflow instance with id '7'.")
        if not self.state:
            return httpx.Response(403)
        return httpx.Response(200, json={"identifier": 7, "state": self.state, "event_identifier": "e"})


async def delete(server: DeletingServer) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        settings: dict[str, Any] = {"auth": ("user", "secret"), "http": http, "clock": server.time.clock}
        async with OpencastClient("https://oc.example.org", **settings) as oc:
            await oc.workflows.delete(7)


@pytest.mark.parametrize("refusal", [404, 409])
@pytest.mark.parametrize("state", ["succeeded", "failed", "stopped"])
async def test_a_workflow_that_has_just_ended_is_deleted_once_the_index_is_current(
    fake_time: FakeTime, refusal: int, state: str
) -> None:
    server = DeletingServer(fake_time, after=8, refusal=refusal, state=state)
    await delete(server)
    assert server.state is None
    assert server.methods == ["DELETE", "GET", *["DELETE"] * 4]


@pytest.mark.parametrize(("refusal", "kind"), [(404, NotFound), (409, Conflict)])
async def test_a_delete_that_is_refused_for_12_seconds_raises(
    fake_time: FakeTime, refusal: int, kind: type[CallError]
) -> None:
    server = DeletingServer(fake_time, after=3600, refusal=refusal)
    started = fake_time.now
    with pytest.raises(kind):
        await delete(server)
    assert fake_time.now - started == 12
    assert server.methods == ["DELETE", "GET", *["DELETE"] * 6]


@pytest.mark.parametrize(
    ("refusal", "state", "kind"),
    [(404, None, NotFound), (409, None, Conflict), (409, "running", Conflict), (404, "paused", NotFound)],
)
async def test_a_delete_of_a_missing_or_active_workflow_raises_immediately(
    fake_time: FakeTime, refusal: int, state: str | None, kind: type[CallError]
) -> None:
    server = DeletingServer(fake_time, after=3600, refusal=refusal, state=state)
    with pytest.raises(kind):
        await delete(server)
    assert server.methods == ["DELETE", "GET"]


async def test_a_refused_delete_raises_if_the_workflow_cannot_be_read(fake_time: FakeTime) -> None:
    server = DeletingServer(fake_time, after=3600, state="")
    with pytest.raises(NotFound):
        await delete(server)
    assert server.methods == ["DELETE", "GET"]


async def test_a_retried_delete_whose_response_was_lost_succeeds_if_it_took_effect(fake_time: FakeTime) -> None:
    server = DeletingServer(fake_time, after=2)
    server.lost = {2}
    await delete(server)
    assert server.methods == ["DELETE", "GET", "DELETE", "DELETE"]
