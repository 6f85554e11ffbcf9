"""The tasks of `state_machine.json`, as a function of AWS Lambda: prepare a start, send it, carry on its watch."""

import asyncio
import base64
import json
from typing import Any

from workflow_async import OpencastClient
from workflow_async.batch import StartFound, Ticket
from workflow_async.monitor import WatchSpec, poll_once


class StartUnknown(Exception):
    """An earlier attempt may have sent the start, and its workflow cannot be identified. A person decides."""


async def prepare(oc: OpencastClient, given: dict[str, Any], _: float) -> dict[str, Any]:
    newest = max((workflow.id for workflow in await oc.workflows.for_event(given["event"])), default=0)
    return {"ticket": oc.workflows.prepare_start(given["event"], given["definition"], baseline=newest).to_json()}


async def send(oc: OpencastClient, given: dict[str, Any], seconds: float) -> dict[str, Any]:
    ticket = Ticket.from_json(given["ticket"])
    if given["retries"] == 0:
        return {"spec": packed(WatchSpec.of(oc, [(await oc.workflows.start(ticket)).id]))}
    found = await oc.workflows.reconcile(ticket, wait=seconds / 2)
    if not isinstance(found, StartFound):
        raise StartUnknown(str(found))
    return {"spec": packed(WatchSpec.of(oc, [found.workflow.id]))}


async def poll(oc: OpencastClient, given: dict[str, Any], seconds: float) -> dict[str, Any]:
    polled = await poll_once(oc, WatchSpec.from_bytes(base64.b64decode(given["spec"])), limit=500, within=seconds)
    for event in polled.events:
        print(json.dumps({"key": event.key, **event.to_dict()}))  # to a receiver that drops known keys
    next_at = polled.next_at.isoformat(timespec="seconds") if polled.next_at else None
    return {"spec": packed(polled.spec), "finished": polled.spec.finished, "next_at": next_at}


def packed(spec: WatchSpec) -> str:
    return base64.b64encode(spec.to_bytes()).decode()


async def run(given: dict[str, Any], seconds: float) -> dict[str, Any]:
    async with OpencastClient.from_env() as oc:
        return await {"prepare": prepare, "send": send, "poll": poll}[given["task"]](oc, given, seconds)


def handler(given: dict[str, Any], context: Any) -> dict[str, Any]:
    return asyncio.run(run(given, context.get_remaining_time_in_millis() / 1000 - 10))
