"""A function for AWS Lambda starts a workflow, or carries a watch one round further. A state machine repeats it."""

import asyncio
from typing import Any, TypedDict

from workflow_async import PreservicaClient
from workflow_async.monitor import WatchSpec, poll_once


class Request(TypedDict, total=False):
    """The input: a context to start, or the watch of the last answer."""

    context: str
    watch: str


class Answer(TypedDict):
    """The output. The state machine waits and calls again with `watch` until `finished`."""

    watch: str
    finished: bool
    events: list[dict[str, Any]]


def handler(request: Request, _context: object = None) -> Answer:
    return asyncio.run(carry_on(request))


async def carry_on(request: Request) -> Answer:
    async with PreservicaClient.from_env() as pv:
        watch = request.get("watch")
        if watch is None:
            started = await pv.workflows.start(request.get("context", ""))
            assert started.id is not None, f"find it by its correlation id {started.correlation_id}"
            spec = WatchSpec.of(pv, [started.id])
        else:
            spec = WatchSpec.from_json(watch)
        polled = await poll_once(pv, spec)
    return {
        "watch": polled.spec.to_json(),
        "finished": polled.spec.finished,
        "events": [{"key": event.key, **event.to_dict()} for event in polled.events],
    }
