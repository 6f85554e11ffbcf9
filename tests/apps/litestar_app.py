"""Litestar in front of an Opencast: publish an event, and follow its workflow as server-sent events.

Run it with `uvicorn litestar_app:app`.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response, get, post
from litestar.response import Stream

from workflow_async import OpencastClient, Poll
from workflow_async.errors import WorkflowAsyncError
from workflow_async.problems import problem_of

POLL = Poll(interval=float(os.environ.get("POLL_INTERVAL", "2")), ceiling=float(os.environ.get("POLL_CEILING", "30")))
HEARTBEAT = float(os.environ.get("HEARTBEAT", "10"))
"""Seconds without an event after which a stream sends a comment. A reader that has left is noticed then."""


# docs: from here
@asynccontextmanager
async def opencast(app: Litestar) -> AsyncIterator[None]:
    async with OpencastClient.from_env() as app.state.oc:
        yield


def on_error(_: Request[Any, Any, Any], error: WorkflowAsyncError) -> Response[dict[str, Any]]:
    problem = problem_of(error)
    return Response(problem.to_dict(), status_code=problem.status, media_type="application/problem+json")


@post("/publish/{event_id:str}", status_code=202)
async def publish(event_id: str, request: Request[Any, Any, Any]) -> dict[str, Any]:
    started = await request.app.state.oc.workflows.start(event_id, "publish")
    found: dict[str, Any] = started.to_dict()
    return found


@get("/workflows/{workflow_id:int}")
async def workflow(workflow_id: int, request: Request[Any, Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await request.app.state.oc.workflows.get(workflow_id)).to_dict()
    return found


@get("/workflows/{workflow_id:int}/changes")
async def changes(workflow_id: int, request: Request[Any, Any, Any]) -> Stream:
    return Stream(server_sent(request.app.state.oc, workflow_id), media_type="text/event-stream")


async def server_sent(oc: OpencastClient, workflow_id: int) -> AsyncIterator[str]:
    async with oc.workflows.watch([workflow_id], operations=True, poll=POLL) as changes:
        async for event in changes.heartbeat(HEARTBEAT):
            kind = type(event).__name__
            yield ": no change\n\n" if event is None else f"event: {kind}\ndata: {json.dumps(event.to_dict())}\n\n"


app = Litestar([publish, workflow, changes], lifespan=[opencast], exception_handlers={WorkflowAsyncError: on_error})
# docs: to here
