"""The one poll loop of a client, however many watchers it has.

No task runs in the background: of the watchers that wait, one leads and looks for all of them; when it has what it came
for, or is cancelled, another takes over.
"""

import heapq
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import anyio
from attrs import define, field

from workflow_async.errors import ClientClosed, WorkflowAsyncError
from workflow_async.monitor.alarm import Alarm
from workflow_async.monitor.looks import GRAIN, Looks
from workflow_async.monitor.outcomes import Change
from workflow_async.monitor.pauses import Pause
from workflow_async.monitor.sight import Sight, operation_changes
from workflow_async.monitor.source import Source
from workflow_async.monitor.subscription import Event, Subscription
from workflow_async.phase import Workflow
from workflow_async.settings import Clock

W = TypeVar("W", bound=Workflow)

DRAIN = 1.0
"""Seconds that a leader which is served gives to the gets on their way, and a deadline to its last look."""
LINGER = 0.5
"""Seconds that a leader which is served goes on while more is due than can begin: the next has to begin anew."""
LAST_LOOKS = 64
"""Workflows that are looked at once more at a deadline; where more are left, none is."""
DEADLINES = 64
"""Deadlines of watchers that have gone, before they are thrown out."""


@define(eq=False)
class Poller(Generic[W]):
    """Watchers and what they watch; the looking itself is done by `Looks`."""

    source: Source[W]
    clock: Clock
    check: Callable[[], None] = lambda: None
    """Raises where the client cannot be used."""
    looks: Looks[W] = field(init=False)
    _watchers: dict[int, dict[Subscription[W], None]] = field(factory=dict, init=False)
    _deadlines: list[tuple[float, int, Subscription[W]]] = field(factory=list, init=False)
    _crowded: int = field(default=DEADLINES, init=False)
    _expiring: dict[Subscription[W], None] = field(factory=dict, init=False)
    _followers: dict[Subscription[W], None] = field(factory=dict, init=False)
    _leader: Subscription[W] | None = field(default=None, init=False)
    _ends: float | None = field(default=None, init=False)
    """When the leader, which is served, leaves at the latest."""
    _stirred: anyio.Event | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.looks = Looks(self.source, self.clock, self._tell, self._stir, self._went_on, self._fail)

    def join(self, subscription: Subscription[W], ids: Iterable[int]) -> None:
        """Watch these for a subscription; what is known of them already is told at once."""
        self.check()
        if subscription.deadline is not None and not subscription.ids:
            self._note(subscription.deadline, subscription)
        for workflow_id in ids:
            if workflow_id not in subscription.ids:
                self._join(subscription, workflow_id)
        self._stir()

    def _note(self, deadline: float, subscription: Subscription[W]) -> None:
        if len(self._deadlines) >= self._crowded:
            self._deadlines = [noted for noted in self._deadlines if noted[2].ids]
            heapq.heapify(self._deadlines)
            self._crowded = DEADLINES + 2 * len(self._deadlines)
        heapq.heappush(self._deadlines, (deadline, id(subscription), subscription))

    def _join(self, subscription: Subscription[W], workflow_id: int) -> None:
        subscription.ids.add(workflow_id)
        self._watchers.setdefault(workflow_id, {})[subscription] = None
        if subscription.detailed:
            self.looks.plan.detailed.add(workflow_id)
        if subscription.stalled_after is not None:
            self.looks.known.patience[workflow_id] = subscription.stalled_after
        self.looks.watch(workflow_id, subscription.poll)
        sight = self.looks.sights[workflow_id]
        if sight.workflow is not None and sight.changes:
            self._introduce(subscription, sight, sight.workflow)

    def _introduce(self, subscription: Subscription[W], sight: Sight[W], workflow: W) -> None:
        """Tell one who has just come what is known already; with operations, if it is known with them."""
        unclear = self.looks.known.answered.unclear(workflow)
        if unclear or (subscription.detailed and not self.source.whole(workflow)):
            self.looks.soon(sight.id)
            return
        subscription.post(
            Change(
                workflow=workflow,
                was=None,
                now=workflow.phase,
                seen_at=self.looks.known.wall(),
                operations=operation_changes(None, workflow) if subscription.detailed else (),
                key=f"{sight.id}/{sight.changes}",
            )
        )

    def show(self, subscription: Subscription[W], workflow: W, asked: float) -> None:
        """Watch a workflow that a subscription's own list, asked for then, shows, for as long as it does."""
        if workflow.id not in subscription.ids:
            self.join(subscription, [workflow.id])
        self.looks.shown(workflow, asked)
        self._stir()

    def leave(self, subscription: Subscription[W], ids: Iterable[int] | None = None) -> None:
        """Stop watching these, or everything, for a subscription; what nobody watches any more is forgotten."""
        gone = subscription.ids if ids is None else subscription.ids & set(ids)
        for workflow_id in list(gone):
            subscription.drop(workflow_id)
            watchers = self._watchers[workflow_id]
            del watchers[subscription]
            if watchers:
                self.looks.resume(workflow_id)
            else:
                del self._watchers[workflow_id]
                self.looks.forget(workflow_id)
        if not subscription.ids:
            self._expiring.pop(subscription, None)
            subscription.ring()
            self._stir()

    def give_up(self, subscription: Subscription[W], error: WorkflowAsyncError) -> None:
        """Let a subscription end with an error."""
        subscription.fail(error)
        self._stir()

    def answer(self, workflow_id: int, pause: Pause) -> None:
        """Report this pause of a workflow no more: a resume has answered it."""
        self.looks.known.answered.note(workflow_id, pause)

    def withdraw(self, workflow_id: int) -> None:
        """Report the pause of a workflow again: the resume was refused."""
        self.looks.known.answered.forget(workflow_id)
        self.wake(workflow_id)

    def stale(self, event: Event[W]) -> bool:
        """Return True if an event only reports a pause that has been answered since."""
        return isinstance(event, Change) and not event.operations and self.looks.known.answered.covers(event.workflow)

    def wake(self, workflow_id: int) -> None:
        """Look at a workflow as soon as possible; says nothing about how it does."""
        self.looks.soon(workflow_id)
        self._stir()

    def exists(self, workflow_id: int, workflow: W | None = None) -> None:
        """Remember that a start was answered with this workflow, so that a 404 right after it is not believed."""
        self.looks.known.exists(workflow_id, workflow)

    async def follow(self, subscription: Subscription[W]) -> None:
        """Wait until the subscription is ready, and look for everybody meanwhile if nobody else does."""
        self.check()
        try:
            while not subscription.ready:
                if self._leader is None:
                    await self._lead(subscription)
                else:
                    await self._be_led(subscription)
        finally:
            if self._leader is None:
                self._hand_over()
        if subscription.failure is not None:
            raise subscription.failure.with_traceback(None)  # others raise it too

    async def _be_led(self, subscription: Subscription[W]) -> None:
        self._followers[subscription] = None
        try:
            await subscription.rung()
        finally:
            del self._followers[subscription]

    async def _lead(self, subscription: Subscription[W]) -> None:
        self._leader, self._ends = subscription, None
        try:
            async with anyio.create_task_group() as group:
                alarm = Alarm(self.clock, group, self._stir)
                while not self._may_end(subscription):
                    self._stirred = anyio.Event()
                    alarm.set(self._wake_at(self.looks.begin(group)))
                    await self._stirred.wait()
                    self._expire()
                await self._drain()
                group.cancel_scope.cancel()
        finally:
            self._leader = self._stirred = None

    def _may_end(self, subscription: Subscription[W]) -> bool:
        """Whether a leader is served and may leave: the list is read whole, and nothing is due that cannot begin."""
        if not subscription.ready:
            return False
        if self._ends is None:
            self._ends = self.clock.now() + LINGER
        return not self.looks.plan.sweeping and (self._late or not self.looks.behind)

    @property
    def _late(self) -> bool:
        """Whether a leader that is served has gone on for long enough."""
        return self._ends is not None and self._ends <= self.clock.now() + GRAIN

    async def _drain(self) -> None:
        """Let the gets on their way be answered, for a moment: the next leader would have to ask again."""
        self.looks.draining = True
        with anyio.move_on_after(DRAIN):
            while not self.looks.idle:
                self._stirred = anyio.Event()
                await self._stirred.wait()

    def _hand_over(self) -> None:
        """Wake one of those who wait, to take the lead."""
        for follower in reversed(self._followers):  # most likely the one that stays longest
            follower.ring()
            return

    def _wake_at(self, look_at: float | None) -> float:
        """The instant of the next look, or when else time is up; a deadline can wait for the looks on their way."""
        ends = (look_at, None if self._late else self._ends, self._next_deadline() if self.looks.idle else None)
        return min((at for at in ends if at is not None), default=float("inf"))

    def _next_deadline(self) -> float | None:
        while self._deadlines and not self._deadlines[0][2].ids:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def _expire(self) -> None:
        """Take a last look for those whose deadline has come, and let them know when it is over."""
        now = self.clock.now() + GRAIN
        while self._deadlines and self._deadlines[0][0] <= now:
            subscription = heapq.heappop(self._deadlines)[2]
            self._expiring[subscription] = None
            for workflow_id in subscription.ids if len(subscription.ids) <= LAST_LOOKS else ():
                self.looks.once_more(workflow_id)
        for subscription in [late for late in self._expiring if not self.looks.pending(late.ids)]:
            del self._expiring[subscription]
            subscription.expire()

    def _stir(self) -> None:
        if self._stirred is not None:
            self._stirred.set()

    def _went_on(self) -> None:
        """A request has taken the place of another: the leader's business only if somebody's time is up."""
        deadline = self._next_deadline()
        if self._expiring or (deadline is not None and deadline <= self.clock.now() + GRAIN):
            self._stir()

    def _tell(self, event: Event[W]) -> None:
        if self._leader is not None and not self._leader.ready:
            self._stir()
        for subscription in self._watchers.get(event.id, ()):
            subscription.post(event)

    def close(self) -> None:
        """The client is closing: every watcher is told at once."""
        self._fail(ClientClosed("the client was closed while this was watched"))

    def _fail(self, error: WorkflowAsyncError) -> None:
        """Nothing can be watched any more: every watcher gets the error."""
        for watchers in self._watchers.values():
            for subscription in watchers:
                subscription.fail(error)
        self._stir()
