"""What is known of a shard, for people."""

from attrs import frozen

from workflow_async._records.record import Record
from workflow_async.distributed.nats.shard_bucket import StoredShard
from workflow_async.errors import WorkflowAsyncError
from workflow_async.monitor import WatchSpec


@frozen(kw_only=True)
class ShardInfo(Record):
    """One shard of a distribution, as `NatsCoordinator.shards` returns it."""

    shard: str
    owner: str
    """The worker that has the lease, such as `host-4711-1f09c3`. "" if none has."""
    finished: bool
    """True if every workflow has an outcome."""
    age: float
    """Seconds since the last claim, renewal or save, by the clock of the broker."""
    size: int
    """Bytes of the saved watch. 0 once the shard is finished."""
    left: int | None
    """Workflows without an outcome. A watch of filters counts those it knows. None if the watch cannot be read."""


def shard_info(stored: StoredShard, now: float) -> ShardInfo:
    """Return what people want to know of a shard.

    Args:
        stored: the shard.
        now: seconds since 1970, by the clock of the broker.
    """
    return ShardInfo(
        shard=stored.entry.shard,
        owner=stored.entry.owner,
        finished=stored.entry.finished,
        age=max(0.0, now - stored.stored_at),
        size=len(stored.spec),
        left=0 if stored.entry.finished else _left(stored.spec),
    )


def _left(spec: bytes) -> int | None:
    try:
        return sum(not cursor.over for cursor in WatchSpec.from_bytes(spec).cursors)
    except WorkflowAsyncError:
        return None
