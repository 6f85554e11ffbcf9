"""Hand a ticket to the worker, and print how the workflow ended: `python temporal_start.py EVENT DEFINITION`."""

import asyncio
import os
import sys

from temporalio.client import Client

from workflow_async import OpencastClient


async def main(event: str, definition: str) -> None:
    async with OpencastClient.from_env() as oc:
        newest = max((workflow.id for workflow in await oc.workflows.for_event(event)), default=0)
        ticket = oc.workflows.prepare_start(event, definition, baseline=newest)
    temporal = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    print(await temporal.execute_workflow("Run", ticket.to_json(), id=ticket.correlation_id, task_queue="opencast"))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
