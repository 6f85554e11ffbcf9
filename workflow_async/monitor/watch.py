"""Watches workflows and reports their changes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from types import TracebackType
from typing import Generic, Self, TypeVar

import anyio
from attrs import define, field

from workflow_async._core.call import parse_id, parse_ids
from workflow_async._listing.listing import Listing
from workflow_async.errors import CallError, InvalidArgument
from workflow_async.monitor._engine.discovery import Discovery
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor._engine.subscription import Subscription, WatchEvent
from workflow_async.monitor._engine.tracking import Tracking, check_stalled_after
from workflow_async.monitor.events import Change, PollingFailed, Replaced, Vanished
from workflow_async.phase import Workflow
from workflow_async.settings import Poll, check_poll, check_positive

W = TypeVar("W", bound=Workflow)

EventHook = Callable[[WatchEvent[W]], Awaitable[WatchEvent[W]]]
"""Handles an event before the watch returns it. Returns the event to return instead."""


@define(eq=False)
class Watch(Generic[W]):
    """Events of workflows as they are observed: `async with … as events: async for event in events: …`.

    A workflow's first event is a `Change` with `was=None`. Iteration ends when every watched workflow has ended. A
    watch of a filter does not end. `aclose()` ends either from outside. Unread changes of one workflow are merged, so
    that at most two events per workflow are queued.
    """

    _poller: Poller[W]
    _subscription: Subscription[W]
    _ids: tuple[int, ...] = ()
    _discovery: Discovery[W] | None = None
    _hook: EventHook[W] | None = None
    _entered: bool = field(default=False, init=False)

    @property
    def ids(self) -> frozenset[int]:
        """The ids that are watched now."""
        return frozenset(self._subscription.ids)

    def add(self, *workflow_ids: int | str) -> None:
        """Watch these workflows too."""
        for id in (parse_id("workflow_id", id) for id in workflow_ids):
            if self._discovery is not None:
                self._discovery.include(id)
            self._poller.join(self._subscription, [id])

    def drop(self, *workflow_ids: int | str) -> None:
        """Stop watching these workflows."""
        for id in (parse_id("workflow_id", id) for id in workflow_ids):
            self._leave(id, ended=False)

    def eta(self, workflow_id: int) -> float | None:
        """Return the seconds that a workflow usually still takes. None until three of its kind have been seen."""
        return self._poller.eta(workflow_id)

    def last_error(self, workflow_id: int | None = None) -> CallError | None:
        """Return why the last check of a workflow failed. None if it succeeded, or before the first check.

        A watch goes on after an error that may pass, so this says what is wrong before the watch gives up. Without an
        id, return why the list of a filter could not be read.
        """
        if workflow_id is not None:
            return self._poller.last_error(workflow_id)
        return None if self._discovery is None else self._discovery.last_error

    async def __aenter__(self) -> Self:
        self._poller.join(self._subscription, self._ids)
        if self._discovery is not None:
            self._subscription.open_ended = True
            self._poller.join_list(self._subscription, self._discovery)
        self._entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the watch, also from another task of the same event loop. `async for` over it ends.

        Events that were not read are dropped. Then wait until no request is in flight, if this client watches nothing
        else.
        """
        self._subscription.open_ended = False
        self._poller.leave(self._subscription)
        await self._poller.wait_settled()

    async def heartbeat(self, seconds: float) -> AsyncIterator[WatchEvent[W] | None]:
        """Yield each event, and None whenever none has come for this many seconds. Ends with the watch.

        Send something for each None. It shows that a reader has left while nothing changes. Waiting for an event is
        what is given up, so that no check and no remedy is cancelled.

        Raises:
            InvalidArgument: on the first step, if `seconds` is not above 0.
        """
        check_positive("seconds", 0 if seconds is None else seconds)
        self._check_entered()
        while True:
            event = await self._take()
            if event is not None:
                yield event
            elif self._over:
                return
            elif not await self._ready_within(seconds):
                yield None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent[W]:
        """Return the next event. Raise the error that has ended the watch. A cancelled step loses nothing."""
        self._check_entered()
        while True:
            event = await self._take()
            if event is not None:
                return event
            if self._over:
                raise StopAsyncIteration
            await self._poller.wait_ready(self._subscription)

    @property
    def _over(self) -> bool:
        """True if there is nothing left to watch."""
        return not self._subscription.ids and not self._subscription.open_ended

    def _check_entered(self) -> None:
        if not self._entered:
            raise InvalidArgument("watch", "must be entered with `async with` before it is iterated")

    async def _take(self) -> WatchEvent[W] | None:
        """Take the next event that counts out of the queue. Return None if there is none."""
        while (event := self._subscription.get_nowait()) is not None:
            if self._poller.is_stale(event):
                continue
            event = await self._hooked(event)
            repeated = self._discovery is not None and self._discovery.is_repeated_end(event)
            self._note(event)
            if not repeated:
                return event
        return None

    async def _ready_within(self, seconds: float) -> bool:
        """Wait until the subscription is ready. Return False if that takes longer than this many seconds."""
        with anyio.move_on_after(seconds):
            await self._poller.wait_ready(self._subscription)
        return self._subscription.ready

    async def _hooked(self, event: WatchEvent[W]) -> WatchEvent[W]:
        if self._hook is None:
            return event
        try:
            return await self._hook(event)
        except BaseException:
            self._subscription.put_back(event)  # the next step returns it
            raise

    def _note(self, event: WatchEvent[W]) -> None:
        """Leave the workflow if the event ends it."""
        if self._discovery is not None:
            self._discovery.on_reported(event)
        lost = isinstance(event, Vanished | PollingFailed | Replaced)
        if lost or (isinstance(event, Change) and event.now.final):
            self._leave(event.id, ended=True)

    def _leave(self, id: int, *, ended: bool) -> None:
        if self._discovery is not None:
            self._discovery.on_left(id, ended=ended)
        self._poller.leave(self._subscription, [id])


def watching(
    poller: Poller[W],
    ids: Iterable[int | str] | None,
    listing: Callable[[], Listing[W]] | None,
    *,
    poll: Poll,
    operations: bool,
    stalled_after: float | timedelta | None,
    hook: EventHook[W] | None = None,
) -> Watch[W]:
    """Return a watch of these ids, or of the workflows that a list shows."""
    check_poll(poll)
    check_stalled_after(stalled_after)
    subscription = Subscription[W](Tracking(poll, bool(operations), stalled_after), open_ended=listing is not None)
    discovery = None if listing is None else Discovery(poller, subscription, listing)
    watched = () if ids is None else parse_ids("workflow_ids", ids)
    return Watch(poller, subscription, watched, discovery, hook)
