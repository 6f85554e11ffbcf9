"""Django (ASGI) in front of an Opencast: publish an event, and follow its workflow as server-sent events.

Run it with `uvicorn django_app:app`.
"""

import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.urls import path

from workflow_async import OpencastClient, Poll
from workflow_async.errors import WorkflowAsyncError
from workflow_async.problems import problem_of

POLL = Poll(interval=float(os.environ.get("POLL_INTERVAL", "2")), ceiling=float(os.environ.get("POLL_CEILING", "30")))
HEARTBEAT = float(os.environ.get("HEARTBEAT", "10"))
"""Seconds without an event after which a stream sends a comment. A reader that has left is noticed then."""

# docs: from here
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[f"{__name__}.Problems"])
django.setup()


class State:
    """What the views share."""

    oc: OpencastClient


state = State()


class Problems:
    """Middleware that answers with the errors of the library."""

    async_capable, sync_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await self.get_response(request)
        return response

    async def process_exception(self, _: HttpRequest, error: Exception) -> JsonResponse | None:
        if not isinstance(error, WorkflowAsyncError):
            return None
        problem = problem_of(error)
        return JsonResponse(problem.to_dict(), status=problem.status, content_type="application/problem+json")


async def publish(_: HttpRequest, event_id: str) -> JsonResponse:
    return JsonResponse((await state.oc.workflows.start(event_id, "publish")).to_dict(), status=202)


async def workflow(_: HttpRequest, workflow_id: int) -> JsonResponse:
    return JsonResponse((await state.oc.workflows.get(workflow_id)).to_dict())


async def changes(_: HttpRequest, workflow_id: int) -> StreamingHttpResponse:
    return StreamingHttpResponse(server_sent(workflow_id), content_type="text/event-stream")


async def server_sent(workflow_id: int) -> AsyncIterator[str]:
    async with state.oc.workflows.watch([workflow_id], operations=True, poll=POLL) as changes:
        async for event in changes.heartbeat(HEARTBEAT):
            kind = type(event).__name__
            yield ": no change\n\n" if event is None else f"event: {kind}\ndata: {json.dumps(event.to_dict())}\n\n"


urlpatterns = [
    path("publish/<str:event_id>", publish),
    path("workflows/<int:workflow_id>", workflow),
    path("workflows/<int:workflow_id>/changes", changes),
]
django_app = get_asgi_application()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve Django, which ignores the lifespan. The lifespan opens the client in the event loop of the server."""
    if scope["type"] != "lifespan":
        await django_app(scope, receive, send)
        return
    await receive()
    async with OpencastClient.from_env() as state.oc:
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


# docs: to here
