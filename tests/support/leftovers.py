"""What the event loop and a poller are left with."""

import asyncio
from typing import Any

from tests.support.monitored_server import Server
from tests.unit.monitor.test_poller import assert_nothing_left
from workflow_async.monitor._engine.poller import Poller


def now() -> float:
    """The time of the running loop."""
    return asyncio.get_running_loop().time()


def timers() -> list[Any]:
    """The timers of the running loop that go on, without those of the test."""
    loop: Any = asyncio.get_running_loop()
    theirs = [timer for timer in loop._scheduled if not timer.cancelled()]
    return [timer for timer in theirs if timer._callback.__module__.startswith(("asyncio", "anyio", "workflow_async"))]


def assert_all_gone(poller: Poller[Any], server: Server) -> None:
    """No watcher, no task, no timer, no request."""
    assert_nothing_left(poller, server)
    assert timers() == []


async def reads(changes: Any) -> list[Any]:
    """Every event of a watch that has been entered."""
    return [event async for event in changes]
