"""Carries on shards until all are finished, as one of any number of workers."""

from collections.abc import Iterable
from typing import Any

from workflow_async._core.cancellation import in_child_task
from workflow_async.distributed.calls import CoordinatorCalls
from workflow_async.distributed.coordinator import Coordinator
from workflow_async.distributed.worker import Worker
from workflow_async.errors import InvalidArgument
from workflow_async.monitor.spec.client import Client, poller_of
from workflow_async.settings import check_positive


async def distribute(clients: Client[Any] | Iterable[Client[Any]], coordinator: Coordinator) -> None:
    """Poll a fair share of the shards, and deliver their events, until every shard is finished.

    Run this in any number of processes, each with a coordinator object of its own. A worker that dies is replaced by
    the others once its leases have ended. A worker that is cancelled saves and releases its shards in at most 5
    seconds.

    Every event of a round is delivered before the watch after the round is saved. So no event is lost, and an event
    that is delivered again has the same key. A shard whose lease could end before a call does is renewed first, by this
    machine's monotonic clock, so that a worker that is late delivers nothing.

    While the coordinator does not answer, its calls are repeated. A shard with undelivered events is not polled until
    they are delivered. A server that fails delays only its own shards.

    Args:
        clients: an open client of each server that shards belong to. Its clock is the one of the worker.
        coordinator: what the workers share.

    Raises:
        InvalidArgument: there is no client, or the lease is not above 0 seconds.
        ClientClosed: a client was closed.
    """
    each: tuple[Client[Any], ...] = tuple(clients) if isinstance(clients, Iterable) else (clients,)
    if not each:
        raise InvalidArgument("clients", "must be at least one client")
    check_positive("coordinator.lease_seconds", coordinator.lease_seconds)
    calls = CoordinatorCalls(coordinator, coordinator.lease_seconds)
    await in_child_task(Worker(each, calls, poller_of(each[0]).clock).run)
