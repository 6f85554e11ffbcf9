"""FastAPI in front of an Opencast: publish an event, and follow its workflow as server-sent events.

Run it with `uvicorn --workers 2 fastapi_app:app`.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Annotated
from weakref import WeakSet

import anyio
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from workflow_async import OpencastClient, Poll
from workflow_async.errors import WorkflowAsyncError
from workflow_async.monitor import Watch, WatchEvent
from workflow_async.observe import Stats
from workflow_async.opencast import Workflow
from workflow_async.problems import on_error

POLL = Poll(interval=float(os.environ.get("POLL_INTERVAL", "2")), ceiling=float(os.environ.get("POLL_CEILING", "30")))
HEARTBEAT = float(os.environ.get("HEARTBEAT", "10"))
"""Seconds without an event after which a stream sends a comment. A reader that has left is noticed then."""


# docs: from here
@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.watches = WeakSet()
    async with OpencastClient.from_env() as app.state.oc, anyio.create_task_group() as group:
        ending = anyio.Event()
        group.start_soon(end_watches, app, ending)
        with on_stop_signal(ending):
            yield
        ending.set()


async def end_watches(app: FastAPI, ending: anyio.Event) -> None:
    """End every stream once the process is asked to stop. The server waits for open streams, and does not tell them."""
    await ending.wait()
    for watch in [*app.state.watches]:
        await watch.aclose()


@contextmanager
def on_stop_signal(ending: anyio.Event) -> Iterator[None]:
    """Set the event on SIGTERM and SIGINT. The server then handles the signal as before."""
    loop = asyncio.get_running_loop()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(ending.set)
        handler = handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in handlers:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def opencast(request: Request) -> OpencastClient:
    oc: OpencastClient = request.app.state.oc
    return oc


Opencast = Annotated[OpencastClient, Depends(opencast)]
app = FastAPI(lifespan=lifespan)
app.add_exception_handler(WorkflowAsyncError, on_error)


@app.post("/publish/{event_id}", status_code=202)
async def publish(event_id: str, oc: Opencast) -> Workflow:
    return await oc.workflows.start(event_id, "publish")


@app.get("/health")
async def health(response: Response, oc: Opencast) -> Stats:
    stats = oc.stats()
    response.status_code = 200 if stats.outage_since is None else 503
    return stats


@app.get("/workflows/{workflow_id}")
async def workflow(workflow_id: int, oc: Opencast) -> Workflow:
    return await oc.workflows.get(workflow_id)


@app.get("/workflows/{workflow_id}/changes")
async def changes(workflow_id: int, oc: Opencast) -> StreamingResponse:
    watch = oc.workflows.watch([workflow_id], operations=True, poll=POLL)
    return StreamingResponse(server_sent(watch), media_type="text/event-stream")


async def server_sent(watch: Watch[Workflow]) -> AsyncIterator[str]:
    app.state.watches.add(watch)
    async with watch as changes:
        async for event in changes.heartbeat(HEARTBEAT):
            yield ": no change\n\n" if event is None else to_sse(event)


def to_sse(event: WatchEvent[Workflow]) -> str:
    return f"event: {type(event).__name__}\nid: {event.key}\ndata: {json.dumps(event.to_dict())}\n\n"


# docs: to here
