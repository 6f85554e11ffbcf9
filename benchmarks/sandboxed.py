"""One system of the sandbox in a process of its own, with many workflows that run for a day."""

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


def filled(system: str, count: int) -> FakeOpencast | FakePreservica:
    """The system with so many workflows in their only step."""
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


def told(app: ASGIApp, fake: FakeOpencast | FakePreservica) -> ASGIApp:
    """The system, and under `/stub/asked` what it was asked for, as the stub tells it."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith("/stub/"):
            await app(scope, receive, send)
            return
        body = json.dumps(_asked(fake) if scope["path"].endswith("asked") else _who(fake)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    return answer


def _asked(fake: FakeOpencast | FakePreservica) -> list[tuple[float, str]]:
    found = [(0.0, request.path) for request in fake.requests]
    fake.requests.clear()
    return found


def _who(fake: FakeOpencast | FakePreservica) -> dict[str, Any]:
    account = {"username": fake.username, "password": fake.password}
    if isinstance(fake, FakePreservica):
        account["tenant"] = fake.tenant
    return {"account": account, "ids": sorted(fake.engine.runs)}


def main(core: str, system: str, count: str) -> None:
    """Serve until the standard input ends."""
    pin(int(core) if core else None)
    fake = filled(system, int(count))
    listener = bind("127.0.0.1", 0)
    server = Server([(listener, told(fake.app, fake))])
    server.start()
    print(url_of(listener).rpartition(":")[2], flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
