"""A process that sends requests as fast as a budget shared by NATS lets it, until it is killed.

Run as `python -m tests.support.paced_worker SERVER NATS RATE TASKS PAUSE`: each of TASKS tasks sends a request, and
another one PAUSE seconds after the response.
"""

import asyncio
import sys

import nats

from workflow_async import Limits, OpencastClient, Timeouts
from workflow_async.distributed.nats import NatsPace
from workflow_async.errors import CallError

BUDGET = "paced-worker"


async def ignore(error: Exception) -> None:
    """Do nothing for an error of the connection, which is made again."""


async def main(server: str, broker: str, rate: float, tasks: int, pause: float) -> None:
    """Send requests without end."""
    connection = await nats.connect(broker, reconnect_time_wait=0.1, max_reconnect_attempts=-1, error_cb=ignore)
    acquire = NatsPace(connection, BUDGET, rate=rate).acquire
    limits, timeouts = Limits(connections=tasks), Timeouts(call=10, exchange=5)
    account = ("user", "secret")

    async def send_without_end(client: OpencastClient) -> None:
        while True:
            try:
                await client.version()
            except CallError as error:
                sys.stderr.write(f"{error}\n")
            await asyncio.sleep(pause)

    client = OpencastClient(server, auth=account, pace=acquire, limits=limits, timeouts=timeouts)
    async with client, asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(send_without_end(client))


if __name__ == "__main__":
    _, server, broker, rate, tasks, pause = sys.argv
    asyncio.run(main(server, broker, float(rate), int(tasks), float(pause)))
