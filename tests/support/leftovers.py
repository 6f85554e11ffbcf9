"""What an event loop and a poller hold after a test."""

import asyncio
from typing import Any

from tests.support.monitored_server import Server
from tests.unit.monitor.test_poller import assert_nothing_left
from workflow_async.monitor._engine.poller import Poller


def now() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()


def timers() -> list[Any]:
    """Return the active timers of the running loop, except those of the test."""
    loop: Any = asyncio.get_running_loop()
    active = [timer for timer in loop._scheduled if not timer.cancelled()]
    return [timer for timer in active if timer._callback.__module__.startswith(("asyncio", "anyio", "workflow_async"))]


def assert_all_gone(poller: Poller[Any], server: Server) -> None:
    """Assert that no watcher, task, timer or request is left."""
    assert_nothing_left(poller, server)
    assert timers() == []


async def reads(changes: Any) -> list[Any]:
    """Return every event of a watch that has been entered."""
    return [event async for event in changes]
