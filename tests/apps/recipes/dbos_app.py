"""Start a workflow once and wait for its end, in a durable workflow of DBOS: `python dbos_app.py EVENT DEFINITION`."""

import asyncio
import sys
from contextlib import suppress
from uuid import uuid4

from dbos import DBOS, SetWorkflowID

from workflow_async import OpencastClient, batch, errors

PROCESS = uuid4().hex


@DBOS.step()
async def send(text: str, prepared_by: str) -> int:
    ticket = batch.Ticket.from_json(text)
    async with OpencastClient.from_env() as oc:
        if prepared_by == PROCESS:  # so no other process has sent it
            with suppress(errors.StartOutcomeUnknown):
                return (await oc.workflows.start(ticket)).id
        found = await oc.workflows.reconcile(ticket)
        if isinstance(found, batch.StartFound):
            return found.workflow.id
    raise LookupError(f"the start may have been sent, so look for its workflow: {found}")


@DBOS.step(retries_allowed=True)
async def wait(id: int) -> str:
    async with OpencastClient.from_env() as oc:
        return (await oc.workflows.wait(id)).phase.value


@DBOS.workflow()
async def run(ticket: str, prepared_by: str) -> str:
    return await wait(await send(ticket, prepared_by))


async def main(event: str, definition: str) -> None:
    DBOS(config={"name": "workflows"})  # the database is workflows.sqlite
    DBOS.launch()
    async with OpencastClient.from_env() as oc:
        newest = max((workflow.id for workflow in await oc.workflows.for_event(event)), default=0)
        ticket = oc.workflows.prepare_start(event, definition, baseline=newest)
    with SetWorkflowID(f"{definition} {event}"):
        print(await (await DBOS.start_workflow_async(run, ticket.to_json(), PROCESS)).get_result())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
