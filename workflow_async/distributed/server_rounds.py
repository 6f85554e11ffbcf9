"""The rounds of the shards of one server."""

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
from attrs import define, field

from workflow_async.distributed.held_shard import HeldShard
from workflow_async.distributed.keeper import Keeper
from workflow_async.distributed.shared_list import SharedList
from workflow_async.distributed.wakeup import Wakeup
from workflow_async.errors import CallError
from workflow_async.monitor import ActiveSnapshot, poll_once
from workflow_async.monitor.spec.client import Client, poller_of
from workflow_async.observe.log import log
from workflow_async.settings import Clock

ROUNDS = 4
"""Rounds of one server at the same time. A shard whose requests hang delays the others less."""
Spawn = Callable[[Callable[[], Awaitable[None]]], None]


@define(eq=False)
class ServerRounds:
    """Polls the shards of one server when they are due. The shard that was polled longest ago comes first."""

    client: Client[Any]
    spawn: Spawn
    """Starts a task that ends with the rounds."""
    clock: Clock = field(init=False)
    wakeup: Wakeup = field(init=False)
    """Set it when another shard may be due."""
    shards: dict[str, Keeper] = field(factory=dict, init=False)
    _list: SharedList = field(init=False)
    _places: anyio.CapacityLimiter = field(factory=lambda: anyio.CapacityLimiter(ROUNDS), init=False)
    _paused_until: float = field(default=-math.inf, init=False)
    """The end of a pause that the server has asked for."""

    def __attrs_post_init__(self) -> None:
        self.clock = poller_of(self.client).clock
        self.wakeup = Wakeup(self.clock)
        self._list = SharedList(self.client, self.clock)

    async def run(self) -> None:
        """Begin rounds when they are due, until cancelled."""
        while True:
            due = self._due()
            if due:
                await self._begin(due)
            await self.wakeup.wait(self._next_due())

    def _pollable(self) -> list[Keeper]:
        now = self.clock.now()
        found = [keeper for keeper in self.shards.values() if keeper.shard.is_pollable(now)]
        return sorted(found, key=lambda keeper: keeper.shard.polled_at)

    def _due(self) -> list[Keeper]:
        now = self.clock.now()
        return [keeper for keeper in self._pollable() if max(keeper.shard.due, self._paused_until) <= now]

    def _next_due(self) -> float:
        return max(min((keeper.shard.due for keeper in self._pollable()), default=math.inf), self._paused_until)

    async def _begin(self, due: list[Keeper]) -> None:
        """Begin the rounds that are due. If they share a list, rounds that are nearly due join them."""
        listed = [keeper for keeper in due if self._list.covers(keeper.shard.spec)]
        seen: ActiveSnapshot[Any] | None = None
        if listed:
            listed += self._nearly_due(due)
            shards = [keeper.shard for keeper in listed]
            if len(shards) > 1 and self._list.pays(shards):
                seen = await self._list.read(shards)
        shared = listed if seen is not None else []
        for keeper in sorted({*due, *shared}, key=lambda keeper: keeper.shard.polled_at):
            keeper.shard.in_round = True
            self.spawn(partial(self._round, keeper, seen if keeper in shared else None))

    def _nearly_due(self, due: list[Keeper]) -> list[Keeper]:
        now = self.clock.now()
        waiting = [keeper for keeper in self._pollable() if keeper not in due]
        return [each for each in waiting if each.shard.is_past_half(now) and self._list.covers(each.shard.spec)]

    async def _round(self, keeper: Keeper, seen: ActiveSnapshot[Any] | None) -> None:
        try:
            async with self._places:
                if not keeper.shard.leaving and self.clock.now() < keeper.shard.ends_at:
                    await self._poll(keeper.shard, seen)
        finally:
            keeper.shard.in_round = False
            keeper.wakeup.set()
            self.wakeup.set()

    async def _poll(self, shard: HeldShard, seen: ActiveSnapshot[Any] | None) -> None:
        try:
            polled = await poll_once(self.client, shard.spec, within=shard.round_seconds, seen=seen)
        except CallError as error:
            shard.failed(self.clock.now(), error.retry_after)
            log.warning("a round of a shard failed", extra={"shard": shard.name, "error": str(error)})
            return
        now, wall = self.clock.now(), self.clock.wall()
        delay = 0.0 if polled.next_at is None else max(0.0, polled.next_at.timestamp() - wall)
        shard.polled(polled, now + delay, now)
        self._paused_until = max(self._paused_until, now + polled.spec.server.paused_until - wall)
