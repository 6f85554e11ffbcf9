"""The applications as processes of their own, in front of a sandbox whose time passes when a test says so."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from attrs import define

from workflow_async.sandbox import ManualClock, Sandbox, Step

HERE = Path(__file__).parent
BOUND = 30.0
"""Seconds after which something that should have happened has not."""
AGES = 1e6
"""Seconds that see every workflow to its end."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sandbox(clock: ManualClock) -> Iterator[Sandbox]:
    with Sandbox("16", clock) as served:
        served.opencast.define("publish", [Step("encode", 10), Step("distribute", 10)])
        yield served


@pytest.fixture
def environment(sandbox: Sandbox) -> dict[str, str]:
    """The variables that name the sandbox's Opencast."""
    fake = sandbox.opencast
    return {"OPENCAST_URL": fake.url, "OPENCAST_USERNAME": fake.username, "OPENCAST_PASSWORD": fake.password}


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to come true, within a bound."""
    with anyio.fail_after(BOUND):
        while True:
            if condition():
                return
            await anyio.sleep(0.01)


@define
class Application:
    """An application that serves, and a client of it."""

    process: "subprocess.Popen[str]"
    web: httpx.AsyncClient

    async def told(self, id: int) -> list[dict[str, Any]]:
        """Everything the stream of a workflow tells, to its end."""
        async with self.following(id) as events:
            return [event async for event in events]

    @asynccontextmanager
    async def following(self, id: int) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The events of a workflow's stream, as they come."""
        async with self.web.stream("GET", f"/workflows/{id}/changes") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            yield _events(response.aiter_lines())

    def stop(self) -> tuple[int, str]:
        """Tell it to end; how it did, and what it wrote."""
        self.process.send_signal(signal.SIGTERM)
        _, complaints = self.process.communicate(timeout=BOUND)
        return self.process.returncode, complaints


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    kind = ""
    async for line in lines:
        name, _, text = line.partition(": ")
        if name == "event":
            kind = text
        elif name == "data":
            yield {"event": kind, **json.loads(text)}


@pytest.fixture(params=["fastapi_app", "aiohttp_app"])
async def application(request: pytest.FixtureRequest, environment: dict[str, str]) -> AsyncIterator[Application]:
    """Either application, serving in front of the sandbox."""
    paces = {"POLL_INTERVAL": "0.05", "POLL_CEILING": "0.1", "HEARTBEAT": "0.5"}
    with closing(reserved()) as port:
        number = port.getsockname()[1]
        process = launch(f"{request.param}.py", {**environment, **paces, "PORT": str(number)})
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{number}", timeout=BOUND, limits=limits) as web:
            try:
                await until(lambda: process.poll() is not None or accepts(number))
                yield Application(process, web)
            finally:
                process.kill()
                process.communicate()


def reserved() -> socket.socket:
    """A free port that nobody else is given, and that a server may still listen on."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def launch(name: str, environment: dict[str, str]) -> "subprocess.Popen[str]":
    """A server of this folder as a process of its own; what it says of every request is thrown away."""
    command = [sys.executable, str(HERE / name)]
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
