"""T-START: likewise when a start is cancelled, or runs out of time, wherever it waits."""

from collections import Counter
from functools import partial
from typing import Any

import pytest
from attrs import define, field

from tests.conftest import FakeTime, See
from tests.support.faulty_starts import Bench, bench, created, either
from tests.support.interruption import WAYS, Points, Way, cancelled, captured_deadlines
from tests.support.loopback_system import Ground, ground, soon
from tests.support.start_server import TRUE, System, Treatment, verdict
from workflow_async import OpencastClient
from workflow_async.batch import Ticket


async def out_of_time(made: Bench, k: int, which: int) -> tuple[int, str | None]:
    """A start whose deadline of a kind (the call's or the exchange's) passes at its k-th point."""
    made.desk.expect(Treatment(f"deadline {which} at point {k}", carried_out=True, said=created(made.system)))
    with captured_deadlines() as deadlines:

        def pass_deadline() -> None:
            if which < len(deadlines):
                deadlines[which].cancel()

        points = Points({k: pass_deadline})
        said = (await points.over(lambda: verdict(made.client, made.ticket))).result()
    assert await soon(lambda: made.desk.idle)
    wrong = made.desk.done not in TRUE.get(said, ())
    return points.passed, f"deadline {which} at {k}: {said}, {made.desk.done} times" if wrong else None


@either
@pytest.mark.parametrize("which", [0, 1], ids=["of the call", "of the exchange"])
@pytest.mark.figure("T-START")
async def test_whenever_a_deadline_passes_the_verdict_is_true(
    system: System, which: int, fake_time: FakeTime, see: See
) -> None:
    async with bench(system, fake_time) as made:
        k, points, lies = 0, 1, []
        while k <= points:
            k += 1
            points, lie = await out_of_time(made, k, which)
            lies += [lie] if lie is not None else []
    assert lies == []
    assert k > 5
    see(f"{system}: {k} deadlines")


@define
class Spied:
    """What carries the requests of a client, and the methods it was asked for."""

    inner: Any
    asked: set[str] = field(factory=set)

    async def __call__(self, request: Any) -> Any:
        self.asked.add(f"{request.method} {request.url}")
        return await self.inner(request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def looked_for(here: Ground, ticket: Ticket) -> tuple[str, int]:
    """What another client finds of a start; it asks for nothing but records and a login."""
    async with here.client() as other:
        other._transport.backend = spied = Spied(other._transport.backend)
        found = await other.workflows.reconcile(ticket, wait=4.0)
    asked = {one for one in spied.asked if not one.startswith("GET ")}
    assert asked <= {f"POST {here.system.url}/api/accesstoken/login"}
    return type(found).__name__, len(getattr(found, "candidates", ()))


def prepared(here: Ground, client: Any) -> Ticket:
    """A start that nothing else can be taken for."""
    if isinstance(client, OpencastClient):
        return client.workflows.prepare_start(here.opencast.event(), "fast", baseline=0)
    return client.workflows.prepare_start(42)  # type: ignore[no-any-return]  # it is one


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.figure("T-START")
async def test_wherever_it_is_cancelled_it_is_carried_out_once_at_most_and_another_client_can_tell(
    kind: str, way: Way, see: See
) -> None:
    found: Counter[str] = Counter()
    async with ground(kind) as here:
        k, fired = 0, True
        while fired:
            k, before = k + 1, here.carried_out
            async with here.client() as client:
                start = prepared(here, client)
                ended = await cancelled(partial(client.workflows.start, start), k, way)
            assert await here.settled()
            fired, times = ended.fired, here.carried_out - before
            assert (ended.faults, times in {0, 1}) == ([], True)
            assert await looked_for(here, start) == ("StartFound" if times else "NoStartFound", 0)
            assert here.carried_out - before == times
            found[str(times)] += 1
    assert min(found["0"], found["1"]) > 0
    see(f"{kind}: {k - 1} points, {way}")
