"""The stream of a distribution's events. It drops an event whose key it has stored within its duplicate window."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from attrs import define, field
from nats.js import JetStreamContext, api

from workflow_async.distributed.nats.broker_calls import BrokerCalls
from workflow_async.distributed.nats.headers import EVENT, MESSAGE_ID
from workflow_async.distributed.nats.shard_bucket import ensure_stream
from workflow_async.errors import WorkflowAsyncError
from workflow_async.monitor import WatchEvent

IN_FLIGHT = 256
"""Events that are sent before the first of them is acknowledged."""
LEASES = 4.0
"""Length of the duplicate window in leases. A worker that is killed while it sends is replaced within 1.5 leases."""
LEAST_WINDOW = 120.0
"""Seconds of the duplicate window at least, which is the default of NATS."""


@define(eq=False)
class EventStream:
    """Stores events, each under the subject of its shard."""

    calls: BrokerCalls
    name: str
    lease_seconds: float
    _js: JetStreamContext = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._js = self.calls.jetstream()

    async def create(self) -> None:
        """Create the stream if it does not exist. It keeps events until they are removed."""
        config = api.StreamConfig(
            name=f"{self.name}-events",
            subjects=[f"{self.name}.events.>"],
            duplicate_window=max(LEAST_WINDOW, LEASES * self.lease_seconds),
        )
        await self.calls.send(lambda: ensure_stream(self._js, config))

    async def store(self, shard: str, events: Sequence[WatchEvent[Any]]) -> None:
        """Store events in their order. Return once the broker has acknowledged all of them."""
        for start in range(0, len(events), IN_FLIGHT):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._store(shard, event)) for event in events[start : start + IN_FLIGHT]]
            for error in filter(None, (task.result() for task in tasks)):
                raise error

    async def _store(self, shard: str, event: WatchEvent[Any]) -> WorkflowAsyncError | None:
        """Store an event. Return the error, so that the other events are stored if they can be."""
        subject, body = f"{self.name}.events.{shard}", json.dumps(event.to_dict()).encode()
        headers = {MESSAGE_ID: event.key, EVENT: type(event).__name__}
        try:
            await self.calls.send(lambda: self._js.publish(subject, body, headers=headers))
        except WorkflowAsyncError as error:
            return error
        return None
