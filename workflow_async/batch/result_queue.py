"""A queue of results that several tasks may read."""

from collections import deque
from typing import Generic, TypeVar

import anyio
from attrs import define, field

T = TypeVar("T")


@define(eq=False)
class ResultQueue(Generic[T]):
    """Results that have not been read yet. Each result goes to one reader."""

    _results: deque[T] = field(factory=deque, init=False)
    _closed: bool = field(default=False, init=False)
    _changed: anyio.Event = field(factory=anyio.Event, init=False)

    def put(self, result: T) -> None:
        """Add a result."""
        self._results.append(result)
        self._wake_readers()

    def close(self) -> None:
        """Add no more results."""
        self._closed = True
        self._wake_readers()

    async def get(self) -> T | None:
        """Wait for the oldest result and return it, or None once the queue is closed and empty."""
        while not self._results and not self._closed:
            await self._changed.wait()
        return self._results.popleft() if self._results else None

    def _wake_readers(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
