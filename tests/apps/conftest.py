"""Fixtures: the applications in their own process, in front of a sandbox with a manual clock."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from attrs import define

from workflow_async.sandbox import ManualClock, Sandbox, Step

HERE = Path(__file__).parent
TIMEOUT = 30.0
"""Seconds after which a missing event fails a test."""
LONG_TIME = 1e6
"""Seconds in which every workflow ends."""


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
    """Return the environment variables for the sandbox's Opencast."""
    fake = sandbox.opencast
    return {"OPENCAST_URL": fake.url, "OPENCAST_USERNAME": fake.username, "OPENCAST_PASSWORD": fake.password}


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true. Raise after `TIMEOUT`."""
    with anyio.fail_after(TIMEOUT):
        while True:
            if condition():
                return
            await anyio.sleep(0.01)


@define
class Application:
    """A running application, and an HTTP client for it."""

    process: "subprocess.Popen[str]"
    http: httpx.AsyncClient

    async def read_stream(self, id: int) -> list[dict[str, Any]]:
        """Return all events of a workflow's stream."""
        async with self.stream(id) as events:
            return [event async for event in events]

    @asynccontextmanager
    async def stream(self, id: int) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Open the stream of a workflow and return its events as they arrive."""
        async with self.http.stream("GET", f"/workflows/{id}/changes") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            yield _parse_events(response.aiter_lines())

    def stop(self) -> tuple[int, str]:
        """Send SIGTERM. Return the exit code and stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, stderr = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, stderr


async def _parse_events(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    kind = ""
    async for line in lines:
        name, _, text = line.partition(": ")
        if name == "event":
            kind = text
        elif name == "data":
            yield {"event": kind, **json.loads(text)}


UVICORN = ("-m", "uvicorn", "--app-dir", str(HERE), "--port", "{port}")
COMMANDS = {
    "fastapi": (*UVICORN, "fastapi_app:app"),
    "aiohttp": (str(HERE / "aiohttp_app.py"),),
}
"""The arguments of Python that run each application in one process."""
WORKERS = {**COMMANDS, "fastapi with two workers": (*COMMANDS["fastapi"], "--workers", "2")}
ALL = {**WORKERS, **{name: (*UVICORN, f"{name}_app:app") for name in ("litestar", "django")}}


@pytest.fixture(params=COMMANDS)
async def application(request: pytest.FixtureRequest, environment: dict[str, str]) -> AsyncIterator[Application]:
    """Each application, running in front of the sandbox."""
    intervals = {"POLL_INTERVAL": "0.05", "POLL_CEILING": "0.1", "HEARTBEAT": "0.5"}
    with closing(reserve_port()) as port:
        number = port.getsockname()[1]
        arguments = [word.format(port=number) for word in ALL[request.param]]
        process = launch(arguments, {**environment, **intervals, "PORT": str(number)})
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{number}", timeout=TIMEOUT, limits=limits) as web:
            try:
                await wait_until(lambda: process.poll() is not None or is_listening(number))
                yield Application(process, web)
            finally:
                kill_group(process)


def reserve_port() -> socket.socket:
    """Return a bound socket. Its port is not given to another process, and a server can still listen on it."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


def is_listening(port: int) -> bool:
    """Return True if a server listens on the port."""
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def kill_group(process: "subprocess.Popen[str]") -> None:
    """Kill a process that `launch` has started, and its workers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def launch(arguments: Sequence[str], environment: dict[str, str]) -> "subprocess.Popen[str]":
    """Start a server in a process group of its own. Its stdout is discarded."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
