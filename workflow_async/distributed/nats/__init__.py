"""Coordinates workers by NATS JetStream. Needs the extra `nats`."""

from workflow_async.distributed.nats.coordinator import NatsCoordinator
from workflow_async.distributed.nats.journal import NatsJournal
from workflow_async.distributed.nats.pace import NatsPace
from workflow_async.distributed.nats.shard_info import ShardInfo

__all__ = ["NatsCoordinator", "NatsJournal", "NatsPace", "ShardInfo"]
