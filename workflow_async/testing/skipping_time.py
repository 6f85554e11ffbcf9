"""Time that a sandbox and its clients share. It skips to the next due time when all of them wait."""

import asyncio
import itertools
import math
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import TypedDict

import anyio
import anyio.lowlevel
from attrs import Factory, define, field

from workflow_async.observe.messages import Middleware, Reply, Request, Send
from workflow_async.settings import Clock

QUIET_TURNS = 4
"""Turns of the event loop without anything to do, before time skips. A callback takes a turn that no task shows."""

Sleeper = tuple[float, int, "asyncio.Future[None]"]
"""When a sleeper is due, in seconds since the start, its number, and the future that it waits for."""


class ClientTime(TypedDict):
    """The keyword arguments that let a client follow a `SkippingTime`."""

    clock: Clock
    middleware: tuple[Middleware, ...]


@define(eq=False)
class SkippingTime:
    """A time that stands still while anything works, and skips to the next due time when everything waits.

    It is the clock of a `Sandbox`, and `options` are the arguments of its clients: with `time = SkippingTime()`,
    `async with Sandbox(clock=time) as sandbox, OpencastClient(url, auth=auth, **time.options) as oc: ...`.

    Time skips when every task of the event loop waits, no request is in flight, and nothing holds it. Then the sleeper
    that is due first goes on. Sleepers that are due together go on in the order in which they fell asleep. Only the
    waits of clients and `sleep` are skipped. `asyncio.sleep`, timeouts of requests and other I/O take real time.

    Args:
        start: the time at the start, in seconds since 1970.
        seed: of the random numbers with which clients vary their delays.
    """

    start: float = 1_700_000_000.0
    seed: int = 0
    _elapsed: float = field(default=0.0, init=False)
    _sleepers: set[Sleeper] = field(factory=set, init=False, repr=False)
    _numbers: Iterator[int] = field(factory=itertools.count, init=False, repr=False)
    _random: random.Random = field(
        default=Factory(lambda self: random.Random(self.seed), takes_self=True),  # noqa: S311 - not for secrets
        init=False,
        repr=False,
    )
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False, repr=False)
    _skipper: "asyncio.Task[None] | None" = field(default=None, init=False, repr=False)
    """The task that skips time. It runs while there are sleepers."""
    _released: asyncio.Event = field(factory=asyncio.Event, init=False, repr=False)
    """Set when the last hold has ended."""
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    _holds: int = field(default=0, init=False)
    _activity: int = field(default=0, init=False, repr=False)
    """Number of holds and sleepers that there have been."""

    def __call__(self) -> float:
        """Return the seconds since 1970. Any thread may call this."""
        return self.start + self._elapsed

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._elapsed

    @property
    def clock(self) -> Clock:
        """The clock for a client. The client needs `middleware` too."""
        return Clock(now=lambda: self._elapsed, sleep=self.sleep, jitter=self._random.random, wall=self)

    @property
    def options(self) -> ClientTime:
        """The arguments `clock` and `middleware` of a client: `OpencastClient(url, auth=auth, **time.options)`."""
        return {"clock": self.clock, "middleware": (self.middleware,)}

    async def middleware(self, request: Request, send: Send) -> Reply:
        """Hold time while a request is in flight. Give this to a client as one of its `middleware`."""
        with self.hold():
            return await send(request)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep time from skipping inside a `with` block, such as one that waits for a database. For any thread."""
        with self._lock:
            self._holds += 1
            self._activity += 1
        try:
            yield
        finally:
            with self._lock:
                self._holds -= 1
            if not self._holds and self._loop is not None:
                with suppress(RuntimeError):  # the loop is closed
                    self._loop.call_soon_threadsafe(self._released.set)

    async def sleep(self, seconds: float) -> None:
        """Wait until `seconds` have passed in this time. What is due earlier happens before.

        Raises:
            RuntimeError: another event loop is waiting for this time.
        """
        if not 0 < seconds < math.inf:
            await (anyio.sleep_forever() if seconds > 0 else anyio.lowlevel.checkpoint())
            return
        waiter = self._bind(asyncio.get_running_loop()).create_future()
        sleeper = (self._elapsed + seconds, next(self._numbers), waiter)
        self._add(sleeper)
        try:
            await waiter
        except BaseException:
            self._remove(sleeper)
            raise

    def _bind(self, loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
        """Return the loop after it has become the one that this time skips in."""
        if loop is not self._loop:
            if self._sleepers and self._loop is not None and not self._loop.is_closed():
                raise RuntimeError("a SkippingTime works in one event loop at a time: make another for each loop")
            self._sleepers.clear()
            self._loop, self._skipper, self._released = loop, None, asyncio.Event()
        return loop

    def _add(self, sleeper: Sleeper) -> None:
        self._sleepers.add(sleeper)
        self._activity += 1
        if self._skipper is None or self._skipper.done():
            self._skipper = Context().run(asyncio.get_running_loop().create_task, self._skip())

    def _remove(self, sleeper: Sleeper) -> None:
        """Forget a sleeper that was cancelled."""
        self._sleepers.discard(sleeper)
        if not self._sleepers and self._skipper is not None:
            self._skipper.cancel()
            self._skipper = None  # a sleeper that comes before it has ended needs another

    async def _skip(self) -> None:
        while self._sleepers:
            if await self._is_quiet():
                self._wake_next()

    async def _is_quiet(self) -> bool:
        """Return True if every task of the event loop has waited for some turns, and nothing holds time."""
        self._released.clear()
        if self._holds:
            await self._released.wait()
        activity = self._activity
        for _ in range(QUIET_TURNS):
            await asyncio.sleep(0)
            if not _all_blocked():
                return False
        return not self._holds and activity == self._activity

    def _wake_next(self) -> None:
        """Skip to the next due time."""
        self._elapsed = min(self._sleepers)[0]
        for sleeper in sorted(sleeper for sleeper in self._sleepers if sleeper[0] <= self._elapsed):
            self._sleepers.discard(sleeper)
            sleeper[2].set_result(None)


def _all_blocked() -> bool:
    """Return True if every other task of the running event loop waits for a future."""
    # anyio.wait_all_tasks_blocked reads the same attribute, and sleeps for 0.1 s if a task does not wait
    this, tasks = asyncio.current_task(), asyncio.all_tasks()
    waiters = [task._fut_waiter for task in tasks if task is not this]  # type: ignore[attr-defined]  # noqa: SLF001
    return not any(waiter is None or waiter.done() for waiter in waiters)
