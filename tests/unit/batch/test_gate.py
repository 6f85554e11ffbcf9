"""`gate`: weights, order, the low mark, other users' workflows, and what happens when counting fails."""

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import define, field
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.batch.conftest import OFTEN, Connect, most_at_once, results
from workflow_async import Clock, OpencastClient, Poll, PreservicaClient
from workflow_async.batch import Completed, Gate, concurrency
from workflow_async.batch.concurrency import Taken
from workflow_async.batch.gate import limit_of, new_gate
from workflow_async.errors import Forbidden, InvalidArgument, ServerError
from workflow_async.opencast import Start
from workflow_async.preservica import Start as ContextStart
from workflow_async.sandbox import Fault, Faults, ManualClock, Step
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

on_all = pytest.mark.parametrize("sandbox", ["11", "16", "19"], indirect=True)

LAG = 12.0


def lone_gate(max_running: int, low: int | None = None) -> Gate:
    """Return a gate that does not count others."""
    return new_gate(max_running, low, None, lambda: 0.0, Clock(), Poll())


async def settle() -> None:
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


def _raise_if(broken: bool) -> None:  # noqa: FBT001
    if broken:
        raise OSError("the caller's")


@define(eq=False)
class Visits:
    """Tasks that enter a gate, in the order of their numbers, and leave on request."""

    gate: Gate
    entered: list[int] = field(factory=list)
    inside: dict[int, int] = field(factory=dict)
    """The weights of the visits that are inside, by number."""
    tasks: dict[int, "asyncio.Task[None]"] = field(factory=dict)
    _leave: dict[int, asyncio.Event] = field(factory=dict)
    _errors: set[int] = field(factory=set)

    async def _visit(self, number: int, weight: int) -> None:
        try:
            async with self.gate.slot(weight):
                self.entered.append(number)
                self.inside[number] = weight
                await self._leave[number].wait()
                _raise_if(number in self._errors)
        except OSError:
            pass
        finally:
            self.inside.pop(number, None)

    async def enter(self, weight: int = 1) -> int:
        """Let another task enter the gate. Return its number."""
        number = len(self.tasks)
        self._leave[number] = asyncio.Event()
        self.tasks[number] = asyncio.create_task(self._visit(number, weight))
        await settle()
        return number

    async def leave(self, number: int, *, by_error: bool = False) -> None:
        """Let a visit leave its block."""
        if by_error:
            self._errors.add(number)
        self._leave[number].set()
        await settle()

    async def cancel(self, number: int) -> None:
        """Cancel a visit, inside or in the queue."""
        self.tasks[number].cancel()
        await settle()

    async def end(self) -> None:
        """Cancel all visits that are left."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


# Weights, order and cancellation


async def test_a_slot_takes_its_weight_and_frees_it_at_the_end_of_its_block() -> None:
    gate = lone_gate(5)
    async with gate.slot(2) as slot, gate.slot():
        assert (slot.weight, gate.taken) == (2, 3)
    assert (gate.taken, gate.max_running, gate.low) == (0, 5, 4)


async def test_a_heavy_start_is_not_overtaken_by_a_light_one() -> None:
    visits = Visits(lone_gate(3))
    first, second = await visits.enter(), await visits.enter()
    heavy, light = await visits.enter(3), await visits.enter()
    await visits.leave(first)
    assert visits.entered == [first, second]
    await visits.leave(second)
    assert visits.entered == [first, second, heavy]
    await visits.leave(heavy)
    assert visits.entered == [first, second, heavy, light]
    await visits.end()


async def test_a_cancelled_wait_leaves_the_queue() -> None:
    visits = Visits(lone_gate(3))
    first, heavy, light = await visits.enter(2), await visits.enter(2), await visits.enter()
    await visits.cancel(heavy)
    assert visits.entered == [first, light]
    await visits.end()


@pytest.mark.parametrize("by_error", [True, False])
async def test_a_block_that_is_left_in_any_way_frees_its_places(*, by_error: bool) -> None:
    visits = Visits(lone_gate(1))
    first, second = await visits.enter(), await visits.enter()
    await visits.leave(first, by_error=by_error)
    assert visits.entered == [first, second]
    await visits.cancel(second)
    third = await visits.enter()
    assert visits.entered == [first, second, third]
    await visits.end()


async def test_after_a_slot_did_not_fit_the_next_one_waits_for_the_low_mark() -> None:
    visits = Visits(lone_gate(10, low=3))
    heavy, middle = await visits.enter(3), await visits.enter(6)
    light = await visits.enter(2)
    await visits.leave(heavy)
    assert visits.entered == [heavy, middle]
    await visits.leave(middle)
    assert visits.entered == [heavy, middle, light]
    await visits.end()


async def test_a_weight_above_what_the_low_mark_leaves_enters_when_it_fits() -> None:
    visits = Visits(lone_gate(4, low=3))
    first, second = await visits.enter(), await visits.enter()
    heavy = await visits.enter(4)
    await visits.leave(first)
    assert heavy not in visits.entered
    await visits.leave(second)
    assert visits.entered == [first, second, heavy]
    await visits.end()


@pytest.mark.parametrize("weight", [0, -1, 4, 1.5, True, "1"])
def test_a_weight_that_never_fits_is_refused_immediately(weight: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        lone_gate(3).slot(weight)
    assert caught.value.argument == "weight"


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("max_running", {"max_running": 0}),
        ("max_running", {"max_running": "3"}),
        ("low", {"max_running": 3, "low": 3}),
        ("poll", {"max_running": 3, "poll": 5}),
    ],
)
def test_settings_that_make_no_sense_are_refused_immediately(
    argument: str, values: Any, oc: OpencastClient, pv: PreservicaClient
) -> None:
    for client in (oc, pv):
        with pytest.raises(InvalidArgument) as caught:
            client.workflows.gate(**values)
        assert caught.value.argument == argument


async def test_a_slot_is_entered_once() -> None:
    slot = lone_gate(3).slot()
    async with slot:
        pass
    with pytest.raises(InvalidArgument, match=r"gate.slot\(\) for each start"):
        await slot.__aenter__()


# The invariants, for any sequence of events


class AnyUse(RuleBasedStateMachine):
    """Visits enter, leave, fail and are cancelled, and other users start and end workflows, in any order."""

    @initialize(high=st.integers(1, 6), low=st.integers(0, 5), counting=st.booleans())
    def open(self, high: int, low: int, counting: bool) -> None:  # noqa: FBT001
        self.runner = asyncio.Runner()
        self.foreign, self.counting, self.now = 0, counting, 0.0
        self.tick = asyncio.Event()
        self.high, self.low = high, min(low, high - 1)

        async def count() -> int:
            return self.foreign

        async def sleep(_: float) -> None:
            await self.tick.wait()

        clock = Clock(now=lambda: self.now, sleep=sleep)
        self.visits = Visits(new_gate(high, self.low, count if counting else None, lambda: LAG, clock, Poll()))
        self.weights: dict[int, int] = {}
        self.weight, self.full = 1, False

    def run(self, event: Any) -> Any:
        """Let an event happen, then let the gate count again until nothing changes, as the model does."""

        async def main() -> Any:
            result = await event if event is not None else None
            for _ in range(len(self.weights) + 3):
                self.tick.set()
                self.tick = asyncio.Event()
                await settle()
            return result

        before = len(self.visits.entered)
        result = self.runner.run(main())
        new = sum(self.weights.get(number, self.weight) for number in self.visits.entered[before:])
        if self.full and new:
            assert self.taken().surely - new <= self.low
        if self.waiting():  # the gate counts for the first in the queue only
            surely = self.taken().surely + self.first_weight() > self.high
            self.full = surely or (self.full and not new and self.taken().possibly > self.low)
        elif new:
            self.full = False
        return result

    def waiting(self) -> list[int]:
        """Return the visits in the queue."""
        return [n for n, task in self.visits.tasks.items() if not task.done() and n not in self.visits.inside]

    def first_weight(self) -> int:
        """Return the weight of the first in the queue, or 0."""
        waiting = self.waiting()
        return self.weights.get(waiting[0], self.weight) if waiting else 0

    def taken(self) -> Taken:
        """Return how many places are taken: by the server's number and by own slots."""
        own = sum(self.visits.inside.values())
        counted = limit_of(self.visits.gate).with_uncounted(self.foreign, LAG) if self.counting else Taken(0, 0)
        return Taken(max(own, counted.surely), max(own, counted.possibly))

    @rule(weight=st.integers(1, 6))
    def enter(self, weight: int) -> None:
        self.weight = min(weight, self.high)
        number = self.run(self.visits.enter(self.weight))
        self.weights[number] = self.weight

    @precondition(lambda self: self.visits.inside)
    @rule(data=st.data(), by_error=st.booleans())
    def leave(self, data: st.DataObject, by_error: bool) -> None:  # noqa: FBT001
        self.run(self.visits.leave(data.draw(st.sampled_from([*self.visits.inside])), by_error=by_error))

    @precondition(lambda self: any(not task.done() for task in self.visits.tasks.values()))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        running = [number for number, task in self.visits.tasks.items() if not task.done()]
        self.run(self.visits.cancel(data.draw(st.sampled_from(running))))

    @rule(foreign=st.integers(0, 8))
    def others_start_and_end(self, foreign: int) -> None:
        self.foreign = foreign
        self.run(None)

    @rule(seconds=st.floats(0, 2 * LAG))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.run(None)

    @invariant()
    def own_slots_never_take_more_places_than_there_are(self) -> None:
        taken = sum(self.visits.inside.values())
        assert taken <= self.high
        assert self.visits.gate.taken == taken

    @invariant()
    def slots_are_given_in_the_order_of_the_requests(self) -> None:
        assert self.visits.entered == sorted(self.visits.entered)

    @invariant()
    def the_first_in_the_queue_waits_for_a_reason(self) -> None:
        if self.waiting():
            possibly = self.taken().possibly
            assert possibly + self.first_weight() > self.high or (self.full and possibly > self.low)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.visits.end())
            assert self.visits.gate.taken == 0
            self.runner.close()


AnyUse.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestAnyUse = AnyUse.TestCase


# The workflows of other users, over a socket


async def run_through(gate: Gate, start: Callable[[], Any], count: int, **slot: Any) -> None:
    """Start workflows concurrently, each in a slot that is held until the workflow has ended."""

    async def one() -> None:
        async with gate.slot(**slot):
            await start()

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)


@on_all
async def test_workflows_of_other_users_take_places_on_an_opencast(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    fake.define("lasting", [Step("one", 3600.0)])
    others = [fake.start(fake.event(), "lasting") for _ in range(4)]
    time.advance(10)  # the index of Opencast <= 11 lags
    gate = oc.workflows.gate(max_running=6, poll=OFTEN)
    await run_through(gate, lambda: oc.workflows.start_and_wait(fake.event(), "quick", poll=OFTEN), 6)
    assert len(list(fake.engine.all())) == len(others) + 6
    assert most_at_once(fake) <= 6


async def test_workflows_of_other_users_take_places_on_a_preservica(
    pv: PreservicaClient, archive: FakePreservica, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the time of this test passes while a start is on its way, so starts take longer than they really do
    monkeypatch.setattr(concurrency, "START_TIME", 30.0)
    context = archive.context("quick", "org.example.quick", "Ingest", [Step("one", 5.0)])
    lasting = archive.context("lasting", "org.example.lasting", "Ingest", [Step("one", 3600.0)])
    for _ in range(4):
        await pv.workflows.start(lasting)
    gate = pv.workflows.gate(max_running=6, poll=OFTEN)
    await run_through(gate, lambda: pv.workflows.start_and_wait(context, poll=OFTEN), 6)
    assert len(list(archive.engine.all())) == 10
    assert most_at_once(archive) <= 6


@on_all
async def test_starts_that_are_not_waited_for_do_not_exceed_the_limit_while_the_count_lags(
    oc: OpencastClient, fake: FakeOpencast
) -> None:
    fake.define("minute", [Step("one", 60.0)])
    gate = oc.workflows.gate(max_running=3, low=1, poll=OFTEN)
    for _ in range(8):
        async with gate.slot():
            await oc.workflows.start(fake.event(), "minute")
    assert most_at_once(fake) == 3


async def test_a_full_server_lets_nothing_through_before_the_low_mark(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    for seconds in (10.0, 20.0, 30.0):
        fake.define(f"for-{seconds:g}", [Step("one", seconds)])
        fake.start(fake.event(), f"for-{seconds:g}")
    began = time()
    async with oc.workflows.gate(max_running=3, low=1, poll=OFTEN).slot():
        assert 20.0 <= time() - began <= 22.0


@on_all
async def test_a_user_without_the_role_gets_an_error_that_names_it_or_counts_own_slots_only(
    connect: Connect,
) -> None:
    async with connect(auth=("viewer", "viewer")) as oc:
        gate = oc.workflows.gate(max_running=3, poll=OFTEN)
        with pytest.raises(Forbidden) as caught:
            await gate.slot().__aenter__()
        assert (caught.value.role, gate.taken) == ("ROLE_ADMIN", 0)
        async with oc.workflows.gate(max_running=3, count_others=False).slot():
            pass


async def test_an_outage_of_the_count_is_waited_for(oc: OpencastClient, fake: FakeOpencast, time: ManualClock) -> None:
    fake.faults = Faults(script=[Fault.SERVER_ERROR] * 8)
    began = time()
    async with oc.workflows.gate(max_running=3, poll=OFTEN).slot():
        assert time() > began


async def test_an_outage_that_lasts_is_raised_and_takes_no_place(oc: OpencastClient, fake: FakeOpencast) -> None:
    fake.faults = Faults(rates={Fault.SERVER_ERROR: 1.0})
    gate = oc.workflows.gate(max_running=3, poll=OFTEN)
    with pytest.raises(ServerError):
        await gate.slot().__aenter__()
    assert gate.taken == 0
    fake.faults = Faults()
    async with gate.slot():
        assert gate.taken == 1


@on_all
async def test_the_version_is_read_once(oc: OpencastClient, fake: FakeOpencast) -> None:
    gate = oc.workflows.gate(max_running=3, poll=OFTEN)
    async with gate.slot(), gate.slot():
        paths = [request.path for request in fake.requests]
    assert (paths.count("/api/version"), paths.count("/workflow/count")) == (1, 6)


async def test_a_gate_without_a_free_place_sends_no_request(oc: OpencastClient, fake: FakeOpencast) -> None:
    gate = oc.workflows.gate(max_running=1, poll=OFTEN)
    async with gate.slot():
        before = len(fake.requests)
        async with anyio.create_task_group() as group:
            group.start_soon(gate.slot().__aenter__)
            await settle()
            group.cancel_scope.cancel()
        assert len(fake.requests) == before


# A gate that batches share


async def test_batches_and_single_starts_share_one_gate(oc: OpencastClient, fake: FakeOpencast) -> None:
    gate = oc.workflows.gate(max_running=2, count_others=False)
    reported: list[Any] = []

    async def batch() -> None:
        starts = [Start(fake.event(), "quick", key=str(n)) for n in range(4)]
        reported.extend(await results(oc.workflows.run_all(starts, gate=gate, poll=OFTEN)))

    async with anyio.create_task_group() as group:
        group.start_soon(batch)
        group.start_soon(batch)
        group.start_soon(run_through, gate, lambda: oc.workflows.start_and_wait(fake.event(), "quick", poll=OFTEN), 4)
    assert {type(result) for result in reported} == {Completed}
    assert len(list(fake.engine.all())) == 12
    assert (most_at_once(fake), gate.taken) == (2, 0)


async def test_a_batch_with_a_gate_counts_other_users(pv: PreservicaClient, archive: FakePreservica) -> None:
    context = archive.context("quick", "org.example.quick", "Ingest", [Step("one", 5.0)])
    lasting = archive.context("lasting", "org.example.lasting", "Ingest", [Step("one", 3600.0)])
    await pv.workflows.start(lasting)
    starts = [ContextStart(context, key=str(n)) for n in range(4)]
    gate = pv.workflows.gate(max_running=3, poll=OFTEN)
    await results(pv.workflows.run_all(starts, gate=gate, poll=OFTEN))
    assert most_at_once(archive) <= 3


@pytest.mark.parametrize("more", [{"max_running": 3}, {"low": 1}, {"count_others": True}])
def test_a_gate_cannot_be_combined_with_another_limit(more: Any, oc: OpencastClient, pv: PreservicaClient) -> None:
    for client in (oc, pv):
        gate: Any = client.workflows.gate(max_running=2)
        with pytest.raises(InvalidArgument, match="^gate: cannot be combined"):
            client.workflows.run_all([], gate=gate, **more)
        with pytest.raises(InvalidArgument, match="^gate: must be a gate"):
            client.workflows.run_all([], gate=gate.slot())
