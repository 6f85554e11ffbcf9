"""Carries a saved watch one round further."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Generic, TypeVar

from attrs import evolve, frozen

from workflow_async._core.origin import same_server
from workflow_async.errors import InvalidArgument
from workflow_async.monitor._engine.duration_text import DIGITS
from workflow_async.monitor._engine.subscription import WatchEvent
from workflow_async.monitor.spec.checked_source import CheckedSource
from workflow_async.monitor.spec.client import Client, active_listing, poller_of
from workflow_async.monitor.spec.engine_memory import memory_of
from workflow_async.monitor.spec.records import Cursor
from workflow_async.monitor.spec.round import Round
from workflow_async.monitor.spec.sharding import unique
from workflow_async.monitor.spec.snapshot import ActiveSnapshot, read_rows
from workflow_async.monitor.spec.watch_spec import WatchSpec
from workflow_async.phase import Workflow
from workflow_async.settings import check_int, check_timeout

W = TypeVar("W", bound=Workflow)

FORGET_AFTER = 600.0
"""Seconds after its end for which a watch of filters remembers a workflow that the list no longer shows."""


@frozen(kw_only=True)
class PollResult(Generic[W]):
    """What `poll_once` returns."""

    spec: WatchSpec
    """The watch after this round. Save it once the events are delivered."""
    events: tuple[WatchEvent[W], ...]
    next_at: datetime | None
    """When to poll again. It follows `Poll`, usual durations and the pauses that the server asks for.

    None if nothing is left to check.
    """
    requests: int
    """Requests that were sent. Retries and logins are not counted."""
    remaining: int
    """Workflows that have not ended and were not checked: because of `limit`, `within`, a pause, or a failed list."""
    etas: Mapping[int, float]
    """Seconds that workflows usually still take, by id, as far as that is known."""


async def poll_once(
    client: Client[W],
    spec: WatchSpec,
    *,
    limit: int | None = None,
    within: float | None = None,
    seen: ActiveSnapshot[W] | None = None,
) -> PollResult[W]:
    """Check every workflow that has not ended once. Return the watch after that, and the events.

    The requests are those of `watch`: the list of active workflows if that takes fewer, otherwise bulk checks, and a
    GET for each workflow that needs one. The workflows that were checked longest ago come first. A workflow that was
    not reached stays as it was. While the server asks for a pause, nothing is sent.

    If a process stops before it has saved the new spec, the next one returns the same events with the same keys. A
    receiver that drops events with a known key loses no end.

    Args:
        client: a client of the server.
        spec: the watch.
        limit: the maximum number of workflows that are checked by bulk checks and GETs. Rows of a list do not count.
        within: seconds after which the round ends. Requests in flight are cancelled.
        seen: the list that `snapshot_active` has read. The round reads no list then.

    Raises:
        InvalidArgument: the spec or the snapshot belongs to another server than the client, or an argument is wrong.
        CallError: the list of a watch of filters could not be read. The spec is still good.
    """
    _check(client, spec, limit, within, seen)
    poller = poller_of(client)
    clock = evolve(poller.clock, now=poller.clock.wall)
    spec, requests = evolve(spec, cursors=unique(spec.cursors)), 0
    if spec.filters is not None:
        seen = await read_rows(
            spec.url, active_listing(client, spec.filters, operations=spec.operations)(), clock.wall()
        )
        spec, requests = _with_found(spec, seen, clock.wall()), seen.requests
    cursors = {cursor.id: _begun(cursor, clock.wall()) for cursor in spec.cursors}
    source = CheckedSource(poller.source, clock, cursors)
    polled = Round(spec, source, clock, poller.observer, limit)
    await polled.run(within, seen)
    return _result(polled, requests)


def _check(
    client: Client[W], spec: WatchSpec, limit: int | None, within: float | None, seen: ActiveSnapshot[W] | None
) -> None:
    if not same_server(spec.url, client.url):
        why = f"belongs to {spec.url}: pass a client of that server, not of {client.url}, or use spec.at(url)"
        raise InvalidArgument("spec", why)
    if limit is not None:
        check_int("limit", limit, least=1)
    check_timeout("within", within)
    if seen is None:
        return
    if spec.filters is not None:
        raise InvalidArgument("seen", "must be None for a watch of filters, which has a list of its own")
    if not same_server(seen.url, client.url):
        raise InvalidArgument("seen", f"belongs to {seen.url}: pass a snapshot of the same server")


def _begun(cursor: Cursor, now: float) -> Cursor:
    return cursor if cursor.since else evolve(cursor, since=now)


def _with_found(spec: WatchSpec, seen: ActiveSnapshot[W], now: float) -> WatchSpec:
    """Add the workflows that a list of filters shows. Forget those that ended a while ago and are not shown."""
    kept = (
        cursor
        for cursor in spec.cursors
        if not cursor.over or cursor.id in seen.rows or now - (cursor.checked_at or 0.0) < FORGET_AFTER
    )
    return evolve(spec, cursors=tuple(kept)).add(*seen.rows)


def _result(polled: Round[W], requests: int) -> PollResult[W]:
    engine, checked_at, next_at = polled.engine, polled.checked_at, polled.next_at()
    active = [id for id in polled.active if not engine.tracker.is_done(id)]
    etas = {id: engine.eta(id) for id in active}
    scheduler, durations = engine.scheduler, engine.tracker.estimates.durations
    spec = evolve(
        polled.spec,
        cursors=polled.cursors(),
        lists=polled.spec.lists and scheduler.list_disabled_until < math.inf,
        pages=scheduler.pages,
        durations={
            kind: tuple(round(seconds, DIGITS) for seconds in samples) for kind, samples in durations.samples.items()
        },
        server=memory_of(engine),
    )
    return PollResult(
        spec=spec,
        events=tuple(polled.events),
        next_at=None if next_at is None else datetime.fromtimestamp(next_at, UTC),
        requests=requests + polled.source.requests,
        remaining=sum(id not in checked_at for id in active),
        etas={id: seconds for id, seconds in etas.items() if seconds is not None},
    )
