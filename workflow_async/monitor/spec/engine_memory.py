"""Takes what an engine has learned about its server out of it, and puts it into another engine."""

import math
from typing import Any

from workflow_async.monitor._engine.backoff import LoadBackoff, OutageClock
from workflow_async.monitor._engine.engine import Engine
from workflow_async.monitor.spec.server_memory import ServerMemory


def memory_of(engine: Engine[Any]) -> ServerMemory:
    """Return what an engine knows of its server."""
    scheduler, fetcher, load, outages = engine.scheduler, engine.fetcher, engine.fetcher.load, engine.outages
    return ServerMemory(
        paused_until=_finite(scheduler.paused_until) if engine.paused_for else 0.0,  # clocks differ a little
        factor=load.factor,
        refused_at=_finite(load.refused_at),
        eased_at=_finite(load.eased_at),
        refusals=load.refusals,
        announced=outages.announced,
        announced_until=_finite(outages.announced_until),
        list_rows=fetcher.list_health.rows or 0,
        list_failures=fetcher.list_health.failures,
        list_unanswered=fetcher.list_health.unanswered,
        only_list=fetcher.list_health.only_list,
        unchanged_lists=fetcher.unchanged_lists,
        distrusts_list=scheduler.distrusts_list,
        list_disabled_until=_finite(scheduler.list_disabled_until),
        bulk_failures=fetcher.bulk_health.failures,
        bulk_disabled_until=_finite(scheduler.bulk_disabled_until),
    )


def recall(memory: ServerMemory, engine: Engine[Any]) -> None:
    """Let an engine that has sent no request know all this."""
    scheduler, fetcher = engine.scheduler, engine.fetcher
    scheduler.paused_until, scheduler.distrusts_list = memory.paused_until, memory.distrusts_list
    scheduler.list_disabled_until, scheduler.bulk_disabled_until = (
        memory.list_disabled_until,
        memory.bulk_disabled_until,
    )
    fetcher.load = LoadBackoff(memory.factor, memory.refused_at, memory.eased_at, memory.refusals)
    fetcher.unchanged_lists = memory.unchanged_lists
    health = fetcher.list_health
    health.rows, health.failures = memory.list_rows or None, memory.list_failures
    health.unanswered, health.only_list = memory.list_unanswered, memory.only_list
    fetcher.bulk_health.failures = memory.bulk_failures
    engine.tracker.outages = OutageClock(announced=memory.announced, announced_until=memory.announced_until)


def _finite(instant: float) -> float:
    """Return an instant, 0 if it never came or never comes."""
    return instant if 0.0 <= instant < math.inf else 0.0
