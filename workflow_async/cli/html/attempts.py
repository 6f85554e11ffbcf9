"""The attempts of a batch over time, from the entries of its journal. Pure."""

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from attrs import evolve, frozen

from workflow_async.batch import StartStatus, StatusKind
from workflow_async.batch.entries import Entry
from workflow_async.batch.start_records import OpencastStart
from workflow_async.batch.start_steps import BUSY

ENDS = frozenset({StatusKind.ENDED, StatusKind.LEFT, StatusKind.NOT_STARTED, StatusKind.UNKNOWN})
WAITING = frozenset({"waiting", "not sent"})
"""The words of a start that waits for the server or for its event."""
ENDED_TONES = {"succeeded": "ok", "failed": "bad", "partial": "warn", "stopped": "off"}


@frozen(kw_only=True)
class Attempt:
    """One time that a start was sent, and what became of it."""

    key: str
    begin: datetime
    """When the start was about to be sent, by this machine's clock."""
    kind: StatusKind
    word: str
    id: int | None = None
    end: datetime | None = None
    """When the end was observed, by this machine's clock. None while the workflow runs."""
    took: timedelta | None = None
    """From the workflow's start to its end, by the server's clock."""
    operation: str = ""
    lane: int = 0
    """The place that the attempt takes, from 0."""


@frozen
class Outage:
    """A time in which starts waited for the server."""

    begin: datetime
    end: datetime


def tone(kind: StatusKind, word: str) -> str:
    """Return the name of the colour for an outcome."""
    match kind:
        case StatusKind.ENDED:
            return ENDED_TONES.get(word, "lost")
        case StatusKind.UNKNOWN | StatusKind.INTENT:
            return "lost"
        case StatusKind.PLANNED:
            return "todo"
        case StatusKind.NOT_STARTED:
            return {"waiting": "todo", "skipped": "off"}.get(word, "no")
        case _:
            return {"parked": "warn", "unobserved": "lost"}.get(word, "run")


def attempts_of(entries: Iterable[Entry]) -> Sequence[Attempt]:
    """Return every attempt with its place, in the order of their begin."""
    found: list[Attempt] = []
    latest: dict[str, int] = {}
    for entry in entries:
        if entry.kind is StatusKind.INTENT:
            latest[entry.key] = len(found)
            found.append(Attempt(key=entry.key, begin=entry.at, kind=entry.kind, word=entry.word))
        elif entry.key in latest:
            number = latest[entry.key]
            found[number] = _after(found[number], entry)
    return _with_lanes(found)


def _after(attempt: Attempt, entry: Entry) -> Attempt:
    """Return an attempt after one more entry of its start."""
    if attempt.kind is StatusKind.NOT_STARTED:
        return attempt  # what follows is not about this attempt
    took = entry.server_end - entry.server_start if entry.server_start and entry.server_end else None
    return evolve(
        attempt,
        kind=entry.kind,
        word=entry.word,
        id=attempt.id if entry.id is None else entry.id,
        end=entry.at if entry.kind in ENDS else None,
        took=took,
        operation=entry.failed_operation,
    )


def _with_lanes(attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """Give each attempt the first place that is free when it begins."""
    placed: list[Attempt] = []
    taken: list[tuple[datetime, int]] = []
    free: list[int] = []
    count = 0
    for attempt in sorted(attempts, key=lambda each: each.begin):
        while taken and taken[0][0] <= attempt.begin:
            heapq.heappush(free, heapq.heappop(taken)[1])
        if free:
            lane = heapq.heappop(free)
        else:
            lane, count = count, count + 1
        if attempt.end is not None:
            heapq.heappush(taken, (attempt.end, lane))
        placed.append(evolve(attempt, lane=lane))
    return placed


def outages_of(entries: Iterable[Entry]) -> Sequence[Outage]:
    """Return the times in which at least one start waited for the server."""
    since: dict[str, datetime] = {}
    found: list[Outage] = []
    for entry in entries:
        begin = since.pop(entry.key, None)
        if begin is not None:
            found.append(Outage(begin, entry.at))
        if entry.kind is StatusKind.NOT_STARTED and entry.word in WAITING and entry.text != BUSY:
            since[entry.key] = entry.at
    return _merged(sorted(found, key=lambda outage: outage.begin))


def _merged(outages: Iterable[Outage]) -> Sequence[Outage]:
    merged: list[Outage] = []
    for outage in outages:
        if merged and outage.begin <= merged[-1].end:
            merged[-1] = Outage(merged[-1].begin, max(merged[-1].end, outage.end))
        else:
            merged.append(outage)
    return merged


def names_of(status: StartStatus) -> tuple[str, str]:
    """Return the definition and the event of a start. The name or the id of a context stands for a definition."""
    arguments = status.ticket.arguments if status.ticket is not None else None
    if arguments is None:
        return "", ""
    if isinstance(arguments, OpencastStart):
        return arguments.definition_id, arguments.event_id
    return arguments.context_name or arguments.context_id or "", ""
