"""Coordinates workers by NATS JetStream. Needs the extra `nats`."""

from workflow_async.distributed.nats.pace import NatsPace

__all__ = ["NatsPace"]
