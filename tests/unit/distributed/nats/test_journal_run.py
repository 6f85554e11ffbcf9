"""Batches with a journal in a stream, in real time: the broker restarts, and how long large batches take."""

import uuid
from pathlib import Path
from typing import Any

import anyio
import nats
import pytest

from tests.conftest import See
from tests.support.journal_files import SERVER, ended, intent, started, ticket
from tests.support.killed_batch import SPEED, clock
from tests.support.nats_server import NatsServer, running_nats_server
from workflow_async import OpencastClient, Poll
from workflow_async.batch import Completed
from workflow_async.distributed.nats import NatsJournal, journal_subject
from workflow_async.distributed.nats.journal_clock import CLOCK
from workflow_async.opencast import Start
from workflow_async.sandbox import Sandbox, Step

STARTS = 40
SECONDS = 60.0
"""What a batch of 10,000 starts may spend on its journal. It takes about 5 s."""


async def test_a_broker_that_is_killed_and_restarted_in_a_batch_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_subject, "REQUEST_TIMEOUT", 0.2)
    with running_nats_server(tmp_path) as server, Sandbox("16", speed=SPEED) as sandbox:
        fake = sandbox.opencast
        fake.define("quick", [Step("one", 2.0)])
        starts = [Start(fake.event(), "quick", key=str(n)) for n in range(STARTS)]
        broker = await nats.connect(server.url, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
        results: list[Any] = []
        async with OpencastClient(fake.url, auth=fake.auth, clock=clock()) as oc:
            poll = Poll(interval=0.5, ceiling=1.0)
            batch = oc.workflows.run_all(starts, journal=NatsJournal(broker, "batch"), poll=poll, max_running=8)
            async with batch as outcomes:
                async for outcome in outcomes:
                    results.append(outcome)
                    if len(results) == STARTS // 4:
                        await anyio.to_thread.run_sync(server.kill)
                        await anyio.sleep(0.2)
                        await anyio.to_thread.run_sync(server.start)
        contents = await NatsJournal(broker, "batch").read()
        await broker.close()
        assert [type(each) for each in results] == [Completed] * STARTS
        assert len([*fake.engine.all()]) == STARTS
        assert {key: item.id for key, item in contents.items.items()} == {each.key: each.id for each in results}


@pytest.mark.soak
@pytest.mark.figure("journal")
async def test_the_journal_of_a_large_batch_takes_seconds(nats_server: NatsServer, see: See) -> None:
    broker, count = await nats.connect(nats_server.url), 10_000
    journal = NatsJournal(broker, uuid.uuid4().hex)
    await journal.open("opencast", SERVER)
    began = CLOCK.now()
    await journal.plan([ticket(str(n)) for n in range(count)], count)
    planned = CLOCK.now()
    limit = anyio.Semaphore(4)

    async def run(n: int) -> None:
        async with limit:
            for entry in (intent(str(n)), started(str(n), n), ended(str(n), n)):
                await journal.write(entry)

    async with anyio.create_task_group() as group:
        for n in range(count):
            group.start_soon(run, n)
    written = CLOCK.now()
    assert len(await NatsJournal(broker, journal.name).open("opencast", SERVER)) == count
    opened = CLOCK.now()
    await broker.close()
    assert opened - began < SECONDS
    see(
        f"10,000 starts: plan {planned - began:.1f} s, entries {written - planned:.1f} s, open {opened - written:.1f} s"
    )
