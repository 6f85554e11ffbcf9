"""A worker of Temporal: a workflow that sends the start of a ticket once, and waits for the end of what it started."""

import asyncio
import os
from datetime import timedelta

from temporalio import activity, common, worker, workflow
from temporalio.client import Client

from workflow_async import OpencastClient, batch

SOON, MONTH, SOME = timedelta(seconds=30), timedelta(days=30), common.RetryPolicy(maximum_attempts=10)
oc = OpencastClient.from_env()


@activity.defn
async def send(text: str) -> int:
    if activity.info().attempt == 1:
        return (await oc.workflows.start(batch.Ticket.from_json(text))).id
    found = await oc.workflows.reconcile(batch.Ticket.from_json(text), wait=15)
    if isinstance(found, batch.StartFound):
        return found.workflow.id
    raise LookupError(f"the start may have been sent, so look for its workflow: {found}")


@activity.defn
async def wait(id: int) -> str:
    async with oc.workflows.watch([id]) as changes:
        async for _ in changes.heartbeat(5):
            activity.heartbeat()
    return (await oc.workflows.get(id)).phase.value


@workflow.defn(sandboxed=False)  # the sandbox would import this module, and so make a client, for each workflow
class Run:
    @workflow.run
    async def run(self, text: str) -> str:
        id = await workflow.execute_activity(send, text, start_to_close_timeout=SOON, retry_policy=SOME)
        return await workflow.execute_activity(wait, id, start_to_close_timeout=MONTH, heartbeat_timeout=SOON)


async def main() -> None:
    temporal = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    async with oc, worker.Worker(temporal, task_queue="opencast", workflows=[Run], activities=[send, wait]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
