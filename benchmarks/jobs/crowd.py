"""Many at once: workers that share a number of requests. Standard library only."""

import asyncio
from collections.abc import Awaitable, Callable


async def crowd(count: int, at_once: int, act: Callable[[], Awaitable[object]]) -> None:
    """Do it `count` times, `at_once` at a time."""
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await act()

    await asyncio.gather(*(work() for _ in range(at_once)))
