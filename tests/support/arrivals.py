"""When requests arrived at a server, and how many in any window of time."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress

from attrs import define, field

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


def most(times: Sequence[float], window: float) -> int:
    """Return the largest number of requests in any window. `times` is sorted."""
    return max(bisect_left(times, start + window) - number for number, start in enumerate(times))


def fewest(times: Sequence[float], window: float, begin: float, end: float) -> int:
    """Return the smallest number of requests in any window between two times. `times` is sorted."""
    starts = [begin, *(after + 1e-9 for after in times if begin <= after <= end - window)]
    return min(bisect_left(times, start + window) - bisect_left(times, start) for start in starts)
