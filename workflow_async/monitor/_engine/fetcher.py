"""Looking: the requests of a plan, and what becomes of their answers."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

from attrs import define, field

from workflow_async._core.call import Replay
from workflow_async._core.retry import retryable
from workflow_async.errors import (
    CallError,
    DeadlineExceeded,
    RateLimited,
    ServerError,
    StatusError,
    WorkflowAsyncError,
)
from workflow_async.monitor._engine.backoff import LoadBackoff, announced_pause, poll_delay, scaled_delay
from workflow_async.monitor._engine.fallback import BulkHealth, ListHealth
from workflow_async.monitor._engine.observation import Observation
from workflow_async.monitor._engine.scheduler import Scheduler
from workflow_async.monitor._engine.subscription import WatchEvent
from workflow_async.monitor._engine.tracker import Tracker
from workflow_async.monitor._engine.wakes import WakeTimes
from workflow_async.monitor.source import Source
from workflow_async.phase import Workflow
from workflow_async.settings import Clock, Poll

W = TypeVar("W", bound=Workflow)

TIMER_SLACK = 0.001
"""Seconds a look may be early: timers are not exact, and a loop that naps for less would spin."""
Start = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
"""Starts a request as a task."""
SLOW_RESPONSE = 5.0
"""Seconds from which on an answer says that the server is busy."""


@define(eq=False)
class Fetcher(Generic[W]):
    """The looks of one client at its server: `begin` begins what is due, `tell` hears what is new."""

    source: Source[W]
    clock: Clock
    tell: Callable[[WatchEvent[W]], None]
    stir: Callable[[], None]
    """Called when a request is over, so that what is due next is planned."""
    went_on: Callable[[], None]
    """Called instead where another has begun in its place."""
    fail: Callable[[WorkflowAsyncError], object]
    """Called when no look can ever work again: the client is closed."""
    plan: Scheduler = field(init=False)
    known: Tracker[W] = field(init=False)
    _strain: LoadBackoff = field(factory=LoadBackoff, init=False)
    _calm_sweeps: int = field(default=0, init=False)
    _wakes: WakeTimes = field(factory=WakeTimes, init=False)
    _woken_in_flight: set[int] = field(factory=set, init=False)
    _list: ListHealth = field(factory=ListHealth, init=False)
    _bulk: BulkHealth = field(factory=BulkHealth, init=False)

    def __attrs_post_init__(self) -> None:
        self.plan = Scheduler(lists=self.source.lists, glances=self.source.glances)
        self.known = Tracker(self.source, self.clock, self.tell, self.plan.detailed)

    def renewed(self) -> "Fetcher[W]":
        """Return looks that watch nothing, and know what these know of the server and of workflows that were seen."""
        fresh = Fetcher(self.source, self.clock, self.tell, self.stir, self.went_on, self.fail)
        for id in list(self.sights):
            self.known.forget(id)
        fresh.known, fresh._strain, fresh._list.rows = self.known, self._strain, self._list.rows
        fresh.known.detailed, fresh.plan.quiet_until = fresh.plan.detailed, self.plan.quiet_until
        fresh.plan.list_from, fresh.plan.bulk_from = self.plan.list_from, self.plan.bulk_from
        return fresh

    @property
    def sights(self) -> dict[int, Observation[W]]:
        """What is known, by id."""
        return self.known.sights

    def watch(self, id: int, poll: Poll, known: Observation[W] | None = None) -> None:
        """Look at it from here on."""
        anew = self.known.watch(id, known)
        self.plan.add(id, poll)
        if anew:
            self.plan.renew(id)

    def resume(self, id: int) -> None:
        """Look at it, if that was left to a list which nobody reads any more."""
        if not self.known.over(id):
            self.plan.renew(id)

    def soon(self, id: int) -> None:
        """Let the next look at it be now."""
        if not self.known.over(id):
            self.plan.soon(id, self.clock.now())

    def wake(self, id: int) -> None:
        """Check a workflow soon because of a hint: at once, but at most once a second."""
        if self.known.over(id):
            return
        at = self._wakes.next(id, self.clock.now())
        if id in self.plan.asked:
            self._woken_in_flight.add(id)  # the request on its way may have read the state before the change
        else:
            self.plan.soon(id, at)

    def once_more(self, id: int) -> None:
        """Check it before everything else that is due, unless its last check failed or the server is left alone."""
        quiet = self.plan.quiet(self.clock.now() + TIMER_SLACK)
        if not quiet and not self.known.over(id) and not self.sights[id].failures:
            self.plan.soon(id, -math.inf)

    def pending(self, ids: set[int]) -> bool:
        """Whether a look at any of these is on its way, or to begin at once."""
        return not (self.plan.asked.isdisjoint(ids) and self.plan.certain.isdisjoint(ids))

    def forget(self, id: int) -> None:
        """Look at it no more."""
        self.known.forget(id)
        self.plan.remove(id)
        self._wakes.forget(id)

    def begin(self, start: Start) -> float | None:
        """Start every check that is due as a task. Return the instant at which the next one is due, or None."""
        now = self.clock.now()
        asks = self.plan.ask(now + TIMER_SLACK, self.sights, self._strain.factor)
        self.known.outages.plan(asks.next, now)
        if asks.sweep:
            start(self._sweep())
        for chunk in asks.glances:
            start(self._glance(chunk))
        for id in asks.gets:
            start(self._gets(id, id in asks.confirms))
        return asks.next

    @property
    def idle(self) -> bool:
        """Whether no request is on its way."""
        return not self.plan.flights and not self.plan.sweeping

    @property
    def quiet_for(self) -> float:
        """Seconds for which the server is left alone, because it has asked for that. 0 if it has not."""
        return max(0.0, self.plan.quiet_until - self.clock.now())

    def shown(self, workflow: W, asked: float) -> None:
        """Take a row of a list that is not the plan's; as long as it shows the workflow, nothing else need ask."""
        self.plan.rest(workflow.id)
        if not self.known.listed(workflow, asked):
            self.soon(workflow.id)

    # Requests

    async def _gets(self, id: int, confirming: bool) -> None:  # noqa: FBT001 - called with a variable
        """Get one, and as long as the server answers and more are due than may be on their way, the next in its place.

        Its answer is read and the next request sent without a turn of the event loop between: where many answers come
        at once, the first requests are on their way again while the last answers are read.
        """
        following: tuple[int, bool] | None = (id, confirming)
        while following is not None:
            answered = await self._get(*following)
            following = self._following() if answered else None
        self.stir()

    def _following(self) -> tuple[int, bool] | None:
        """What to get in the place of what is got."""
        following = self.plan.another(self.clock.now() + TIMER_SLACK, self.sights)
        if following is not None:
            self.went_on()
        return following

    async def _get(self, id: int, confirming: bool) -> bool:  # noqa: FBT001 - likewise
        """Get one; whether the server has answered."""
        asked = due = self.clock.now()
        sight = self.sights.get(id)
        whole = confirming or id in self.plan.detailed or (sight is not None and sight.ending)
        answered = False
        try:
            workflow = await self.source.get(id, operations=whole)
        except CallError as error:
            due = self._missed(id, error)
        except WorkflowAsyncError as error:
            self.fail(error)
            due = self._next_look(id)
        else:
            answered = True
            self.answered(asked)
            self._get_answered()
            due = self._next_look(id) if self.known.got(workflow, asked) else asked
        finally:
            self._landed((id,), {id: due})
        return answered

    async def _glance(self, ids: Sequence[int]) -> None:
        """Check many with one request. One that fails says nothing about the workflows: they are got by id."""
        asked = self.clock.now()
        due, doubted = dict.fromkeys(ids, asked), set[int]()
        known = [sight.workflow for id in ids if (sight := self.sights.get(id)) and sight.workflow is not None]
        try:
            doubted.update(await self.source.suspects(known) if known else ())
        except CallError as error:
            self._bulk_failed(error)
            doubted.update(ids)
        except WorkflowAsyncError as error:
            self.fail(error)
            due = {id: self._next_look(id) for id in ids}
        else:
            self._bulk.answered()
            self.answered(asked)
            due = {id: self._glanced(id) for id in ids}
        finally:
            self._landed(ids, due)
            self.plan.doubted(doubted, self.clock.now())
        self.stir()

    def _bulk_failed(self, error: CallError) -> None:
        self.refused(error)
        left_out = self._bulk.failed(error)
        if left_out is not None:
            self.plan.without_bulk(self.clock.now() + left_out)

    async def _sweep(self) -> None:
        began = asked = again = self.clock.now()
        covered, told, shown, pages = set(self.plan.covered), self.known.told, set[int](), 0
        listing = self.source.active(operations=bool(self.plan.detailed), rows=max(self._list.rows or 0, len(covered)))
        try:
            async for page in listing.pages():
                self.answered(asked)
                pages += 1
                # asked for ahead, nobody knows when: what was got since the sweep began may be newer
                shown.update([workflow.id for workflow in page.items if self.known.listed(workflow, began)])
                asked = self.clock.now()
        except CallError as error:
            again = self._unlisted(error, began)
        except WorkflowAsyncError as error:
            self.fail(error)
        else:
            self._list.was_read(listing.report.rows)
            self._calm_sweeps = self._calm_sweeps + 1 if told == self.known.told else 0
            lost = covered - shown
            lost -= self.known.sure(lost, began)
            ran = self.known.running(lost)
            self.plan.swept(pages, shown, lost, self.clock.now(), self._next_sweep(began), ran=ran)
        finally:
            if self.plan.sweeping:
                self.plan.unswept(again)
        self.stir()

    def _landed(self, ids: Sequence[int], due: dict[int, float]) -> None:
        """A request is over, in whatever way."""
        self._list.get_over(ids)
        going = {id: at for id, at in due.items() if not self.known.over(id)}
        self.plan.answered(ids, going)
        for id in ids:
            if id in self.sights and id not in going:
                self.plan.rest(id)
        for id in self._woken_in_flight.intersection(ids):
            self._woken_in_flight.discard(id)
            if id in going:
                self.plan.soon(id, self._wakes.next(id, self.clock.now()))

    def _glanced(self, id: int) -> float:
        if not self.known.over(id):
            self.known.glanced(id)
        return self._next_look(id)

    def _missed(self, id: int, error: CallError) -> float:
        """Take a get that failed. Return the instant of the next check."""
        if not self.known.over(id):
            self.known.missed(id, error, self.plan.polls[id])
        if isinstance(error, StatusError) and not retryable(error, Replay.SAFE):
            self._get_answered()
        elif self._list.get_failed(id):
            self._all_missed(error)
        self.refused(error)
        return self._next_look(id)

    # The list

    def _unlisted(self, error: CallError, began: float) -> float:
        """Take a list that could not be read. Return the instant to read it again."""
        self.refused(error)
        left_out = self._list.failed(error, self.plan.covered)
        if left_out is not None:
            self.plan.without_list(self.clock.now() + left_out)
        elif self._list.probe is not None:
            self.soon(self._list.probe)
        return self._next_sweep(began)

    def _all_missed(self, error: CallError) -> None:
        """Count a failed check of all that the list should show: neither the list nor a get was answered."""
        for id in list(self.plan.covered):
            self.known.missed(id, error, self.plan.polls[id])
            if self.known.over(id):
                self.plan.rest(id)

    def _get_answered(self) -> None:
        if self._list.get_answered():
            self.plan.sweep_at = self.clock.now()

    # How often

    def _next_look(self, id: int) -> float:
        """The instant to look again, by what was seen of it so far."""
        now = self.clock.now()
        if self.known.over(id):
            return now
        sight, poll = self.sights[id], self.plan.polls[id]
        same = sight.unchanged + sight.failures
        seconds = poll_delay(poll, same, self.clock.jitter(), self.known.remaining(id))
        return now + self.slowed(poll, seconds)

    def _next_sweep(self, began: float) -> float:
        poll = self.plan.fastest
        return began + self.slowed(poll, poll_delay(poll, self._calm_sweeps + self._list.failures, self.clock.jitter()))

    def slowed(self, poll: Poll, seconds: float) -> float:
        """A pause, longer if the server is busy."""
        return scaled_delay(poll, seconds, self._strain.factor)

    def answered(self, asked: float) -> None:
        """The server has answered; slowly, if it is busy."""
        now = self.clock.now()
        if self._strain.answered(now, self.plan.fastest.interval, slowly=now - asked > SLOW_RESPONSE):
            self.plan.recovered(max(now, self.plan.quiet_until))

    def refused(self, error: CallError) -> None:
        """Take a request that failed. Slow down if the server is busy, and pause everything if it asks for a pause."""
        now, fastest = self.clock.now(), self.plan.fastest
        if isinstance(error, RateLimited | ServerError | DeadlineExceeded):
            self._strain.refused(now, fastest.interval)
        seconds = announced_pause(error)
        if seconds:
            self.known.outages.announce(now, seconds)
        elif error.retry_after and retryable(error, Replay.SAFE):
            seconds = fastest.outage  # it asks for more than a day
        self.plan.quiet_until = max(self.plan.quiet_until, now + seconds)
