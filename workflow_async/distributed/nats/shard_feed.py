"""Follows the entries of a bucket and the workers that say they are alive."""

import asyncio

from attrs import define, field
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext, api

from workflow_async.distributed.nats.broker_calls import BrokerCalls
from workflow_async.distributed.nats.headers import entry_of
from workflow_async.distributed.nats.shard_bucket import ShardBucket
from workflow_async.distributed.nats.shard_view import ShardView

HEARTBEATS = 4.0
"""Heartbeats of the broker in a lease. Without two of them, nats-py subscribes again."""


@define(eq=False)
class ShardFeed:
    """Keeps a view of the bucket up to date. The broker sends each entry once it changes, without its watch."""

    calls: BrokerCalls
    bucket: ShardBucket
    view: ShardView
    _entries: JetStreamContext.PushSubscription | None = field(default=None, init=False)
    _workers: Subscription | None = field(default=None, init=False)
    _missing: int = field(default=0, init=False)
    """Number of entries that are yet to be received after the start. Negative until that number is known."""
    _complete: asyncio.Event = field(factory=asyncio.Event, init=False)
    _connection: int = field(default=-1, init=False)
    """Number of the connection that the entries are received on."""
    _starting: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    @property
    def subject(self) -> str:
        """The subject under which workers say that they are alive, or that they leave."""
        return f"{self.bucket.name}.workers"

    async def ensure(self) -> None:
        """Follow the bucket, from its newest entries if the connection is a new one."""
        async with self._starting:
            self.calls.check_connected()
            await self._follow(self.calls.client.stats["reconnects"])

    async def _follow(self, connection: int) -> None:
        if connection != self._connection:
            await self.calls.send(self._start)
            self.view.restart(self.calls.clock.now())
            self._connection = connection

    async def stop(self) -> None:
        """End the subscriptions."""
        subscriptions, self._connection = (self._entries, self._workers), -1
        self._entries = self._workers = None
        for subscription in subscriptions:
            if subscription is not None and self.calls.is_open:
                await subscription.unsubscribe()

    async def say(self, word: str) -> None:
        """Send a word about this worker, `alive` or `left`. It is not stored."""
        await self.calls.client.publish(f"{self.subject}.{word}", self.view.worker.encode())

    async def _start(self) -> None:
        await self.stop()
        self._missing, self._complete = 0, asyncio.Event()
        self._workers = await self.calls.client.subscribe(f"{self.subject}.*", cb=self._on_word)
        self._entries = await self.calls.jetstream().subscribe(
            f"{self.bucket.prefix}>",
            stream=self.bucket.stream,
            cb=self._on_entry,
            ordered_consumer=True,
            deliver_policy=api.DeliverPolicy.LAST_PER_SUBJECT,
            headers_only=True,
            idle_heartbeat=self.view.lease_seconds / HEARTBEATS,
        )
        await self._receive_all(self._entries)

    async def _receive_all(self, entries: JetStreamContext.PushSubscription) -> None:
        """Wait until every entry is received that was there at the start."""
        info = await entries.consumer_info()
        delivered = 0 if info.delivered is None else info.delivered.consumer_seq
        self._note_missing(delivered + (info.num_pending or 0))
        async with asyncio.timeout(self.calls.request_seconds):
            await self._complete.wait()

    def _note_missing(self, more: int) -> None:
        self._missing += more
        if self._missing == 0:
            self._complete.set()

    async def _on_entry(self, message: Msg) -> None:
        shard = message.subject.removeprefix(self.bucket.prefix)
        entry = entry_of(shard, message.metadata.sequence.stream, message.headers)
        if entry is None:
            self.view.remove(shard)
        else:
            self.view.observe(entry, self.calls.clock.now())
        self._note_missing(-1)

    async def _on_word(self, message: Msg) -> None:
        worker = message.data.decode()
        if message.subject.endswith(".left"):
            self.view.forget(worker)
        else:
            self.view.hear(worker, self.calls.clock.now())
