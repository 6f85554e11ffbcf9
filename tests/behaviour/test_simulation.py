"""Thousands of workflows watched for hours on a faulty server: no event is lost, doubled or made up."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, field

from tests.behaviour.test_foreign_answers import FOREIGN
from tests.support import virtual_time as virtual
from tests.support.monitored_system import System, is_subsequence, new_system
from workflow_async import Phase, Poll, Retry
from workflow_async.errors import CallError, WorkflowAsyncError
from workflow_async.monitor import Change, PollingFailed, Replaced, Vanished
from workflow_async.sandbox import Fault, Faults
from workflow_async.sandbox.engine import FakeWorkflow, Status, Step, StepResult

pytestmark = pytest.mark.sweep

MINUTE = 60.0
LOGIN = "accesstoken"
INDEX = {"11": "/api/workflows", "16": "/api/events", "preservica": "/sdb/rest/workflow/instances"}
"""Paths that the server answers from its index."""
ILL = (500, 502, 503, 429, 403, 404, 200)
"""Statuses of a failing index. 200 stands for a garbled body."""
LAVISH = Retry(budget=1e9)
"""Enough retries to hide most single faults. The simulation is about faults that last longer."""
Front = Callable[[httpx.Request], httpx.Response | None]


@define
class Truth:
    """The true phases of every workflow, in order."""

    phases: dict[int, list[Phase]] = field(factory=dict)
    removed: set[int] = field(factory=set)

    def see(self, id: int, phase: Phase) -> None:
        """Record the phase of a workflow."""
        seen = self.phases.setdefault(id, [])
        if seen[-1:] != [phase]:
            seen.append(phase)


@define
class Reported:
    """The events of one watch."""

    phases: dict[int, list[Phase]] = field(factory=dict)
    ends: Counter[int] = field(factory=Counter)
    keys: Counter[tuple[int, str]] = field(factory=Counter)
    rounds: Counter[int] = field(factory=Counter)
    """Times that a workflow was given up and watched again."""
    vanished: set[int] = field(factory=set)
    replaced: set[int] = field(factory=set)
    events: int = 0

    def hear(self, event: Any) -> None:
        """Record an event."""
        self.events += 1
        if isinstance(event, Change):
            if event.now.final:
                self.keys[self.rounds[event.id], event.key] += 1
            heard = self.phases.setdefault(event.id, [])
            if heard[-1:] != [event.now]:
                heard.append(event.now)
            self.ends[event.id] += event.now.final
        elif isinstance(event, Vanished):
            self.vanished.add(event.id)
        elif isinstance(event, PollingFailed):
            self.rounds[event.id] += 1
        elif isinstance(event, Replaced):
            self.replaced.add(event.id)


@define
class Simulation:
    """Workflows, a faulty server, people who resume parked workflows, and watchers that come and go."""

    place: System
    count: int
    seed: int
    auth: tuple[str, str] | None = None
    truth: Truth = field(factory=Truth)
    chance: random.Random = field(init=False)
    ids: list[int] = field(factory=list)
    waits: Counter[str] = field(factory=Counter)
    fronts: list[Front] = field(factory=list)
    """The proxy that may answer in place of the server now."""
    seen: Counter[str] = field(factory=Counter)
    """Number of times that each kind of fault came."""

    def __attrs_post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        noted, engine = self.place.engine.on_change, self.place.engine

        def observe(run: FakeWorkflow) -> None:
            if noted is not None:
                noted(run)
            if run.id in engine.runs:
                self.truth.see(run.id, self.place.phase_of(run))
            else:
                self.truth.removed.add(run.id)

        engine.on_change = observe
        self.place.wire.instead = self._instead

    def _instead(self, request: httpx.Request) -> httpx.Response | None:
        """Return the response of the proxy, and sometimes a strange one. None if the server answers."""
        if LOGIN in request.url.path:
            return None
        answers = (front(request) for front in self.fronts)
        return next((answer for answer in answers if answer is not None), None) or self._alien()

    def _alien(self) -> httpx.Response | None:
        if self.chance.random() > 0.01:
            return None
        self.seen["alien"] += 1
        return httpx.Response(**FOREIGN[self.chance.choice(list(FOREIGN))])

    def populate(self, longest: float) -> None:
        """Start workflows of forty kinds with a few steps each, and with every kind of end."""
        kinds = [self.place.define(f"lecture-{n}", *self._steps(longest)) for n in range(40)]
        self.ids = [self.place.start(self.chance.choice(kinds)) for _ in range(self.count)]

    def _steps(self, longest: float) -> list[Step]:
        fates = [
            *[StepResult.DONE] * 14,
            StepResult.SKIPPED,
            StepResult.FAILED,
            StepResult.PARTIAL,
            StepResult.HELD,
            StepResult.HELD,
            StepResult.STUCK,
        ]
        if self.place.kind == "preservica":
            fates.remove(StepResult.STUCK)
        handlers = (Step("tell", 20.0), Step("clean", 5.0))
        return [
            Step(f"step-{n}", self.chance.uniform(1, longest / 4), self.chance.choice(fates), handlers * (n % 2))
            for n in range(self.chance.randint(2, 6))
        ]

    def latency(self) -> float:
        """Return the seconds that a request or a response takes."""
        return self.chance.uniform(0.0, 0.1 if self.chance.random() < 0.98 else 25.0)

    @asynccontextmanager
    async def meanwhile(self) -> AsyncIterator[None]:
        """Run everything except the watches."""
        async with anyio.create_task_group() as group:
            for story in (self._people, self._outages, self._restarts, self._deletions):
                group.start_soon(story)
            for trouble in (self._boots, self._indexes, self._pauses, self._leaps):
                group.start_soon(trouble)
            yield
            group.cancel_scope.cancel()

    async def _people(self) -> None:
        """Resume or stop parked workflows."""
        while True:
            await anyio.sleep(self.chance.uniform(30, 90))
            for run in [run for run in self.place.engine.all() if run.status is Status.PARKED]:
                if self.chance.random() < 0.1:
                    self.place.engine.stop(run)
                elif self.chance.random() < 0.5:
                    self.place.engine.resume(run, 2.0)

    async def _outages(self) -> None:
        """At random instants, let no request through for a minute."""
        while True:
            await anyio.sleep(self.chance.uniform(5, 15) * MINUTE)
            self.place.wire.down = True
            await anyio.sleep(MINUTE)
            self.place.wire.down = False

    async def _restarts(self) -> None:
        """At random instants, restart the server: half a minute down, then with older states of some workflows."""
        while True:
            await anyio.sleep(self.chance.uniform(8, 12) * MINUTE)
            old = {run.id: run.copy() for run in self.place.engine.all() if run.active}
            await anyio.sleep(self.chance.uniform(5, 60))
            self.place.wire.down = True
            await anyio.sleep(30)
            for run in [run for run in self.place.engine.all() if run.id in old]:
                if self.chance.random() < 0.05:
                    self._restore(run, old[run.id])
            self.place.wire.down = False

    def _restore(self, run: FakeWorkflow, old: FakeWorkflow) -> None:
        run.status, run.steps, run.partial = old.status, old.steps, old.partial
        run.started, run.finished, run.changed = old.started, old.finished, old.changed
        if run.status is not Status.PARKED:
            self.place.engine._schedule(run, self.place.engine.clock() + self.chance.uniform(1, 30))
        self.place.engine._notify(run)

    async def _stand_before(self, front: Front, seconds: float) -> None:
        self.fronts.append(front)
        await anyio.sleep(seconds)
        self.fronts.remove(front)

    async def _boots(self) -> None:
        """At random instants, boot the server or a part of it: a proxy answers for up to three minutes."""
        while True:
            await anyio.sleep(self.chance.uniform(6, 14) * MINUTE)
            self.seen["boot"] += 1
            form, path = self.chance.choice(list(FOREIGN)), self.chance.choice(("/", INDEX[self.place.kind]))

            def answer(request: httpx.Request, form: str = form, path: str = path) -> httpx.Response | None:
                return httpx.Response(**FOREIGN[form]) if request.url.path.startswith(path) else None

            await self._stand_before(answer, self.chance.uniform(10, 180))

    async def _indexes(self) -> None:
        """At random instants, let the index fail for up to twenty minutes."""
        while True:
            await anyio.sleep(self.chance.uniform(5, 20) * MINUTE)
            self.seen["index"] += 1
            status, index = self.chance.choice(ILL), INDEX[self.place.kind]

            def answer(request: httpx.Request, status: int = status, index: str = index) -> httpx.Response | None:
                return httpx.Response(status, content="[{") if request.url.path == index else None

            await self._stand_before(answer, self.chance.uniform(1, 20) * MINUTE)

    async def _pauses(self) -> None:
        """At random instants, let the server ask for a pause and refuse requests during it."""
        while True:
            await anyio.sleep(self.chance.uniform(8, 20) * MINUTE)
            self.seen["pause"] += 1
            seconds = self.chance.uniform(5, 600)
            until = asyncio.get_running_loop().time() + seconds

            def answer(_: httpx.Request, until: float = until) -> httpx.Response | None:
                left = max(1, round(until - asyncio.get_running_loop().time()))
                return httpx.Response(self.chance.choice((429, 503)), headers={"retry-after": str(left)})

            await self._stand_before(answer, seconds)

    async def _leaps(self) -> None:
        """At random instants, suspend the machine of the client, half of the times in an outage."""
        while True:
            await anyio.sleep(self.chance.uniform(10, 25) * MINUTE)
            self.seen["leap"] += 1
            self.place.wire.down = self.chance.random() < 0.5
            await anyio.sleep(5)
            loop = asyncio.get_running_loop()
            assert isinstance(loop, virtual.VirtualLoop)
            loop.leap(self.chance.uniform(1, 30) * MINUTE)
            await anyio.sleep(5)
            self.place.wire.down = False

    async def _deletions(self) -> None:
        """Delete a workflow at random instants, ended or not."""
        while True:
            await anyio.sleep(self.chance.uniform(1, 3) * MINUTE)
            run = self.chance.choice(list(self.place.engine.all()))
            self.place.engine.remove(run)

    async def churn(self, client: Any) -> None:
        """Start and cancel waits without end."""
        async with anyio.create_task_group() as group:
            while True:
                await anyio.sleep(self.chance.uniform(0, 4))
                group.start_soon(self._wait, client, self.chance.choice(self.ids))
                client.workflows.wake(self.chance.choice(self.ids))

    async def _wait(self, client: Any, id: int) -> None:
        with anyio.move_on_after(self.chance.uniform(0, 60)):
            try:
                workflow = await client.workflows.wait(id, timeout=self.chance.uniform(1, 120))
                assert workflow.phase in self.truth.phases[id]
                self.waits["finished"] += 1
            except WorkflowAsyncError as error:
                self.waits[type(error).__name__] += 1
            return
        self.waits["cancelled"] += 1

    async def watch(self, client: Any, told: Reported) -> None:
        """Watch all workflows to their end. Watch a workflow again if its polling failed."""
        async with client.workflows.watch(self.ids, poll=Poll(outage=900)) as changes:
            async for event in changes:
                told.hear(event)
                if isinstance(event, PollingFailed):
                    changes.add(event.id)
                if self.chance.random() < 0.001:
                    await anyio.sleep(self.chance.uniform(0, 60))

    async def discover(self, client: Any, told: Reported) -> None:
        """Watch all active workflows, without ids."""
        everything = {"type": "Ingest"} if self.place.kind == "preservica" else {"state_not": "succeeded"}
        while True:
            try:
                async with client.workflows.watch(**everything) as changes:
                    async for event in changes:
                        told.hear(event)
            except CallError:
                await anyio.sleep(30)
                told.keys.clear()

    async def run(self) -> tuple[Reported, Reported]:
        """Run the simulation to its end. Return the events of the ids, and of all active workflows."""
        told, found = Reported(), Reported()
        async with (
            self.place.client(self.auth, retry=LAVISH) as client,
            self.meanwhile(),
            anyio.create_task_group() as group,
        ):
            group.start_soon(self.churn, client)
            if self.place.lists:
                group.start_soon(self.discover, client, found)
            await self.watch(client, told)
            group.cancel_scope.cancel()
            left = client.workflows._poller
        assert not any((left._watchers, left.engine.observations, left.engine.tracked))
        return told, found


RATES = {
    Fault.RATE_LIMITED: 0.04,
    Fault.SERVER_ERROR: 0.06,
    Fault.UNAUTHORIZED: 0.01,
    Fault.LOGIN_PAGE: 0.04,
    Fault.ERROR_AFTER: 0.06,
    Fault.CUT_BODY: 0.06,
    Fault.CUT_BEFORE: 0.06,
    Fault.SHORT_PAGE: 0.03,
    Fault.REPEATED_PAGE: 0.03,
}


async def simulate(
    kind: str, count: int, longest: float, auth: tuple[str, str] | None, *, seed: int = 7, worse: float = 1.0
) -> str:
    place = new_system(kind, seed)
    simulation = Simulation(place, count, seed, auth)
    simulation.populate(longest)
    place.system.faults = Faults(seed, latency=(0.0, 0.4), rates={fault: worse * rate for fault, rate in RATES.items()})
    place.wire.seconds = simulation.latency
    told, found = await simulation.run()
    prove(simulation, told)
    prove_true(simulation, found)
    faults = Counter(one.fault for one in place.system.requests if one.fault is not None)
    return (
        f"{kind}: {faults.total()} faults of {len(faults)} kinds in {len(place.system.requests)} requests, "
        f"{asyncio.get_running_loop().time() / 3600:.1f} virtual hours, {told.events} events of {count} workflows, "
        f"{found.events} of a filter, "
        f"{told.rounds.total()} times watched again, {len(told.vanished)} vanished; waits: {dict(simulation.waits)}; "
        f"{dict(simulation.seen)}"
    )


def prove(simulation: Simulation, told: Reported) -> None:
    truth = simulation.truth
    lost = [id for id in simulation.ids if not told.ends[id] and id not in told.vanished]
    assert not lost, [(id, truth.phases[id], told.phases.get(id)) for id in lost]
    assert told.vanished <= truth.removed
    assert not told.replaced
    assert all(times == 1 for times in told.ends.values() if times), "an end is told once"
    prove_true(simulation, told)


def prove_true(simulation: Simulation, told: Reported) -> None:
    truth = simulation.truth
    assert set(told.keys.values()) <= {1}, "no end comes twice"
    wrong = [id for id, phases in told.phases.items() if not is_subsequence(phases, truth.phases[id])]
    assert not wrong, [(id, truth.phases[id], told.phases[id]) for id in wrong]


VIEWER = ("viewer", "viewer")
"""A user without access to events, so that no bulk check is possible."""


@pytest.mark.parametrize(
    ("kind", "auth", "longest"),
    [("11", None, 240.0), ("16", None, 240.0), ("16", VIEWER, 240.0), ("preservica", None, 450.0)],
)
def test_nothing_is_lost_doubled_or_made_up(kind: str, auth: tuple[str, str] | None, longest: float) -> None:
    print(virtual.run(simulate(kind, 200, longest, auth)))  # noqa: T201 - the figures are what it is for


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "auth", "longest"),
    [("11", None, 5000.0), ("16", None, 5000.0), ("16", VIEWER, 4500.0), ("preservica", None, 7000.0)],
)
def test_nothing_is_lost_doubled_or_made_up_in_hours(kind: str, auth: tuple[str, str] | None, longest: float) -> None:
    print(virtual.run(simulate(kind, 2000, longest, auth, seed=11, worse=1.5)))  # noqa: T201 - as above
