"""Divides watches among processes: each shard belongs to one worker at a time, by a lease that fences."""

from workflow_async.distributed.coordinator import Claim, Coordinator, Lease, shards_of

__all__ = ["Claim", "Coordinator", "Lease", "shards_of"]
