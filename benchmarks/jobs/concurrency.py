"""Runs a call many times with limited concurrency. Standard library only."""

import asyncio
from collections.abc import Awaitable, Callable


async def run_concurrently(count: int, at_once: int, call: Callable[[], Awaitable[object]]) -> None:
    """Run the call `count` times, `at_once` at a time."""
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await call()

    await asyncio.gather(*(work() for _ in range(at_once)))
