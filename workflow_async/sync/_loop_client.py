"""The asynchronous client that the synchronous objects of one client share. It is opened by its first call."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from attrs import define, field

from workflow_async._core.client import Client
from workflow_async.errors import ClientClosed, WrongEventLoop
from workflow_async.sync._portal import Portal, check_no_event_loop, usable_portal, warn_unclosed
from workflow_async.sync._portal_call import PortalEnded

C = TypeVar("C", bound=Client)
T = TypeVar("T")

REOPEN = "the client was closed: open it again with `with`"


@define(eq=False, repr=False)
class LoopClient(Generic[C]):
    """An asynchronous client in the event loop of the portal. A forked process gets a client of its own."""

    _make: "partial[C]"
    """Returns a new client with the same arguments."""
    _client: C
    _kind: str
    """The name of the synchronous client's class."""
    _portal: Portal | None = field(default=None, init=False)
    """The portal in which the client is open. None if it is not."""
    _entries: int = field(default=0, init=False)
    _closed: bool = field(default=False, init=False)

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return self._client.url

    def open(self) -> None:
        """Open the client, and count the opening."""
        check_no_event_loop()
        self._open_portal(entries=1)

    def close(self) -> None:
        """Undo one `open()`. The last one closes every connection."""
        check_no_event_loop()
        portal = self._portal
        if portal is not None and portal.usable:
            portal.call(self._close)
        else:
            self._leave()

    def call(self, function: Callable[[C, Portal], Awaitable[T]]) -> T:
        """Run a function of the client in the event loop, and return its result. Open the client before."""
        check_no_event_loop()
        if self._closed:
            raise ClientClosed(REOPEN)
        portal = self._open_portal()
        return self.call_in(portal, lambda: function(self._client, portal))

    def call_in(self, portal: Portal, work: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine function in the event loop of an object that an earlier call returned."""
        if portal.forked:
            raise WrongEventLoop("this object was made before the process was forked: make it in each process")
        try:
            return portal.call(work)
        except PortalEnded as ended:
            why = str(ended)
        raise ClientClosed(why)

    def _open_portal(self, entries: int = 0) -> Portal:
        """Return the portal in which the client is open. Count this number of openings."""
        portal = self._portal
        while entries or portal is None or not portal.usable:
            portal = usable_portal()
            with suppress(PortalEnded):  # another client, which was the last one, was closed at the same time
                portal.call(partial(self._open, portal, entries))
                entries = 0
        return portal

    async def _open(self, portal: Portal, entries: int) -> None:
        """Open the client in the running event loop, unless another thread has done so. Runs without a suspension."""
        if self._closed and not entries:
            raise ClientClosed(REOPEN)
        if self._portal is not portal:
            if self._portal is not None:
                self._client = self._made_again()
            await self._client.open()
            portal.add(self._client)
            self._portal = portal
        self._closed, self._entries = False, self._entries + entries

    def _made_again(self) -> C:
        """Return a new client, whose connections are not those of the parent process."""
        if not isinstance(self._make.keywords.get("http", ""), str):
            raise WrongEventLoop(
                "the client of `http=` was used before the process was forked: make both clients in each process"
            )
        return self._make()

    async def _close(self) -> None:
        """Undo one opening in the event loop, where no other thread changes the count."""
        portal = self._portal
        if self._leave() and portal is not None:
            self._portal = None
            await portal.close(self._client)

    def _leave(self) -> bool:
        """Undo one opening. Return True if it was the last one."""
        self._entries = max(self._entries - 1, 0)
        self._closed = not self._entries
        return self._closed

    def __del__(self) -> None:
        portal = self._portal
        if portal is not None and portal.usable:
            portal.submit(partial(portal.close, self._client))
            warn_unclosed(f"{self._kind}({self.url!r})")
