"""T-CANCEL: after a cancelled call no task, request slot or lock is left, and the next call works."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import uvloop
from attrs import define, field

from tests.conftest import See
from tests.support.call_cases import CASES
from tests.support.interruption import CANCEL_STYLES, CancelStyle, cancel_at
from tests.support.loopback_system import CONNECTIONS, LoopbackSystem, eventually, loopback_system
from tests.support.public_calls import CallContext, Case, define_workflows, public_calls, short_call
from workflow_async.errors import WorkflowAsyncError
from workflow_async.sandbox import RecordedRequest

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
STRIDES: dict[str, dict[CancelStyle, int]] = {
    "asyncio": {"natively": 1, "by scope": 3, "natively twice": 4, "by scope, then natively": 4},
    "uvloop": {"natively": 4, "by scope": 5},
}
"""Distance between the points that are tried, by loop and style. A soak tries all of them."""
JOURNAL_TIMEOUT = 30.0
"""Seconds that a journal's thread may take to close it."""
START_PATHS = {"/api/workflows", "/sdb/rest/workflow/instances"}


def test_every_public_call_has_a_case() -> None:
    assert {name for case in CASES for name in case.public_names} == public_calls()


@define
class Sweep:
    """One call on one system, cancelled at each of its suspension points."""

    loopback: LoopbackSystem
    directory: Path
    case: Case
    style: CancelStyle
    stride: int
    """1 is every point, 3 every third."""
    points: int = 0
    problems: list[str] = field(factory=list)

    async def run(self) -> None:
        """Cancel the call at later and later points, until it ends before it is cancelled."""
        define_workflows(self.loopback)
        k, fired = 1, True
        async with self.loopback.client() as shared_client:
            if self.case.reuse:
                await short_call(CallContext(self.loopback, shared_client, self.directory))
            while fired:
                fired, problems = await self._once(k, shared_client)
                self.problems += [
                    f"{self.case.function.__name__}, {self.style}, at {k}: {problem}" for problem in problems
                ]
                self.points += fired
                k += self.stride
        if not await self.loopback.becomes_idle():
            self.problems.append(f"{self.case}: {self.loopback.open_connections} connections are left")

    async def _once(self, k: int, shared_client: object) -> tuple[bool, list[str]]:
        """Cancel the call at one point, and use the same client afterwards."""
        if self.case.reuse:
            return await self._cancelled(CallContext(self.loopback, shared_client, self.directory), k)
        async with self.loopback.client() as client:
            context = CallContext(self.loopback, client, self.directory)
            if self.case.before is not None:
                await self.case.before(context)
            return await self._cancelled(context, k)

    async def _cancelled(self, context: CallContext, k: int) -> tuple[bool, list[str]]:
        loopback, threads, requests_before = (
            self.loopback,
            set(threading.enumerate()),
            len(self.loopback.system.requests),
        )
        result = await cancel_at(lambda: self.case.function(context), k, self.style)
        if self.case.collected:
            await eventually(lambda: not any(leftovers(loopback, context.client)))
        problems = [*result.problems, *leftovers(loopback, context.client)]
        for thread in set(threading.enumerate()) - threads:
            thread.join(JOURNAL_TIMEOUT)
            problems += ["a thread is left"] if thread.is_alive() else []
        try:
            await (self.case.after or short_call)(context)
        except WorkflowAsyncError as error:
            problems.append(f"the next call fails: {error!r}")
        if not await eventually(lambda: loopback.open_connections <= CONNECTIONS):
            problems.append(f"{loopback.open_connections} connections are open")
        if starts_sent_twice(loopback.system.requests[requests_before:]):
            problems.append("a start was sent twice")
        return result.fired, problems


def starts_sent_twice(requests: Sequence[RecordedRequest]) -> bool:
    """Return True if a start was sent again that was not refused with 409. Each has its own event or correlation id."""
    sent = [request for request in requests if request.method == "POST" and request.path in START_PATHS]
    bodies = [request.body for request in sent if request.status != HTTPStatus.CONFLICT]
    return len(bodies) > len(set(bodies))


def leftovers(loopback: LoopbackSystem, client: Any) -> Iterator[str]:
    """Yield what a finished call has left behind in its client and in the event loop."""
    transport, poller = client._transport, client.workflows._poller
    if tasks := loopback.client_tasks:
        yield f"{len(tasks)} tasks are left: {tasks}"
    if (free := transport._queue.value) != transport.limits.connections:
        yield f"{free} request slots are free"
    if (lock := getattr(transport.credential, "_lock", None)) is not None and lock.locked():
        yield "the login is locked"
    if poller._watchers or poller._lists or poller._task.running:
        yield "a workflow is still watched"


def run_sweeps(kind: str, loop: str, directory: Path, strides: Mapping[CancelStyle, int]) -> tuple[list[str], str]:
    """Return the problems of all calls of a system, and the number of points at which they were cancelled."""

    async def run_sweep(case: Case, style: CancelStyle) -> Sweep:
        async with loopback_system(kind) as loopback:
            sweep = Sweep(loopback, directory, case, style, strides[style])
            await sweep.run()
            return sweep

    cases = [case for case in CASES if kind in case.systems]
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        sweeps = [runner.run(run_sweep(case, style)) for case in cases for style in strides]
    points = sum(sweep.points for sweep in sweeps)
    observed = f"{loop}, {kind}: {points} points of {len(cases)} calls in {len(strides)} ways"
    return [problem for sweep in sweeps for problem in sweep.problems], observed


on_each_loop = pytest.mark.parametrize("loop", LOOPS)
on_each_system = pytest.mark.parametrize("kind", ["11", "16", "preservica"])


@on_each_loop
@on_each_system
@pytest.mark.figure("T-CANCEL")
@pytest.mark.timeout(300)
def test_wherever_a_call_is_cancelled_nothing_is_left(kind: str, loop: str, tmp_path: Path, see: See) -> None:
    problems, observed = run_sweeps(kind, loop, tmp_path, STRIDES[loop])
    assert problems == []
    see(observed)


@on_each_loop
@on_each_system
@pytest.mark.soak
@pytest.mark.figure("T-CANCEL")
@pytest.mark.timeout(1800)
def test_at_every_point_in_every_style(kind: str, loop: str, tmp_path: Path, see: See) -> None:
    problems, observed = run_sweeps(kind, loop, tmp_path, dict.fromkeys(CANCEL_STYLES, 1))
    assert problems == []
    see(observed)
