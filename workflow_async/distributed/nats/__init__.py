"""Coordinates workers by NATS JetStream. Needs the extra `nats`."""

from workflow_async.distributed.nats.journal import NatsJournal
from workflow_async.distributed.nats.pace import NatsPace

__all__ = ["NatsJournal", "NatsPace"]
