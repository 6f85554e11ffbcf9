"""When requests arrived at a server, and how many in any window of time."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing, suppress

import anyio
from attrs import define, field

PROBE = 0.01
"""Seconds between two looks at the clock."""
BODY = b'{"default":"v1.11.0"}'
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@define
class Arrivals:
    """The times at which requests arrived, in seconds of the monotonic clock."""

    times: list[float] = field(factory=list)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Run a server that answers every request like the version of an Opencast. Yield its URL."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.times.append(time.monotonic())
                writer.write(RESPONSE)


@define
class Stalls:
    """The times in which this process was late: other processes had the processors."""

    least: float
    """Seconds of a stall."""
    times: list[tuple[float, float]] = field(factory=list)

    @asynccontextmanager
    async def noted(self) -> AsyncIterator[None]:
        """Note the stalls."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._note)
            yield
            group.cancel_scope.cancel()

    async def _note(self) -> None:
        while True:
            began = time.monotonic()
            await anyio.sleep(PROBE)
            ended = time.monotonic()
            if ended - began - PROBE > self.least:
                self.times.append((began, ended))


def without(began: float, ended: float, gaps: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return what is left of a time between gaps."""
    found = []
    for gone, back in sorted(gaps):
        if began < gone < ended:
            found.append((began, gone))
        if gone < ended:
            began = max(began, back)
    return [*found, (began, ended)] if began < ended else found


def pressing(waits: Sequence[tuple[float, float]], least: int, gap: float) -> list[tuple[float, float]]:
    """Return the times in which this number of requests waited always, apart from gaps.

    Args:
        waits: when each request began to wait, and when it had its turn.
        least: the number of waiting requests.
        gap: seconds of a gap.
    """
    steps = sorted([(began, 1) for began, _ in waits] + [(ended, -1) for _, ended in waits])
    found: list[tuple[float, float]] = []
    count, before = 0, 0.0
    for now, step in steps:
        if count >= least:
            joined = found and before <= found[-1][1] + gap
            found[-1:] = [(found[-1][0], now)] if joined else [*found[-1:], (before, now)]
        count, before = count + step, now
    return found


def most(times: Sequence[float], window: float) -> int:
    """Return the largest number of requests in any window. `times` is sorted."""
    return max(bisect_left(times, start + window) - number for number, start in enumerate(times))


def fewest(times: Sequence[float], window: float, begin: float, end: float) -> int:
    """Return the smallest number of requests in any window between two times. `times` is sorted."""
    starts = [begin, *(after + 1e-9 for after in times if begin <= after <= end - window)]
    return min(bisect_left(times, start + window) - bisect_left(times, start) for start in starts)
