"""A system of the sandbox in its own process, with many workflows that run for a day."""

import json
import sys
import time
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.pinning import pin
from workflow_async.sandbox import ManualClock, Sandbox, Step
from workflow_async.sandbox.server import Server, bind, url_of
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

HOUR = 3600.0
DAY = 24 * HOUR


def make_system(system: str, count: int) -> FakeOpencast | FakePreservica:
    """Return the system with `count` workflows in their only step."""
    clock = ManualClock(time.time() - HOUR)
    sandbox = Sandbox(opencast_version="11", clock=clock)
    if system == "opencast":
        fake = sandbox.opencast
        fake.define("day", [Step("work", DAY)])
        for _ in range(count):
            fake.start(fake.event(), "day")
        clock.advance(HOUR)
        return fake
    context = sandbox.preservica.context("Day", "org.example.day", "Ingest", [Step("Work", DAY)])
    archive = sandbox.preservica.state.archive
    for _ in range(count):
        archive.start_workflow(archive.contexts[context], {}, None)
    clock.advance(HOUR)
    return sandbox.preservica


def with_stub_commands(app: ASGIApp, fake: FakeOpencast | FakePreservica) -> ASGIApp:
    """Return the system as an application that also handles the commands `requests` and `account` of the stub."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith("/stub/"):
            await app(scope, receive, send)
            return
        body = json.dumps(
            _take_requests(fake) if scope["path"].endswith("requests") else _account_and_ids(fake)
        ).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    return handle


def _take_requests(fake: FakeOpencast | FakePreservica) -> list[tuple[float, str]]:
    taken = [(0.0, request.path) for request in fake.requests]
    fake.requests.clear()
    return taken


def _account_and_ids(fake: FakeOpencast | FakePreservica) -> dict[str, Any]:
    account = {"username": fake.username, "password": fake.password}
    if isinstance(fake, FakePreservica):
        account["tenant"] = fake.tenant
    return {"account": account, "ids": sorted(fake.engine.runs)}


def main(core: str, system: str, count: str) -> None:
    """Serve until the standard input ends."""
    pin(int(core) if core else None)
    fake = make_system(system, int(count))
    listener = bind("127.0.0.1", 0)
    server = Server([(listener, with_stub_commands(fake.app, fake))])
    server.start()
    print(url_of(listener).rpartition(":")[2], flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
