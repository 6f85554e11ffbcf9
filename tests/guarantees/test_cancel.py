"""T-CANCEL: whatever call is cancelled, wherever it waits: no task, place or lock is left, and the next call works."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import uvloop
from attrs import define, field

from tests.conftest import See
from tests.support.call_cases import CASES
from tests.support.interruption import WAYS, Way, cancelled
from tests.support.loopback_system import CONNECTIONS, Ground, ground, soon
from tests.support.public_calls import Case, Scene, furnish, one_more, public_calls
from workflow_async.errors import WorkflowAsyncError
from workflow_async.sandbox import RecordedRequest

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
STEPS: dict[str, dict[Way, int]] = {
    "asyncio": {"natively": 1, "by scope": 3, "natively twice": 4, "by scope, then natively": 4},
    "uvloop": {"natively": 4, "by scope": 5},
}
"""Every how-manieth point is tried, by loop and way; a soak tries all."""
PATIENCE = 30.0
"""Seconds that the thread of a journal has to close it."""
STARTS = {"/api/workflows", "/sdb/rest/workflow/instances"}


def test_every_public_call_has_its_case() -> None:
    assert {name for case in CASES for name in case.names} == public_calls()


@define
class Sweep:
    """One call on one system, cancelled at each of its points."""

    here: Ground
    directory: Path
    case: Case
    way: Way
    step: int
    """1 is every point, 3 every third."""
    points: int = 0
    wrong: list[str] = field(factory=list)

    async def run(self) -> None:
        """Go on until the call comes to its end before it is cancelled."""
        furnish(self.here)
        k, fired = 1, True
        async with self.here.client() as warm:
            if self.case.warm:
                await one_more(Scene(self.here, warm, self.directory))
            while fired:
                fired, faults = await self._once(k, warm)
                self.wrong += [f"{self.case.act.__name__}, {self.way}, at {k}: {fault}" for fault in faults]
                self.points += fired
                k += self.step
        if not await self.here.settled():
            self.wrong.append(f"{self.case}: {self.here.lines} connections are left")

    async def _once(self, k: int, warm: object) -> tuple[bool, list[str]]:
        """Cancel it at one point, and use the same client afterwards."""
        if self.case.warm:
            return await self._cancelled(Scene(self.here, warm, self.directory), k)
        async with self.here.client() as cold:
            scene = Scene(self.here, cold, self.directory)
            if self.case.before is not None:
                await self.case.before(scene)
            return await self._cancelled(scene, k)

    async def _cancelled(self, scene: Scene, k: int) -> tuple[bool, list[str]]:
        here, before, served = self.here, set(threading.enumerate()), len(self.here.system.requests)
        ended = await cancelled(lambda: self.case.act(scene), k, self.way)
        if self.case.collected:
            await soon(lambda: not any(left(here, scene.client)))
        faults = [*ended.faults, *left(here, scene.client)]
        for thread in set(threading.enumerate()) - before:
            thread.join(PATIENCE)
            faults += ["a thread is left"] if thread.is_alive() else []
        try:
            await (self.case.after or one_more)(scene)
        except WorkflowAsyncError as error:
            faults.append(f"the next call fails: {error!r}")
        if not await soon(lambda: here.lines <= CONNECTIONS):
            faults.append(f"{here.lines} connections are open")
        if starts_sent_twice(here.system.requests[served:]):
            faults.append("a start was sent twice")
        return ended.fired, faults


def starts_sent_twice(requests: Sequence[RecordedRequest]) -> bool:
    """Whether the same start came more than once: each has an event, or a mark, of its own."""
    starts = [one.body for one in requests if one.method == "POST" and one.path in STARTS]
    return len(starts) > len(set(starts))


def left(here: Ground, client: Any) -> Iterator[str]:
    """What a call that is over has left behind in its client and in the event loop."""
    transport, poller = client._transport, client.workflows.poller
    if strangers := here.strangers:
        yield f"{len(strangers)} tasks are left: {strangers}"
    if (free := transport._queue.value) != transport.limits.connections:
        yield f"{free} places are free"
    if (lock := getattr(transport.credential, "_lock", None)) is not None and lock.locked():
        yield "the login is locked"
    if poller._watchers or poller._lists or poller._task.running:
        yield "somebody still watches"


def swept(kind: str, loop: str, directory: Path, steps: Mapping[Way, int]) -> tuple[list[str], str]:
    """What went wrong with all calls of a system, and how many points they were cancelled at."""

    async def one(case: Case, way: Way) -> Sweep:
        async with ground(kind) as here:
            sweep = Sweep(here, directory, case, way, steps[way])
            await sweep.run()
            return sweep

    cases = [case for case in CASES if kind in case.on]
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        sweeps = [runner.run(one(case, way)) for case in cases for way in steps]
    points = sum(sweep.points for sweep in sweeps)
    seen = f"{loop}, {kind}: {points} points of {len(cases)} calls in {len(steps)} ways"
    return [fault for sweep in sweeps for fault in sweep.wrong], seen


everywhere = pytest.mark.parametrize("loop", LOOPS)
on_each = pytest.mark.parametrize("kind", ["11", "16", "preservica"])


@everywhere
@on_each
@pytest.mark.figure("T-CANCEL")
@pytest.mark.timeout(300)
def test_wherever_a_call_is_cancelled_nothing_is_left_of_it(kind: str, loop: str, tmp_path: Path, see: See) -> None:
    wrong, seen = swept(kind, loop, tmp_path, STEPS[loop])
    assert wrong == []
    see(seen)


@everywhere
@on_each
@pytest.mark.soak
@pytest.mark.figure("T-CANCEL")
@pytest.mark.timeout(1800)
def test_at_every_single_point_in_every_way(kind: str, loop: str, tmp_path: Path, see: See) -> None:
    wrong, seen = swept(kind, loop, tmp_path, dict.fromkeys(WAYS, 1))
    assert wrong == []
    see(seen)
