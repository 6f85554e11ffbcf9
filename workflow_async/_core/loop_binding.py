"""Binds a client to the event loop and the process in which it was opened."""

import asyncio
import os

from attrs import define, field

from workflow_async.errors import ClientClosed, WrongEventLoop


@define
class LoopBinding:
    """The event loop and the process of a client, and the number of its openings."""

    _pid: int = field(default=0, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _entries: int = field(default=0, init=False)

    def open(self) -> None:
        """Count one opening and bind to the running loop. Raise `WrongEventLoop` if the client is open elsewhere."""
        running = _running_loop()
        if running is None:
            raise WrongEventLoop("no asyncio event loop is running: use asyncio.run() or uvloop, not trio")
        if self._abandoned:
            self._pid, self._loop, self._entries = os.getpid(), running, 0
        self.check()
        self._entries += 1

    def release(self) -> bool:
        """Undo one opening and return True if none is left. Raise `WrongEventLoop` if the client is open elsewhere."""
        if self._abandoned:
            self.close()
        else:
            self.check()
            self._entries -= 1
        if not self._entries:
            self.close()
        return self.closed

    def close(self) -> None:
        """Unbind from the loop."""
        self._loop, self._entries = None, 0

    @property
    def closed(self) -> bool:
        """True if the client is bound to no loop."""
        return self._loop is None

    @property
    def _abandoned(self) -> bool:
        """True if no loop can use the client: it is closed, its loop is closed, or this process was forked."""
        return self._loop is None or self._loop.is_closed() or self._pid != os.getpid()

    def check(self) -> None:
        """Raise `ClientClosed` or `WrongEventLoop` if a call cannot be sent here."""
        self.check_open()
        if self._pid != os.getpid() or self._loop is not _running_loop():
            raise WrongEventLoop("the client was opened in another event loop or process: open one for each")

    def check_open(self) -> None:
        """Raise `ClientClosed` if the client was closed while a call was running."""
        if self.closed:
            raise ClientClosed("open the client with `async with` and use it inside")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
