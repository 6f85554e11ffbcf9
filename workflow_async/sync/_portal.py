"""The event loop that runs the calls of all synchronous clients of this process, in a thread of its own."""

import asyncio
import atexit
import os
import selectors
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import anyio
from attrs import define, field

from workflow_async._core.client import Client
from workflow_async.errors import WrongEventLoop
from workflow_async.sync._portal_call import PortalCall

T = TypeVar("T")

EXIT_TIMEOUT = 5.0
"""Seconds that closing the clients may take when the interpreter exits."""


@define(eq=False, repr=False)
class Portal:
    """An event loop in a daemon thread. It ends when its last client is closed, after the calls that are running."""

    _selector: selectors.BaseSelector = field(factory=selectors.DefaultSelector, init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _thread: threading.Thread = field(init=False)
    _pid: int = field(factory=os.getpid, init=False)
    _calls: "set[PortalCall[Any]]" = field(factory=set, init=False)
    _clients: set[Client] = field(factory=set, init=False)
    """The open clients. Only the event loop changes them."""
    _running: "set[asyncio.Task[None]]" = field(factory=set, init=False)
    _ending: asyncio.Event = field(factory=asyncio.Event, init=False)
    _ended: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._thread = threading.Thread(target=self._run, name="workflow-async", daemon=True)
        self._thread.start()

    @property
    def usable(self) -> bool:
        """True if the event loop accepts calls of this process."""
        return not self._ended and not self.forked

    @property
    def forked(self) -> bool:
        """True in a process that was forked from the process of the event loop."""
        return self._pid != os.getpid()

    def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine function in the event loop, with the context variables of this thread. Wait for its result.

        If a signal handler raises an error in this thread, the call is cancelled first. A second signal ends the wait
        for its cleanup too.

        Raises:
            PortalEnded: the event loop ended first.
            WrongEventLoop: this thread runs an event loop, which waiting would block.
        """
        check_no_event_loop()
        call = PortalCall(work)
        try:
            self._submit(call)
            return call.wait()
        except BaseException:  # the error of the call, or an error that a signal handler raised in this thread
            call.wait_cancelled(self._loop)
            raise
        finally:
            self._calls.discard(call)
            del call, work  # an error keeps this frame, and would keep what the call refers to

    def _submit(self, call: PortalCall[T]) -> None:
        self._calls.add(call)
        if not self.usable:
            call.fail()
            return
        with suppress(RuntimeError):  # the loop is closed, and `_run` fails the call
            self._loop.call_soon_threadsafe(self._begin, call)

    def submit(self, work: Callable[[], Awaitable[object]]) -> None:
        """Run a coroutine function in the event loop without waiting for it. Do nothing if the loop has ended."""
        self._submit(call := PortalCall(work))
        self._calls.discard(call)

    # In the event loop

    def _begin(self, call: PortalCall[T]) -> None:
        """Begin a call, unless the last client was closed after the thread had submitted it."""
        if self._ended:
            call.fail()
            return
        task = call.begin()
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def add(self, client: Client) -> None:
        """Count a client that was opened."""
        self._clients.add(client)

    async def close(self, client: Client) -> None:
        """Close a client. End with the last one."""
        self._clients.discard(client)
        self._ended = self._ended or not self._clients
        try:
            await client.aclose()
        finally:
            if self._ended:
                self._ending.set()

    # The thread

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                while not self._ended:
                    with suppress(SystemExit, KeyboardInterrupt):  # raised by a callback. They leave `run`
                        runner.run(self._serve())
        finally:
            self._ended = True
            for call in [*self._calls]:
                call.fail()

    async def _serve(self) -> None:
        await self._ending.wait()
        while self._running:
            await asyncio.wait(self._running)

    def end(self) -> None:
        """Close every client and end, in at most `EXIT_TIMEOUT` seconds. Warn about each client that was open."""
        opened = sorted(map(repr, [*self._clients]))
        self.submit(self._close_all)
        self._thread.join(EXIT_TIMEOUT)
        for client in opened:
            warn_unclosed(client)

    async def _close_all(self) -> None:
        try:
            with anyio.move_on_after(EXIT_TIMEOUT / 2):
                for client in [*self._clients]:
                    await self.close(client)
        finally:
            self._ended = True
            self._ending.set()

    def abandon(self) -> None:  # pragma: no cover - runs in forked processes, which are not measured
        """Cut the copy of the event loop in a forked process off from the loop of the parent.

        Both share one epoll instance. Closing a socket here would end the watching of that socket there. The file
        descriptor of this process therefore refers to another file from now on.
        """
        self._loop.set_exception_handler(lambda _loop, _context: None)  # its tasks are the parent's
        if sys.platform == "linux" and isinstance(self._selector, selectors.EpollSelector):
            unused = os.open(os.devnull, os.O_RDWR)
            os.dup2(unused, self._selector.fileno(), inheritable=False)
            os.close(unused)


@define
class _Process:
    """The portal of this process."""

    lock: threading.Lock = field(factory=threading.Lock)
    portal: Portal | None = None
    inherited: list[Portal] = field(factory=list)
    """The portals of earlier processes. They are never finalized, because their sockets belong to the parent."""

    def usable_portal(self) -> Portal:
        """Return the portal. Start it if there is none."""
        with self.lock:
            if self.portal is None or not self.portal.usable:
                self.portal = Portal()
            return self.portal

    def after_fork(self) -> None:  # pragma: no cover - likewise
        """Forget the portal of the parent. Another thread of the parent may have held the lock."""
        self.lock = threading.Lock()
        if self.portal is not None:
            self.portal.abandon()
            self.inherited.append(self.portal)
            self.portal = None

    def at_exit(self) -> None:
        """End the portal, so that no connection is left to the interpreter's last steps."""
        if self.portal is not None and self.portal.usable:
            self.portal.end()


_process = _Process()
usable_portal = _process.usable_portal
atexit.register(_process.at_exit)
if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_process.after_fork)


def check_no_event_loop() -> None:
    """Raise `WrongEventLoop` if this thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise WrongEventLoop(
        "a synchronous client would block the event loop that runs in this thread: use the asynchronous client with"
        " `await`, or make the call in a worker thread"
    )


def warn_unclosed(client: str) -> None:
    """Warn about a client that nothing closed."""
    warnings.warn(f"unclosed {client}: use `with`, or call close()", ResourceWarning, stacklevel=2)
