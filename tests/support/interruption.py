"""Acts on a call at the k-th point at which the call, or a task that it has started, suspends."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar
from weakref import WeakSet

import anyio
import pytest
from attrs import define, field

T = TypeVar("T")

CancelStyle = Literal["natively", "by scope", "natively twice", "by scope, then natively"]
MIXED: CancelStyle = "by scope, then natively"
"""May end either way: an anyio scope may absorb a native cancellation that arrives while it cancels."""
CANCEL_STYLES: tuple[CancelStyle, ...] = ("natively", "by scope", "natively twice", MIXED)


@define(eq=False)
class InstrumentedCoroutine(Coroutine[Any, Any, T]):
    """A coroutine that reports when it suspends. In all other respects it behaves like the inner one."""

    inner: Any
    on_suspend: Callable[[], None]

    def send(self, value: Any) -> Any:
        suspended = self.inner.send(value)
        self.on_suspend()
        return suspended

    def throw(self, *error: Any) -> Any:
        suspended = self.inner.throw(*error)
        self.on_suspend()
        return suspended

    def close(self) -> None:
        self.inner.close()

    def __await__(self) -> Any:
        raise RuntimeError("only a task may run this")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@define
class SuspensionPoints:
    """Counts the points at which a call suspends, in any of its tasks, and runs an action at some of them."""

    actions: dict[int, Callable[[], object]]
    passed: int = 0
    _tasks: "WeakSet[asyncio.Task[Any]]" = field(factory=WeakSet)

    async def run(self, call: Callable[[], Coroutine[Any, Any, T]]) -> "asyncio.Task[T]":
        """Run a call to its end. Return its task."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(self._create_task)
        try:
            task: asyncio.Task[T] = asyncio.Task(InstrumentedCoroutine(call(), self._on_suspend), loop=loop)
            self._tasks.add(task)
            await asyncio.wait([task])
        finally:
            loop.set_task_factory(None)
        return task

    def _create_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **settings: Any) -> "asyncio.Task[Any]":
        is_inside = asyncio.current_task(loop) in self._tasks
        inner = InstrumentedCoroutine(coroutine, self._on_suspend) if is_inside else coroutine
        task = asyncio.Task(inner, loop=loop, **settings)
        if is_inside:
            self._tasks.add(task)
        return task

    def _on_suspend(self) -> None:
        self.passed += 1
        self.actions.get(self.passed, int)()


@define
class CancelResult:
    """The result of cancelling a call at its k-th suspension point."""

    task: "asyncio.Task[Any]"
    style: CancelStyle
    points: int
    """The number of suspension points that were passed."""
    fired: bool

    @property
    def problems(self) -> list[str]:
        """What is wrong with the way the call ended."""
        if not self.task.cancelled() and self.task.exception() is not None:
            return [f"failed: {self.task.exception()!r}"]
        expected = self.fired and self.style in {"natively", "natively twice"}
        if self.style != MIXED and self.task.cancelled() is not expected:
            return ["the cancellation was swallowed" if expected else "a cancellation was raised without request"]
        return []


async def cancel_at(call: Callable[[], Coroutine[Any, Any, Any]], point: int, style: CancelStyle) -> CancelResult:
    """Cancel a call at its k-th suspension point, and again during its cleanup if the style says so."""
    scope = anyio.CancelScope()
    tasks: list[asyncio.Task[Any]] = []

    async def run_in_scope() -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        with scope:
            await call()

    def cancel_natively() -> None:
        tasks[0].cancel()

    first = cancel_natively if style.startswith("natively") else scope.cancel
    second = {point + 1: cancel_natively} if style in {"natively twice", MIXED} else {}
    points = SuspensionPoints({point: first, **second})
    task = await points.run(run_in_scope)
    return CancelResult(task, style, points.passed, points.passed >= point)


@contextmanager
def captured_deadlines() -> Iterator[list[anyio.CancelScope]]:
    """Collect the scopes with a deadline that are opened in the block."""
    scopes: list[anyio.CancelScope] = []
    move_on_after = anyio.move_on_after

    def recording(delay: float | None, shield: bool = False) -> anyio.CancelScope:  # noqa: FBT001, FBT002 - anyio's signature
        scopes.append(move_on_after(delay, shield))
        return scopes[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anyio, "move_on_after", recording)
        yield scopes
