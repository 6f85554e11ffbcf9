"""Divides watches among processes: each shard belongs to one worker at a time, by a lease that fences."""

from workflow_async.distributed.coordinator import Claim, Coordinator, Lease, shards_of
from workflow_async.distributed.distribute import distribute
from workflow_async.distributed.memory import MemoryCoordinator, MemoryStore

__all__ = ["Claim", "Coordinator", "Lease", "MemoryCoordinator", "MemoryStore", "distribute", "shards_of"]
