"""Worker processes are killed and stopped, and their NATS server restarts: no end is lost, doubled or wrong."""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, field

from tests.conftest import See
from tests.support.arrivals import fewest, most, pressing, without
from tests.support.nats_server import NatsServer, running_nats_server
from tests.support.nats_workers import connect
from workflow_async import OpencastClient, Phase, Poll
from workflow_async.distributed import shards_of
from workflow_async.distributed.nats import NatsCoordinator
from workflow_async.monitor import WatchSpec
from workflow_async.sandbox import Sandbox, Step, StepResult

ROOT = Path(__file__).parents[2]
NAME = "soak"
WORKERS = 4
POLL = Poll(interval=3.0, backoff=1.0, ceiling=3.0)

WINDOW = 5.0
RECOVERY = 2.0
"""Seconds after the start of the broker until all processes have turns again."""
DEMAND = 16
"""Requests that wait in times of demand."""
GAP = 0.1
"""Seconds with fewer waiting requests that still count as demand."""

FINAL = {phase.value for phase in Phase if phase.final}


@define
class Scale:
    """How many workflows, and how long everything takes."""

    count: int
    lease: float
    first_end: float
    last_end: float
    rate: float
    """Requests a second of all processes together."""
    shards: int


@define
class Ends:
    """A receiver of events that drops repeats by key."""

    keys: set[str] = field(factory=set)
    messages: int = 0
    told: dict[int, list[str]] = field(factory=dict)
    """The ends of each workflow."""
    expected: int | None = None
    """Number of messages to wait for, once it is known."""

    async def receive(self, url: str) -> None:
        """Receive until all messages are there."""
        async with await connect(url, reconnect_time_wait=0.25) as client:
            js = client.jetstream()
            events = await js.pull_subscribe("", "receiver", stream=f"{NAME}-events")
            while self.expected is None or self.messages < self.expected:
                try:
                    messages = await events.fetch(500, timeout=1)
                except TimeoutError:
                    continue
                for message in messages:
                    self.take((message.headers or {})["Nats-Msg-Id"], json.loads(message.data))
                    await message.ack()

    def take(self, key: str, event: dict[str, Any]) -> None:
        """Take an event in, unless its key is known."""
        self.messages += 1
        if key not in self.keys and event.get("now") in FINAL:
            self.told.setdefault(event["workflow"]["id"], []).append(event["now"])
        self.keys.add(key)


@define(eq=False)
class Cluster:
    """Four processes, and an observer that sees who has which shard."""

    server: NatsServer
    observer: NatsCoordinator
    order: dict[str, Any]
    shards: int
    processes: list[asyncio.subprocess.Process] = field(factory=list)
    takeovers: dict[str, float] = field(factory=dict)
    """Seconds until the last shard of a killed or stopped worker had another owner, by what had happened."""
    outage: tuple[float, float] = (0.0, 0.0)
    """When the server was killed, and when the workers had turns again."""

    async def start(self) -> None:
        """Start the workers, and wait until each has its share."""
        for _ in range(WORKERS):
            command = (sys.executable, "-m", "tests.support.nats_worker", json.dumps(self.order))
            self.processes.append(
                await asyncio.create_subprocess_exec(
                    *command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.PIPE
                )
            )
        await self._until(lambda: all(len(self.held_by(n)) == self.shards // WORKERS for n in range(WORKERS)), 120.0)

    def held_by(self, number: int) -> set[str]:
        """Return the shards of a worker."""
        mark = f"-{self.processes[number].pid}-"
        return {entry.shard for entry in self.observer._view.entries if mark in entry.owner}

    async def kill_in_delivery(self, number: int) -> None:
        """Let a worker kill itself in the middle of a delivery."""
        self.processes[number].send_signal(signal.SIGUSR1)
        held = self.held_by(number)
        while self.processes[number].returncode is None:
            held = self.held_by(number)
            await anyio.sleep(0.005)
        assert self.processes[number].returncode == -signal.SIGKILL
        await self._taken_over("killed in a delivery", number, held)

    async def kill(self, number: int) -> None:
        """Kill a worker."""
        held = self.held_by(number)
        self.processes[number].kill()
        await self._taken_over("killed", number, held)

    async def stop(self, number: int, seconds: float) -> None:
        """Stop a worker for so long, and let it go on."""
        began, held = time.monotonic(), self.held_by(number)
        self.processes[number].send_signal(signal.SIGSTOP)
        await self._taken_over("stopped", number, held)
        await anyio.sleep(seconds - (time.monotonic() - began))
        self.processes[number].send_signal(signal.SIGCONT)

    async def restart_server(self, seconds: float) -> None:
        """Kill the server, and start it again after some seconds."""
        killed = time.monotonic()
        await anyio.to_thread.run_sync(self.server.kill)
        await anyio.sleep(seconds)
        await anyio.to_thread.run_sync(self.server.start)
        self.outage = killed, time.monotonic() + RECOVERY
        await self._until(lambda: self.observer.client.is_connected, 30.0)
        await self.observer.over()  # follows the bucket again

    async def results(self) -> list[dict[str, int]]:
        """Wait until the others end. Return what they have done."""
        found = []
        for process in self.processes:
            printed, _ = await process.communicate()
            if process.returncode == 0:
                found.append(json.loads(printed))
        return found

    async def _taken_over(self, what: str, number: int, held: set[str]) -> None:
        began = time.monotonic()
        assert held, "it had no shard"
        await self._until(lambda: not self.held_by(number), 4 * self.order["lease"])
        self.takeovers[what] = time.monotonic() - began

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        with anyio.fail_after(seconds):
            while not condition():
                await anyio.sleep(0.01)


def start_workflows(sandbox: Sandbox, scale: Scale) -> list[int]:
    """Start workflows that end at different times, a fifth of them as failures."""
    chance, opencast = random.Random(7), sandbox.opencast
    for n in range(100):
        result = StepResult.FAILED if n % 5 == 0 else StepResult.DONE
        opencast.define(f"kind-{n}", [Step("work", chance.uniform(scale.first_end, scale.last_end), result)])
    return [opencast.start(opencast.event(), f"kind-{chance.randrange(100)}") for _ in range(scale.count)]


async def disturb(cluster: Cluster, lease: float) -> None:
    """Do to the workers and the server what can happen to them, one after the other."""
    await cluster.kill_in_delivery(0)
    await cluster.restart_server(2.0)
    await anyio.sleep(lease / 2)
    await cluster.stop(1, 2.5 * lease)
    await cluster.kill(2)


def budget_kept(turns: Path, outage: tuple[float, float], rate: float) -> str:
    """Compare the turns of all processes with the budget. Return the figures.

    The least counts over windows with demand throughout, apart from the outage of the broker.
    """
    lines = [line.split() for path in turns.iterdir() for line in path.read_text().splitlines()]
    waits = [(float(asked), float(had)) for asked, had in lines]
    times, budget = sorted(had for _, had in waits), rate * WINDOW
    spans = [part for began, ended in pressing(waits, DEMAND, GAP) for part in without(began, ended, [outage])]
    spans = [(began, ended) for began, ended in spans if ended - began >= WINDOW]
    highest = most(times, WINDOW)
    figures = f"budget of {budget:g} requests in {WINDOW:g} s: {len(times)} requests, at most {highest / budget:.1%}"
    if spans:
        lowest = min(fewest(times, WINDOW, began, ended) for began, ended in spans)
        seconds = sum(ended - began for began, ended in spans)
        figures += f", at least {lowest / budget:.1%} in the {seconds:.0f} s with demand"
    assert highest <= 1.05 * budget, figures
    return figures


async def run(server: NatsServer, sandbox: Sandbox, scale: Scale, turns: Path) -> str:
    """Run the workers until every workflow has an end. Prove that the receiver has each once. Return the figures."""
    ids = start_workflows(sandbox, scale)
    system, ends, truth = sandbox.opencast, Ends(), {}
    order = {"url": system.url, "auth": system.auth, "nats": server.url, "name": NAME, "lease": scale.lease}
    order |= {"rate": scale.rate, "turns": str(turns)}
    async with (
        NatsCoordinator.connect(server.url, NAME, lease_seconds=scale.lease) as observer,
        OpencastClient(system.url, auth=system.auth) as client,
        anyio.create_task_group() as group,
    ):
        await observer.put(shards_of("all", WatchSpec.of(client, ids, poll=POLL), scale.shards))
        group.start_soon(ends.receive, server.url)
        cluster = Cluster(server, observer, order, scale.shards)
        began = time.monotonic()
        try:
            await cluster.start()
            await disturb(cluster, scale.lease)
            done = await cluster.results()
        finally:
            for process in cluster.processes:
                if process.returncode is None:
                    process.kill()
        seconds = time.monotonic() - began
        ends.expected = (await observer.client.jetstream().stream_info(f"{NAME}-events")).state.messages
        assert await observer.over()
    async with OpencastClient(system.url, auth=system.auth) as client:
        async for workflow in client.workflows.list():
            truth[workflow.id] = workflow.phase.value
    proved = prove(scale, ends, {id: truth[id] for id in ids}, cluster.takeovers, done, seconds)
    return f"{proved}; {budget_kept(turns, cluster.outage, scale.rate)}"


def prove(
    scale: Scale,
    ends: Ends,
    truth: dict[int, str],
    takeovers: dict[str, float],
    done: list[dict[str, int]],
    seconds: float,
) -> str:
    """Compare what the receiver has with the server's own words. Return the figures."""
    lost = truth.keys() - ends.told.keys()
    twice = [id for id, told in ends.told.items() if len(told) > 1]
    wrong = [id for id, told in ends.told.items() if told != [truth[id]]]
    calls = sum((Counter(each) for each in done), Counter[str]())
    of_rounds = 2 * calls["deliveries"] / calls["rounds"]
    operations = (calls["saved"] + calls["deliveries"] + calls["renewed"]) / calls["rounds"]
    leases = {what: round(taken / scale.lease, 2) for what, taken in takeovers.items()}
    figures = (
        f"{len(truth)} workflows, {scale.shards} shards, {WORKERS} processes, {seconds:.0f} s: {len(lost)} ends lost, "
        f"{len(twice)} twice, {len(wrong)} wrong, {ends.messages - len(ends.keys)} repeats dropped by the receiver, "
        f"{calls['fenced']} writes fenced off, takeover in leases of {scale.lease:g} s: {leases}, "
        f"{of_rounds:.2f} operations for events and watch in each of {calls['rounds']} rounds of a shard, "
        f"{operations:.2f} with the renewals of slow rounds, {calls['messages']} messages besides the events"
    )
    assert (lost, twice, wrong) == (set(), [], []), figures
    assert max(leases.values()) <= 1.5, figures
    assert of_rounds <= 2.0, figures
    assert len(done) == 2, figures
    return figures


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """Run a server that the test may kill."""
    with running_nats_server(tmp_path) as server:
        yield server


async def distributed(server: NatsServer, scale: Scale, folder: Path, see: See) -> None:
    (turns := folder / "turns").mkdir()
    with Sandbox(opencast_version="11") as sandbox:
        see(await run(server, sandbox, scale, turns))


@pytest.mark.soak
@pytest.mark.figure("T-DISTRIBUTED-NATS")
@pytest.mark.timeout(2400)
async def test_twenty_thousand_workflows_keep_every_end_once(own_server: NatsServer, tmp_path: Path, see: See) -> None:
    scale = Scale(20_000, lease=12.0, first_end=20.0, last_end=170.0, rate=150.0, shards=24)
    await distributed(own_server, scale, tmp_path, see)


@pytest.mark.soak
@pytest.mark.figure("T-DISTRIBUTED-NATS")
@pytest.mark.timeout(300)
async def test_two_thousand_workflows_keep_every_end_once(own_server: NatsServer, tmp_path: Path, see: See) -> None:
    await distributed(
        own_server, Scale(2_000, lease=6.0, first_end=10.0, last_end=80.0, rate=60.0, shards=8), tmp_path, see
    )
