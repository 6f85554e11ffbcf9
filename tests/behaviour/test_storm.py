"""Row 75: a server that fails for ten minutes, with 5,000 watchers."""

import asyncio
from random import Random
from typing import Any

import anyio
import pytest
from attrs import define, evolve, field

from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.stub_clients import client_of, running_clock, workflow
from workflow_async import Clock, Poll
from workflow_async._core.auth import Headers
from workflow_async._core.call import Reply
from workflow_async.opencast import Workflow
from workflow_async.opencast.monitor_source import OpencastSource

CROWD = 5000
INTERVAL = 120.0
OUTAGE = (240.0, 840.0)
STEADY = Poll(interval=INTERVAL, backoff=1, ceiling=INTERVAL, outage=900)
PATIENT = Poll(interval=INTERVAL, backoff=1, ceiling=INTERVAL, outage=7200)
QUARTER = INTERVAL / 4


@define
class NoCredential:
    """A credential that costs no login."""

    renews_on_redirect: bool = False

    def refusable(self, sent: Headers) -> None:
        return None

    async def headers(self, method: str, url: str) -> Headers:
        return ()

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        return False


@define
class Outage:
    """A transport that answers every GET except in the outage, and records the instants of the requests."""

    clock: Clock
    no_list: int
    """The status of the list."""
    sent: list[float] = field(factory=list)
    first: dict[int, float] = field(factory=dict)
    """The instant of the first record of each workflow after the outage."""

    async def __call__(self, request: Any) -> Reply:
        last, now = request.url.partition("?")[0].rpartition("/")[2], self.clock.now()
        if last == "version":
            return Reply(200, {}, b'{"default": "v1.10.0", "versions": ["v1.10.0"]}')
        if not last.isdigit():
            return Reply(self.no_list, {}, b"")
        self.sent.append(now)
        if OUTAGE[0] <= now < OUTAGE[1]:
            return Reply(503, {}, b"")
        if now >= OUTAGE[1]:
            self.first.setdefault(int(last), now - OUTAGE[1])
        return Reply(200, {}, workflow("opencast", int(last)))

    async def reset(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


def between(instants: list[float], first: float, last: float) -> int:
    return sum(first <= at < last for at in instants)


async def run_outage(crowd: int, no_list: int = 404, poll: Poll = STEADY) -> Outage:
    """Watch many workflows through the outage and four more intervals."""
    storm = Outage(evolve(running_clock(), jitter=Random(1).random), no_list)
    async with client_of("opencast", "http://127.0.0.1", clock=storm.clock) as client:
        client._transport.backend, client._transport.credential = storm, NoCredential()
        waits = asyncio.create_task(client.workflows.wait_all(range(crowd), poll=poll))
        await anyio.sleep(OUTAGE[1] + 4 * INTERVAL)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
    return storm


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the instants of all checks. Retries of one count once."""
    made, get = list[float](), OpencastSource.get

    async def noted(source: OpencastSource, id: int, *, operations: bool) -> Workflow:
        made.append(asyncio.get_running_loop().time())
        return await get(source, id, operations=operations)

    monkeypatch.setattr(OpencastSource, "get", noted)
    return made


@pytest.mark.row(75)
@pytest.mark.figure("T-LOAD")
@pytest.mark.parametrize("poll", [STEADY, PATIENT], ids=["outage 900", "outage 7200"])
def test_an_outage_costs_no_more_than_the_schedule_and_ends_in_two_intervals_without_a_burst(
    poll: Poll, polls: list[float], see: See
) -> None:
    storm = virtual.run(run_outage(CROWD, poll=poll))
    scheduled, sent = between(polls, *OUTAGE), between(storm.sent, *OUTAGE)
    assert CROWD / 4 <= scheduled <= CROWD * (OUTAGE[1] - OUTAGE[0]) / INTERVAL + CROWD
    assert sent <= 1.1 * scheduled
    assert len(storm.first) == CROWD
    recovered = max(storm.first.values())
    assert recovered <= 2 * INTERVAL
    rate = rates(storm, OUTAGE[1] + min(storm.first.values()))
    assert max(rate) < 2 * min(rate)
    see(
        f"{CROWD} polls failing for 10 min: {sent / scheduled:.3f} requests a poll; all seen again after "
        f"{recovered / INTERVAL:.1f} intervals, at {min(rate)} to {max(rate)} requests a quarter of an interval"
    )


def rates(storm: Outage, first: float) -> list[int]:
    """Return the number of requests in each quarter of the two intervals from this instant."""
    return [between(storm.sent, first + n * QUARTER, first + (n + 1) * QUARTER) for n in range(8)]


@pytest.mark.row(75)
def test_a_list_that_is_refused_in_an_outage_hides_no_workflow(see: See) -> None:
    storm = virtual.run(run_outage(200, no_list=403))
    assert len(storm.first) == 200
    assert max(storm.first.values()) <= STEADY.outage / 4 * (1 + STEADY.jitter) + INTERVAL
    see("a list refused meanwhile: all seen again as soon")
