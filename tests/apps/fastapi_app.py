"""FastAPI in front of an Opencast: publish an event, and follow its workflow as server-sent events."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Annotated

import anyio
import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from workflow_async import OpencastClient, Poll
from workflow_async.errors import Conflict, InvalidArgument, NotFound, RateLimited, WorkflowAsyncError
from workflow_async.monitor import Change, Watch, WatchEvent
from workflow_async.opencast import Workflow

POLL = Poll(interval=float(os.environ.get("POLL_INTERVAL", "2")), ceiling=float(os.environ.get("POLL_CEILING", "30")))
HEARTBEAT = float(os.environ.get("HEARTBEAT", "10"))
"""Seconds without an event after which a stream sends a comment. A reader that has left is noticed then."""
STATUSES = {InvalidArgument: 422, NotFound: 404, Conflict: 409, RateLimited: 503}
"""The status for each error of the library. 502 for all others."""


# docs: from here
@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    auth = (os.environ["OPENCAST_USERNAME"], os.environ["OPENCAST_PASSWORD"])
    async with OpencastClient(os.environ["OPENCAST_URL"], auth=auth) as app.state.oc:
        app.state.closing = False
        yield


def opencast(request: Request) -> OpencastClient:
    oc: OpencastClient = request.app.state.oc
    return oc


Opencast = Annotated[OpencastClient, Depends(opencast)]
app = FastAPI(lifespan=lifespan)


@app.post("/publish/{event_id}", status_code=202)
async def publish(event_id: str, oc: Opencast) -> dict[str, int]:
    return {"id": (await oc.workflows.start(event_id, "publish")).id}


@app.get("/workflows/{workflow_id}/changes")
async def changes(workflow_id: int, oc: Opencast) -> StreamingResponse:
    watch = oc.workflows.watch([workflow_id], operations=True, poll=POLL)
    return StreamingResponse(server_sent(watch), media_type="text/event-stream")


async def server_sent(watch: Watch[Workflow]) -> AsyncIterator[str]:
    async with watch as changes:
        while changes.ids and not app.state.closing:
            text = ": no change\n\n"
            with anyio.move_on_after(HEARTBEAT):
                text = to_sse(await anext(changes))
            yield text


# docs: to here


@app.get("/workflows/{workflow_id}")
async def workflow(workflow_id: int, oc: Opencast) -> Workflow:
    return await oc.workflows.get(workflow_id)


@app.exception_handler(WorkflowAsyncError)
async def on_error(_: Request, error: WorkflowAsyncError) -> JSONResponse:
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 502)
    body = {"error": type(error).__name__, "detail": str(error), "look_for": getattr(error, "look_for", None)}
    return JSONResponse(body, status)


def to_sse(event: WatchEvent[Workflow]) -> str:
    data: dict[str, object] = {"id": event.id}
    if isinstance(event, Change):
        data["phase"] = event.now.value
        data["operations"] = [(operation.operation, operation.now) for operation in event.operations]
    return f"event: {type(event).__name__.lower()}\nid: {event.key}\ndata: {json.dumps(data)}\n\n"


class Server(uvicorn.Server):
    """A server that ends open streams on a signal. uvicorn would wait for them."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app.state.closing = True
        super().handle_exit(sig, frame)


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    Server(uvicorn.Config(app, port=port, timeout_graceful_shutdown=int(HEARTBEAT) + 5)).run()
