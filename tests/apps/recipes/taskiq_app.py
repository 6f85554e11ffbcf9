"""Rounds of a watch as tasks of taskiq. `python taskiq_app.py ID...` prepares it. Workers and a scheduler run it."""

import asyncio
import json
import os
import sys
from typing import Annotated

from nats.js.api import StreamConfig
from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqScheduler, TaskiqState
from taskiq.schedule_sources import LabelScheduleSource
from taskiq_nats import PullBasedJetStreamBroker

from workflow_async import OpencastClient
from workflow_async.monitor import WatchSpec, poll_once

SHARDS, EVERY = 8, int(os.environ.get("EVERY", "30"))
STALE = StreamConfig(max_age=EVERY)  # no worker need take a round that is older than the next one
broker = PullBasedJetStreamBroker(os.environ["NATS_URL"], stream_config=STALE, pull_consume_timeout=1)
scheduler = TaskiqScheduler(broker, [LabelScheduleSource(broker)])


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def connect(state: TaskiqState) -> None:
    state.oc = await OpencastClient.from_env().open()


@broker.task(schedule=[{"interval": EVERY, "args": [number]} for number in range(SHARDS)])
async def poll(number: int, context: Annotated[Context, TaskiqDepends()]) -> None:
    specs = await broker.js.key_value("watches")
    saved = await specs.get(f"shard-{number}")
    polled = await poll_once(context.state.oc, WatchSpec.from_bytes(saved.value), within=EVERY)
    for event in polled.events:
        data = json.dumps(event.to_dict()).encode()
        await broker.js.publish(f"workflows.{event.id}", data, headers={"Nats-Msg-Id": event.key})
    # This fails if another worker has carried the shard on, and nothing is lost then.
    await specs.update(f"shard-{number}", polled.spec.to_bytes(), last=saved.revision)


async def prepare(ids: list[str]) -> None:
    await broker.startup()
    await broker.js.add_stream(name="workflows", subjects=["workflows.*"])
    specs = await broker.js.create_key_value(bucket="watches")
    for number, shard in enumerate(WatchSpec.of(os.environ["OPENCAST_URL"], ids).split(SHARDS)):
        await specs.create(f"shard-{number}", shard.to_bytes())
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(prepare(sys.argv[1:]))
