"""aiohttp in front of an Opencast: publish an event, and follow its workflow as server-sent events.

Run it with `python aiohttp_app.py`.
"""

import json
import os
from collections.abc import AsyncIterator
from weakref import WeakSet

from aiohttp import web
from aiohttp.typedefs import Handler

from workflow_async import OpencastClient, Poll
from workflow_async.errors import WorkflowAsyncError
from workflow_async.monitor import Watch, WatchEvent
from workflow_async.opencast import Workflow
from workflow_async.problems import problem_of

POLL = Poll(interval=float(os.environ.get("POLL_INTERVAL", "2")), ceiling=float(os.environ.get("POLL_CEILING", "30")))
HEARTBEAT = float(os.environ.get("HEARTBEAT", "10"))
"""Seconds without an event after which a stream sends a comment. A reader that has left is noticed then."""


# docs: from here
OPENCAST = web.AppKey("OPENCAST", OpencastClient)
WATCHES = web.AppKey("WATCHES", WeakSet[Watch[Workflow]])
routes = web.RouteTableDef()


async def opencast(app: web.Application) -> AsyncIterator[None]:
    async with OpencastClient.from_env() as app[OPENCAST]:
        yield


async def end_watches(app: web.Application) -> None:
    """End every stream. aiohttp calls this before it waits for open streams."""
    for watch in [*app[WATCHES]]:
        await watch.aclose()


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except WorkflowAsyncError as error:
        problem = problem_of(error)
        return web.json_response(problem.to_dict(), status=problem.status, content_type="application/problem+json")


@routes.post("/publish/{event_id}")
async def publish(request: web.Request) -> web.Response:
    started = await request.app[OPENCAST].workflows.start(request.match_info["event_id"], "publish")
    return web.json_response(started.to_dict(), status=202)


@routes.get("/health")
async def health(request: web.Request) -> web.Response:
    stats = request.app[OPENCAST].stats()
    return web.json_response(stats.to_dict(), status=200 if stats.outage_since is None else 503)


@routes.get("/workflows/{workflow_id}")
async def workflow(request: web.Request) -> web.Response:
    found = await request.app[OPENCAST].workflows.get(request.match_info["workflow_id"])
    return web.json_response(found.to_dict())


@routes.get("/workflows/{workflow_id}/changes")
async def changes(request: web.Request) -> web.StreamResponse:
    watch = request.app[OPENCAST].workflows.watch([request.match_info["workflow_id"]], operations=True, poll=POLL)
    request.app[WATCHES].add(watch)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    async with watch as changes:
        async for event in changes.heartbeat(HEARTBEAT):
            await response.write((": no change\n\n" if event is None else to_sse(event)).encode())
    return response


def to_sse(event: WatchEvent[Workflow]) -> str:
    return f"event: {type(event).__name__}\nid: {event.key}\ndata: {json.dumps(event.to_dict())}\n\n"


def application() -> web.Application:
    app = web.Application(middlewares=[problems])
    app[WATCHES] = WeakSet()
    app.add_routes(routes)
    app.cleanup_ctx.append(opencast)
    app.on_shutdown.append(end_watches)
    return app


# docs: to here


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
