"""Splits and joins the cursors of a watch. Pure."""

import zlib
from collections.abc import Iterable, Mapping

from attrs import evolve

from workflow_async.monitor._engine.durations import DurationStats
from workflow_async.monitor.spec.records import Cursor


def shard_of(id: int, shards: int) -> int:
    """Return the number of the shard that a workflow belongs to. It depends on nothing but the id and `shards`."""
    return zlib.crc32(str(id).encode()) % shards


def split(cursors: Iterable[Cursor], shards: int) -> list[tuple[Cursor, ...]]:
    """Return the cursors of each shard, in their order."""
    parts: list[list[Cursor]] = [[] for _ in range(shards)]
    for cursor in cursors:
        parts[shard_of(cursor.id, shards)].append(cursor)
    return [tuple(part) for part in parts]


def unique(cursors: Iterable[Cursor]) -> tuple[Cursor, ...]:
    """Return one cursor for each id, the one that knows most: an outcome, or else the latest check."""
    kept: dict[int, Cursor] = {}
    for cursor in cursors:
        other = kept.get(cursor.id)
        if other is None or _knowledge(cursor) > _knowledge(other):
            kept[cursor.id] = cursor
    return tuple(kept.values())


def _knowledge(cursor: Cursor) -> tuple[bool, float]:
    return cursor.over, cursor.checked_at or 0.0


def rebased(cursors: Iterable[Cursor], seconds: float) -> tuple[Cursor, ...]:
    """Return cursors that count announced pauses from an instant with this many more announced seconds."""
    return tuple(
        cursor if not seconds or cursor.failing_since is None else evolve(cursor, announced=cursor.announced + seconds)
        for cursor in cursors
    )


def merged_durations(
    mine: Mapping[str, tuple[float, ...]], theirs: Mapping[str, tuple[float, ...]]
) -> Mapping[str, tuple[float, ...]]:
    """Return the durations that two watches have learned."""
    if mine == theirs:
        return mine
    stats = DurationStats()
    stats.add_earlier(mine)
    stats.learn((kind, seconds) for kind, samples in theirs.items() for seconds in samples)
    return {kind: tuple(samples) for kind, samples in stats.samples.items()}
