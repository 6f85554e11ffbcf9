"""One read of the list of active workflows for all shards of a server that are due."""

import math
from collections.abc import Sequence
from typing import Any

import anyio
from attrs import define, evolve, field

from workflow_async.distributed.held_shard import LONGEST_ROUND, HeldShard
from workflow_async.errors import CallError, ListingNotSupported
from workflow_async.monitor import ActiveSnapshot, WatchSpec, snapshot_active
from workflow_async.monitor.spec.client import Client, poller_of
from workflow_async.observe.log import log
from workflow_async.settings import Clock

SKIP_FOR = 60.0
"""Seconds without a shared list after it could not be read. Each shard then decides for itself."""


@define(eq=False)
class SharedList:
    """The list of one server."""

    client: Client[Any]
    clock: Clock
    _skip_until: float = field(default=-math.inf, init=False)

    def pays(self, due: Sequence[HeldShard]) -> bool:
        """Return True if the list takes fewer requests than a check of each workflow that is due."""
        if self.clock.now() < self._skip_until or not poller_of(self.client).source.supports_listing:
            return False
        pages = max((shard.spec.pages for shard in due), default=1)
        return sum(shard.active for shard in due) > pages

    def covers(self, spec: WatchSpec) -> bool:
        """Return True if the list may stand for the checks of this watch."""
        return spec.filters is None and spec.lists and self.clock.wall() >= spec.server.list_disabled_until

    async def read(self, shards: Sequence[HeldShard]) -> ActiveSnapshot[Any] | None:
        """Read the list. Return None if that failed."""
        specs = [shard.spec for shard in shards]
        operations = any(spec.operations or spec.stalled_after is not None for spec in specs)
        try:
            with anyio.fail_after(LONGEST_ROUND):
                return await snapshot_active(self.client, operations=operations)
        except (CallError, TimeoutError) as error:
            self._skip_until = self.clock.now() + SKIP_FOR
            if isinstance(error, ListingNotSupported):
                self._skip_until = math.inf
                for shard in shards:
                    shard.spec = evolve(shard.spec, lists=False)
            else:
                log.warning("the list for all shards could not be read", extra={"error": type(error).__name__})
            return None
