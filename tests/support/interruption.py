"""Something happens to a call at the k-th point at which it, or a task it has started, waits."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar
from weakref import WeakSet

import anyio
import pytest
from attrs import define, field

T = TypeVar("T")

Way = Literal["natively", "by scope", "natively twice", "by scope, then natively"]
MIXED: Way = "by scope, then natively"
"""Comes out either way: anyio by itself lets a scope have a native cancellation that comes while it cancels."""
WAYS: tuple[Way, ...] = ("natively", "by scope", "natively twice", MIXED)


@define(eq=False)
class Watched(Coroutine[Any, Any, T]):
    """A coroutine that says when it waits; to whoever asks, it looks like the one inside."""

    inner: Any
    waits: Callable[[], None]

    def send(self, value: Any) -> Any:
        waited = self.inner.send(value)
        self.waits()
        return waited

    def throw(self, *error: Any) -> Any:
        waited = self.inner.throw(*error)
        self.waits()
        return waited

    def close(self) -> None:
        self.inner.close()

    def __await__(self) -> Any:
        raise RuntimeError("it is a task's")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@define
class Points:
    """Counts the points at which a call waits, wherever in its tasks, and does something at one of them."""

    at: dict[int, Callable[[], object]]
    passed: int = 0
    _ours: "WeakSet[asyncio.Task[Any]]" = field(factory=WeakSet)

    async def over(self, call: Callable[[], Coroutine[Any, Any, T]]) -> "asyncio.Task[T]":
        """The task of a call, at its end."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(self._task)
        try:
            task: asyncio.Task[T] = asyncio.Task(Watched(call(), self._waits), loop=loop)
            self._ours.add(task)
            await asyncio.wait([task])
        finally:
            loop.set_task_factory(None)
        return task

    def _task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **settings: Any) -> "asyncio.Task[Any]":
        ours = asyncio.current_task(loop) in self._ours
        made = asyncio.Task(Watched(coroutine, self._waits) if ours else coroutine, loop=loop, **settings)
        if ours:
            self._ours.add(made)
        return made

    def _waits(self) -> None:
        self.passed += 1
        self.at.get(self.passed, int)()


@define
class Cancelled:
    """How a call took it that it was cancelled at the k-th point at which it waits."""

    task: "asyncio.Task[Any]"
    way: Way
    points: int
    """How many it came by."""
    fired: bool

    @property
    def faults(self) -> list[str]:
        """What is wrong with how it came out of it."""
        if not self.task.cancelled() and self.task.exception() is not None:
            return [f"failed: {self.task.exception()!r}"]
        due = self.fired and self.way in {"natively", "natively twice"}
        if self.way != MIXED and self.task.cancelled() is not due:
            return ["the cancellation was swallowed" if due else "a cancellation came out that was nobody's"]
        return []


async def cancelled(call: Callable[[], Coroutine[Any, Any, Any]], k: int, way: Way) -> Cancelled:
    """A call that is cancelled at its k-th point; and once more while it cleans up, if the way says so."""
    scope = anyio.CancelScope()
    tasks: list[asyncio.Task[Any]] = []

    async def scoped() -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        with scope:
            await call()

    def native() -> None:
        tasks[0].cancel()

    first = native if way.startswith("natively") else scope.cancel
    second = {k + 1: native} if way in {"natively twice", MIXED} else {}
    points = Points({k: first, **second})
    task = await points.over(scoped)
    return Cancelled(task, way, points.passed, points.passed >= k)


@contextmanager
def captured_deadlines() -> Iterator[list[anyio.CancelScope]]:
    """The scopes with a deadline that are opened meanwhile."""
    scopes: list[anyio.CancelScope] = []
    before = anyio.move_on_after

    def noting(delay: float | None, shield: bool = False) -> anyio.CancelScope:  # noqa: FBT001, FBT002 - as it is called
        scopes.append(before(delay, shield))
        return scopes[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anyio, "move_on_after", noting)
        yield scopes
