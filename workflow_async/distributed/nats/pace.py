"""A budget of requests per second that any number of processes share, kept in NATS JetStream."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from attrs import define, field
from nats.aio.client import Client
from nats.js import JetStreamContext, errors as js_errors
from nats.js.kv import KeyValue

from workflow_async.distributed.coordinator import NAME
from workflow_async.distributed.nats.broker_calls import TRANSIENT
from workflow_async.distributed.shared_budget import Entry, RegisterUnavailable, SharedBudget
from workflow_async.distributed.slices import SLOWEST
from workflow_async.errors import InvalidArgument
from workflow_async.settings import Clock, check_positive

BUCKET = "workflow-async-pace"
AWAY = (*TRANSIENT, js_errors.ServerError)
"""Errors of a broker that is away, and may come back."""


class NatsPace:
    """A budget of requests per second for all processes that give it the same name in the same NATS.

    `OpencastClient(..., pace=NatsPace(client, "oc-main", rate=300.0).acquire)`. One object may serve several clients of
    one event loop. Over any 5 seconds, all processes together send at most 5 % more than the budget. While they have
    requests to send, they send at least 95 % of it.

    A process does not ask the broker for each request. It reserves slices of time, a few a second. The clocks of the
    machines need not agree. A process that ends has nothing to give back.

    While the broker is away, requests wait. Only the turns that are reserved are still used, which takes less than half
    a second. The timeout of a call limits its wait.

    The budget is a key of the key-value bucket `workflow-async-pace`, which is created if it does not exist. An
    existing bucket is used as it is.

    Args:
        client: a connected client of nats-py. Connect it with `max_reconnect_attempts=-1`, so that it survives any
            outage of the broker, and with a short `reconnect_time_wait`.
        name: the name of the budget: letters, digits, `-` and `_`. The same for all processes.
        rate: requests per second of all processes together. The same for all processes.
        clock: the source of time.

    Raises:
        InvalidArgument: the name or the rate is not valid.
    """

    def __init__(self, client: Client, name: str, *, rate: float, clock: Clock = Clock()) -> None:
        if not isinstance(name, str) or NAME.fullmatch(name) is None:
            raise InvalidArgument("name", "must be 1 to 100 letters, digits, - or _")
        check_positive("rate", rate)
        if rate is None or math.isinf(rate):
            raise InvalidArgument("rate", "must be a number above 0")
        self._budget = SharedBudget(NatsRegister(client, name), rate, clock)

    async def acquire(self) -> None:
        """Wait until the next request may be sent. A caller that is cancelled while it waits takes no turn.

        Raises:
            nats.errors.Error: the NATS client is closed, or may not use the bucket.
        """
        await self._budget.acquire()


@define
class NatsRegister:
    """The time until which turns are reserved, as one key of the bucket."""

    client: Client
    key: str
    _js: JetStreamContext = field(init=False)
    _bucket: KeyValue | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._js = self.client.jetstream(timeout=SLOWEST)

    async def read(self) -> Entry:
        """Return the entry."""
        async with self._operation():
            try:
                found = await self._js.get_last_msg(f"KV_{BUCKET}", f"$KV.{BUCKET}.{self.key}")
            except js_errors.NotFoundError:
                return Entry()
        until = json.loads(found.data)["until"] if found.data else None  # a key that was deleted has no data
        return Entry(until, found.seq or 0)

    async def write(self, entry: Entry) -> int | None:
        """Replace the entry with this revision. Return its new revision, or None if another process was faster."""
        async with self._operation():
            try:
                bucket = self._bucket = self._bucket or await self._open()
                return await bucket.update(self.key, json.dumps({"until": entry.until}).encode(), entry.revision)
            except js_errors.KeyWrongLastSequenceError:
                return None
            except js_errors.NoStreamResponseError:
                self._bucket = None  # the broker may have lost it
                raise

    async def stored_at(self, revision: int) -> float | None:
        """Return the broker's time at which a revision was written. None if it has been replaced."""
        async with self._operation():
            try:
                found = await self._js.get_msg(f"KV_{BUCKET}", revision)
            except js_errors.NotFoundError:
                return None
        return None if found.time is None else found.time.timestamp()

    async def _open(self) -> KeyValue:
        try:
            return await self._js.key_value(BUCKET)
        except js_errors.BucketNotFoundError:
            return await self._js.create_key_value(bucket=BUCKET)

    @asynccontextmanager
    async def _operation(self) -> AsyncIterator[None]:
        """Raise `RegisterUnavailable` if the broker is away, or does not respond in time."""
        if self.client.is_reconnecting:  # a write would be kept, and sent when nothing waits for it
            raise RegisterUnavailable("reconnecting")
        try:
            with anyio.fail_after(SLOWEST):
                yield
        except AWAY as error:
            raise RegisterUnavailable(type(error).__name__) from error
