"""Limits how long blocks of code may take, with one timer for all blocks that have the same limit."""

import asyncio
from functools import cache
from types import TracebackType

import anyio
from attrs import define, field


@cache
def scope_class() -> type[anyio.CancelScope]:
    """Return the class of anyio's cancel scopes for asyncio. anyio looks it up for each scope, which takes longer."""
    return type(anyio.CancelScope())


@define(eq=False)
class Deadlines:
    """The deadlines of one limit.

    `anyio.move_on_after` starts a timer for each block and cancels it again. That costs as much as the rest of a cancel
    scope. Blocks with the same limit expire in the order in which they began, so one timer for the first is enough.
    """

    seconds: float
    _scopes: dict[anyio.CancelScope, float] = field(factory=dict, init=False, repr=False)
    """The running blocks, each with its deadline by the time of the event loop. The first expires first."""
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False, repr=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False, repr=False)

    def limit(self) -> "Limited":
        """Return a context manager that cancels its block and leaves it if the block takes longer than the limit."""
        return Limited(self, scope_class()())

    def stop_idle_timer(self) -> None:
        """Stop the timer if no block is running. The next block starts it again."""
        if self._timer is not None and not self._scopes:
            self._timer.cancel()
            self._timer = None

    def add(self, scope: anyio.CancelScope) -> None:
        """Cancel a scope after the limit."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # the client was opened in another event loop
            self._loop, self._timer = loop, None
            self._scopes.clear()
        self._scopes[scope] = deadline = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._expire)

    def discard(self, scope: anyio.CancelScope) -> None:
        """Forget a scope whose block has ended."""
        self._scopes.pop(scope, None)

    def _expire(self) -> None:
        """Cancel the blocks whose time is over. Restart the timer for the first of the others."""
        self._timer, loop = None, asyncio.get_running_loop()
        while self._scopes:
            scope, deadline = next(iter(self._scopes.items()))
            if deadline > loop.time():
                self._timer = loop.call_at(deadline, self._expire)
                return
            del self._scopes[scope]
            scope.cancel()


@define(eq=False)
class Limited:
    """A context manager that does what `anyio.move_on_after` does."""

    deadlines: Deadlines
    scope: anyio.CancelScope = field(repr=False)

    def __enter__(self) -> None:
        self.deadlines.add(self.scope)
        self.scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self.deadlines.discard(self.scope)
        return self.scope.__exit__(kind, error, traceback)
