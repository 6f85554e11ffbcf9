"""Workers of taskiq carry the shards of a watch on, and no end is lost although one of them is killed."""

import json
from collections.abc import Callable
from typing import Any

import anyio
import nats
import pytest

from tests.apps.recipes.conftest import HERE, Engine
from tests.conftest import See
from tests.support.engine_environment import kill
from tests.support.nats_server import NatsServer
from workflow_async.sandbox import Sandbox

pytestmark = [pytest.mark.recipe, pytest.mark.timeout(600)]

WORKFLOWS = 400
WORKERS = 3


@pytest.fixture
def taskiq(engine: Callable[..., Engine], nats_server: NatsServer) -> Engine:
    made = engine("taskiq==0.13.0", "taskiq-nats==0.7.0")
    made.variables |= {"NATS_URL": nats_server.url, "EVERY": "2"}
    return made


async def test_no_end_is_lost_when_a_worker_is_killed(
    taskiq: Engine, quick_sandbox: Sandbox, nats_server: NatsServer, see: See
) -> None:
    fake = quick_sandbox.opencast
    ids = [fake.start(fake.event(), "publish") for _ in range(WORKFLOWS)]
    taskiq.output(taskiq.start("python", str(HERE / "taskiq_app.py"), *map(str, ids)))
    workers = [taskiq.start("taskiq", "worker", "taskiq_app:broker", "--workers", "1") for _ in range(WORKERS)]
    taskiq.start("taskiq", "scheduler", "taskiq_app:scheduler")
    ends, keys = list[int](), list[str]()
    async with await nats.connect(nats_server.url) as client:
        events = await client.jetstream().subscribe("workflows.*", ordered_consumer=True)
        with anyio.fail_after(120):
            while len(set(ends)) < WORKFLOWS:
                message: Any = await events.next_msg(timeout=60)
                event = json.loads(message.data)
                keys.append(message.headers["Nats-Msg-Id"])
                if len(keys) == WORKFLOWS // 4:
                    kill(workers[0])
                if event["now"] == "succeeded":
                    ends.append(event["id"])
    assert sorted(ends) == sorted(ids)
    assert len(set(keys)) == len(keys)
    see(f"taskiq: {len(ends)} ends of {WORKFLOWS}, none twice, 1 of {WORKERS} workers killed")
