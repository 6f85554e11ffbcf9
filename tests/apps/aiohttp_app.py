"""aiohttp in front of an Opencast: publish an event, and follow its workflow as server-sent events."""

import asyncio
import json
import os
from collections.abc import AsyncIterator

import anyio
from aiohttp import web
from aiohttp.typedefs import Handler

from workflow_async import OpencastClient, Poll
from workflow_async.errors import Conflict, InvalidArgument, NotFound, RateLimited, WorkflowAsyncError
from workflow_async.monitor import Change, WatchEvent
from workflow_async.opencast import Workflow

POLL = Poll(interval=float(os.environ.get("POLL_INTERVAL", "2")), ceiling=float(os.environ.get("POLL_CEILING", "30")))
HEARTBEAT = float(os.environ.get("HEARTBEAT", "10"))
"""Seconds without an event after which a stream sends a comment. A reader that has left is noticed then."""
STATUSES = {InvalidArgument: 422, NotFound: 404, Conflict: 409, RateLimited: 503}
"""The status for each error of the library. 502 for all others."""
OPENCAST = web.AppKey("OPENCAST", OpencastClient)
CLOSING = web.AppKey("CLOSING", asyncio.Event)
routes = web.RouteTableDef()


# docs: from here
async def opencast(app: web.Application) -> AsyncIterator[None]:
    auth = (os.environ["OPENCAST_USERNAME"], os.environ["OPENCAST_PASSWORD"])
    async with OpencastClient(os.environ["OPENCAST_URL"], auth=auth) as app[OPENCAST]:
        yield


@routes.get("/workflows/{workflow_id}/changes")
async def changes(request: web.Request) -> web.StreamResponse:
    watch = request.app[OPENCAST].workflows.watch([request.match_info["workflow_id"]], operations=True, poll=POLL)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    async with watch as changes:
        while changes.ids and not request.app[CLOSING].is_set():
            text = ": no change\n\n"
            with anyio.move_on_after(HEARTBEAT):
                text = to_sse(await anext(changes))
            await response.write(text.encode())
    return response


# docs: to here


@routes.post("/publish/{event_id}")
async def publish(request: web.Request) -> web.Response:
    started = await request.app[OPENCAST].workflows.start(request.match_info["event_id"], "publish")
    return web.json_response({"id": started.id}, status=202)


@routes.get("/workflows/{workflow_id}")
async def workflow(request: web.Request) -> web.Response:
    found = await request.app[OPENCAST].workflows.get(request.match_info["workflow_id"])
    return web.json_response(found.to_dict())


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except WorkflowAsyncError as error:
        status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 502)
        body = {"error": type(error).__name__, "detail": str(error), "look_for": getattr(error, "look_for", None)}
        return web.json_response(body, status=status)


def to_sse(event: WatchEvent[Workflow]) -> str:
    data: dict[str, object] = {"id": event.id}
    if isinstance(event, Change):
        data["phase"] = event.now.value
        data["operations"] = [(operation.operation, operation.now) for operation in event.operations]
    return f"event: {type(event).__name__.lower()}\nid: {event.key}\ndata: {json.dumps(data)}\n\n"


async def close(app: web.Application) -> None:
    app[CLOSING].set()


def application() -> web.Application:
    app = web.Application(middlewares=[errors])
    app[CLOSING] = asyncio.Event()
    app.add_routes(routes)
    app.cleanup_ctx.append(opencast)
    app.on_shutdown.append(close)
    return app


if __name__ == "__main__":
    web.run_app(
        application(), host="127.0.0.1", port=int(os.environ.get("PORT", "8000")), shutdown_timeout=HEARTBEAT + 5
    )
