"""The key-value bucket of a distribution: one key for each shard, written by compare-and-set."""

import json
from datetime import datetime

from attrs import define, evolve, field, frozen
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from workflow_async.distributed.nats.broker_calls import BrokerCalls
from workflow_async.distributed.nats.headers import entry_of, headers_of
from workflow_async.distributed.nats.shard_view import ShardEntry
from workflow_async.errors import InvalidArgument

WRONG_REVISION = {10071, 10164}
"""JetStream's codes for a write whose expected revision is not the newest."""
NAME_IN_USE = 10058
"""JetStream's code for a stream that exists with another configuration."""
HEADER_ROOM = 4096
"""Bytes of a message that are left for its headers."""


@frozen
class StoredShard:
    """An entry with its watch."""

    entry: ShardEntry
    spec: bytes
    stored_at: float
    """Seconds since 1970, by the clock of the broker."""


async def ensure_stream(js: JetStreamContext, config: api.StreamConfig) -> None:
    """Create a stream. One that exists stays as it is, so that administrators can choose replicas and limits."""
    try:
        await js.stream_info(str(config.name))
    except NotFoundError:
        try:
            await js.add_stream(config)
        except APIError as error:
            if error.err_code != NAME_IN_USE:  # otherwise another worker was faster, with another lease
                raise


@define(eq=False)
class ShardBucket:
    """Reads and writes the entries of shards. `nats kv` shows the bucket under the same name."""

    calls: BrokerCalls
    name: str
    worker: str
    _js: JetStreamContext = field(init=False)
    _writes: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._js = self.calls.jetstream()

    @property
    def stream(self) -> str:
        """The stream that NATS keeps the bucket in."""
        return f"KV_{self.name}"

    @property
    def prefix(self) -> str:
        """The subject of a shard without its name."""
        return f"$KV.{self.name}."

    async def create(self) -> None:
        """Create the bucket if it does not exist. The settings are those of `nats kv add`."""
        config = api.StreamConfig(
            name=self.stream,
            subjects=[f"{self.prefix}>"],
            max_msgs_per_subject=1,
            discard=api.DiscardPolicy.NEW,
            allow_rollup_hdrs=True,
            allow_direct=True,
            deny_delete=True,
        )
        await self.calls.send(lambda: ensure_stream(self._js, config))

    def check_size(self, argument: str, shard: str, spec: bytes) -> None:
        """Raise `InvalidArgument` if a watch does not fit into a message."""
        most = self.calls.client.max_payload - HEADER_ROOM
        if len(spec) > most:
            why = f"{shard} has {len(spec):,} bytes but NATS takes {most:,}: split the watch into more shards"
            raise InvalidArgument(argument, why)

    async def read(self, shard: str) -> StoredShard | None:
        """Return the newest entry of a shard, from the leader of the stream. None if there is none."""
        return await self.calls.send(lambda: self._read(shard))

    async def write(self, entry: ShardEntry, spec: bytes, expected: int, *, follow_own: bool) -> ShardEntry | None:
        """Write an entry if `expected` is its newest revision. Return it with its revision. None if it is not.

        A lost answer does not stay in doubt: the entry says which write of which worker it is.

        Args:
            entry: the shard, its owner, and whether it is finished.
            spec: the watch.
            expected: the revision that the entry replaces. 0 for a new shard.
            follow_own: also replace a later entry of this worker, which is an earlier write whose answer was lost.
        """
        self._writes += 1
        own = evolve(entry, writer=self.worker, write=self._writes)
        revision = await self.calls.send(lambda: self._write(own, spec, expected, follow_own=follow_own))
        return None if revision is None else evolve(own, revision=revision)

    async def delete(self, shard: str) -> None:
        """Remove every trace of a shard."""
        await self.calls.send(lambda: self._js.purge_stream(self.stream, subject=f"{self.prefix}{shard}"))

    async def broker_time(self) -> float:
        """Return the clock of the broker, as seconds since 1970."""
        subject = f"$JS.API.STREAM.INFO.{self.stream}"
        answer = await self.calls.send(lambda: self.calls.client.request(subject, timeout=self.calls.request_seconds))
        return datetime.fromisoformat(json.loads(answer.data)["ts"]).timestamp()

    async def _read(self, shard: str) -> StoredShard | None:
        try:
            message = await self._js.get_msg(self.stream, subject=f"{self.prefix}{shard}")
        except NotFoundError:
            return None
        entry = entry_of(shard, message.seq or 0, message.headers)
        stored_at = 0.0 if message.time is None else message.time.timestamp()
        return None if entry is None else StoredShard(entry, message.data or b"", stored_at)

    async def _write(self, entry: ShardEntry, spec: bytes, expected: int, *, follow_own: bool) -> int | None:
        subject = f"{self.prefix}{entry.shard}"
        try:
            acknowledged = await self._js.publish(subject, spec, headers=headers_of(entry, expected))
        except APIError as error:
            if error.err_code not in WRONG_REVISION:
                raise
        else:
            return acknowledged.seq
        found = await self._read(entry.shard)
        if found is None or found.entry.writer != self.worker:
            return None
        if found.entry.write == entry.write:
            return found.entry.revision
        if not follow_own or found.entry.revision <= expected:
            return None
        return await self._write(entry, spec, found.entry.revision, follow_own=follow_own)
