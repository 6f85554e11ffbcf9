"""Webhooks over a socket: a notification ends a wait that would check the workflow an hour later."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import httpx
import uvicorn

from tests.apps.conftest import LONG_TIME, wait_until
from tests.unit.preservica.test_webhooks import sign
from workflow_async import OpencastClient, Phase, Poll, PreservicaClient
from workflow_async._core.asgi import Receive, Scope, Send
from workflow_async.opencast import webhooks
from workflow_async.preservica import webhooks as preservica_webhooks
from workflow_async.sandbox import ManualClock, Sandbox, Step

HOURLY = Poll(interval=3600, ceiling=3600)
SECRET = "correct-horse-battery"


@asynccontextmanager
async def served(app: webhooks.WebhookApp | preservica_webhooks.WebhookApp) -> AsyncIterator[str]:
    """Serve the application over a socket in this event loop. Yield its URL."""

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(asgi, port=0, log_level="error"))
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve)
        while not server.started:
            await anyio.sleep(0.001)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 7):
        yield body[start : start + 7]


@asynccontextmanager
async def waiting(
    client: OpencastClient | PreservicaClient, id: int, requests: Sequence[object]
) -> AsyncIterator[None]:
    """Wait for a workflow from its first check on. The block must make the wait end."""
    before = len(requests)

    async def wait() -> None:
        done = await client.workflows.wait(id, poll=HOURLY)
        assert done.phase is Phase.SUCCEEDED

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await wait_until(lambda: len(requests) > before)
        yield


async def test_a_notification_of_opencast_ends_the_wait(sandbox: Sandbox, clock: ManualClock) -> None:
    fake = sandbox.opencast
    id = fake.start(fake.event(), "publish")
    form = {"workflowInstanceId": str(id)}
    async with OpencastClient(fake.url, auth=fake.auth) as oc, httpx.AsyncClient() as http:
        app = webhooks.WebhookApp(oc, secret=SECRET)
        async with served(app) as url, waiting(oc, id, fake.requests):
            clock.advance(LONG_TIME)
            assert (await http.post(f"{url}/wrong", data=form)).status_code == 404
            assert (await http.post(f"{url}/{SECRET}", data=form)).status_code == 204


async def test_a_signed_webhook_of_preservica_in_chunks_ends_the_wait(sandbox: Sandbox, clock: ManualClock) -> None:
    fake = sandbox.preservica
    context = fake.context("Publish", "com.example.publish", "Ingest", [Step("publish", 10)])
    body = b'{"events": [{"entityRef": "a1", "entityType": "IO"}]}'
    headers = {"Preservica-Signature": sign(body, SECRET)}
    username, password = fake.auth
    pv = PreservicaClient(fake.url, username=username, password=password, tenant=fake.tenant)
    async with pv, httpx.AsyncClient() as http:
        app = preservica_webhooks.WebhookApp(pv, secret=SECRET)
        id = (await pv.workflows.start(context)).id
        assert id is not None
        async with served(app) as url, waiting(pv, id, fake.requests):
            clock.advance(LONG_TIME)
            assert (await http.post(url, content=in_chunks(body), headers=headers)).status_code == 204
