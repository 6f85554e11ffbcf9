"""T-START: the same when a start is cancelled, or its deadline passes, at any suspension point."""

from collections import Counter
from functools import partial
from typing import Any

import pytest
from attrs import define, field

from tests.conftest import FakeTime, See
from tests.support.faulty_starts import StartHarness, created_response, on_both_systems, start_harness
from tests.support.interruption import CANCEL_STYLES, CancelStyle, SuspensionPoints, cancel_at, captured_deadlines
from tests.support.loopback_system import LoopbackSystem, eventually, loopback_system
from tests.support.start_server import POSSIBLE_COUNTS, System, Treatment, start_result
from workflow_async import OpencastClient
from workflow_async.batch import Ticket


async def time_out_at(harness: StartHarness, k: int, which: int) -> tuple[int, str | None]:
    """Send a start whose deadline (`which`: the call's or the exchange's) passes at its k-th suspension point.

    Returns the number of points passed, and what was wrong with the result.
    """
    harness.server.expect(
        Treatment(f"deadline {which} at point {k}", executed=True, response=created_response(harness.system))
    )
    with captured_deadlines() as deadlines:

        def pass_deadline() -> None:
            if which < len(deadlines):
                deadlines[which].cancel()

        points = SuspensionPoints({k: pass_deadline})
        result = (await points.run(lambda: start_result(harness.client, harness.ticket))).result()
    assert await eventually(lambda: harness.server.idle)
    wrong = harness.server.executed not in POSSIBLE_COUNTS.get(result, ())
    return points.passed, f"deadline {which} at {k}: {result}, {harness.server.executed} times" if wrong else None


@on_both_systems
@pytest.mark.parametrize("which", [0, 1], ids=["of the call", "of the exchange"])
@pytest.mark.figure("T-START")
async def test_whenever_a_deadline_passes_the_result_is_true(
    system: System, which: int, fake_time: FakeTime, see: See
) -> None:
    async with start_harness(system, fake_time) as harness:
        k, points, problems = 0, 1, []
        while k <= points:
            k += 1
            points, problem = await time_out_at(harness, k, which)
            problems += [problem] if problem is not None else []
    assert problems == []
    assert k > 5
    see(f"{system}: {k} deadlines")


@define
class RecordingBackend:
    """A backend that records the requests it sends."""

    inner: Any
    requests: set[str] = field(factory=set)

    async def __call__(self, request: Any) -> Any:
        self.requests.add(f"{request.method} {request.url}")
        return await self.inner(request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def reconciled(loopback: LoopbackSystem, ticket: Ticket) -> tuple[str, int]:
    """Return what another client finds of a start. That client sends nothing but GETs and a login."""
    async with loopback.client() as other:
        other._transport.backend = recording = RecordingBackend(other._transport.backend)
        found = await other.workflows.reconcile(ticket, wait=4.0)
    posts = {request for request in recording.requests if not request.startswith("GET ")}
    assert posts <= {f"POST {loopback.system.url}/api/accesstoken/login"}
    return type(found).__name__, len(getattr(found, "candidates", ()))


def unique_ticket(loopback: LoopbackSystem, client: Any) -> Ticket:
    """Return a start that cannot be confused with another one."""
    if isinstance(client, OpencastClient):
        return client.workflows.prepare_start(loopback.opencast.event(), "fast", baseline=0)
    return client.workflows.prepare_start(42)  # type: ignore[no-any-return]  # the client is Any


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
@pytest.mark.parametrize("style", CANCEL_STYLES)
@pytest.mark.figure("T-START")
async def test_wherever_a_start_is_cancelled_it_runs_at_most_once_and_another_client_can_reconcile_it(
    kind: str, style: CancelStyle, see: See
) -> None:
    found: Counter[str] = Counter()
    async with loopback_system(kind) as loopback:
        k, fired = 0, True
        while fired:
            k, before = k + 1, loopback.started_count
            async with loopback.client() as client:
                ticket = unique_ticket(loopback, client)
                result = await cancel_at(partial(client.workflows.start, ticket), k, style)
            assert await loopback.becomes_idle()
            fired, times = result.fired, loopback.started_count - before
            assert (result.problems, times in {0, 1}) == ([], True)
            assert await reconciled(loopback, ticket) == ("StartFound" if times else "NoStartFound", 0)
            assert loopback.started_count - before == times
            found[str(times)] += 1
    assert min(found["0"], found["1"]) > 0
    see(f"{kind}: {k - 1} points, {style}")
