"""Makes the journal of a batch that never ran: starts, failures, an outage and unknown outcomes, always the same."""

import heapq
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from workflow_async.batch import OperationDuration, StatusKind, Ticket
from workflow_async.batch.entries import (
    Entry,
    JournalContents,
    JournalHistory,
    StartStatus,
    planned_status,
    status_after,
)
from workflow_async.batch.start_records import OpencastStart

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
SERVER = "https://opencast.example.org"
DEFINITIONS = {"publish": 80.0, "fast": 25.0, "archive": 140.0}
"""The usual seconds of each definition."""
OPERATIONS = (
    "ingest",
    "inspect",
    "encode",
    "encode",
    "segment",
    "editor",
    "publish-engage",
    "index",
    "snapshot",
    "clean",
)
"""The operations of each definition, from the first to one of the last."""
OUTAGE = (600.0, 690.0)


def ticket(event: str, definition: str, key: str, configuration: dict[str, str] | None = None) -> Ticket:
    """Return a start on an Opencast."""
    arguments = OpencastStart(event_id=event, definition_id=definition, configuration=configuration)
    return Ticket(server=SERVER, arguments=arguments, correlation_id=key, prepared_at=NOON, key=key)


def history(entries: list[Entry], tickets: list[Ticket], total: int | None) -> JournalHistory:
    """Return what the journal with these starts and entries holds."""
    items: dict[str, StartStatus] = {each.key: planned_status(each) for each in tickets}
    for entry in entries:
        items[entry.key] = status_after(items.get(entry.key), entry)
    return JournalHistory(JournalContents("opencast", SERVER, items, total), entries)


def batch_history(starts: int, *, max_running: int = 4, begun: int | None = None) -> JournalHistory:
    """Return a batch of this many starts, of which the first `begun` have begun."""
    chance = random.Random(starts)
    tickets = [_ticket(chance, n) for n in range(starts)]
    free = [0.0] * max_running
    heapq.heapify(free)
    entries: list[Entry] = []
    for n, each in enumerate(tickets[:begun]):
        at = heapq.heappop(free) + chance.uniform(0.1, 1.0)
        mine = [*_entries(chance, each, 1000 + n, at)]
        entries += mine
        heapq.heappush(free, (mine[-1].at - NOON).total_seconds())
    return history(sorted(entries, key=lambda entry: entry.at), tickets, starts)


def _ticket(chance: random.Random, n: int) -> Ticket:
    event = str(uuid.UUID(int=chance.getrandbits(128)))
    return ticket(event, chance.choice([*DEFINITIONS]), f"{chance.getrandbits(128):032x}", {"publishLive": "true"})


def _entries(chance: random.Random, ticket: Ticket, id: int, at: float) -> Iterator[Entry]:
    """Yield the entries of one start that is sent `at` seconds after noon."""

    def entry(kind: StatusKind, word: str, seconds: float, **more: object) -> Entry:
        moment = NOON + timedelta(seconds=seconds)
        return Entry(at=moment, key=ticket.key, kind=kind, word=word, **more)  # type: ignore[arg-type]

    if OUTAGE[0] < at < OUTAGE[1]:
        yield entry(StatusKind.NOT_STARTED, "waiting", at, text="connection refused")
        at = OUTAGE[1] + chance.uniform(0, 2)
    yield entry(StatusKind.INTENT, "intended", at, text=ticket.to_json())
    luck = chance.random()
    if luck < 0.01:
        yield entry(StatusKind.UNKNOWN, "unknown", at + 30, text="12 checks in 30 s did not find it (connection lost)")
        return
    if luck < 0.03:
        text = f"POST /api/workflows: 404 Not Found: no event {ticket.arguments.subject}"
        yield entry(StatusKind.NOT_STARTED, "refused", at + 0.2, text=text)
        return
    yield entry(StatusKind.STARTED, "started", at + 0.3, id=id)
    yield entry(StatusKind.CHANGE, "running", at + 1, id=id, text="running")
    definition = ticket.arguments.subject.split()[1]
    took = chance.lognormvariate(0, 0.35) * DEFINITIONS[definition]
    failed = luck < 0.1
    operation = chance.choice(["encode", "encode", "publish-engage"]) if failed else ""
    seen = at + took + chance.uniform(0.5, 8)
    yield entry(
        StatusKind.ENDED,
        "failed" if failed else "succeeded",
        seen,
        id=id,
        text=f"in {operation} (attempt 1 of 1, host https://worker{chance.randint(1, 3)}.example.org)"
        if failed
        else "",
        server_start=NOON + timedelta(seconds=at + 0.3),
        server_end=NOON + timedelta(seconds=at + took),
        failed_operation=operation,
        failed_attempt=1 if failed else None,
        operations=_durations(random.Random(id), definition, took),
    )


def _durations(chance: random.Random, definition: str, seconds: float) -> tuple[OperationDuration, ...]:
    """Return operations that take a part of the time. The rest is time in the queue."""
    names = OPERATIONS[: 4 + 3 * [*DEFINITIONS].index(definition)]
    weights = [chance.uniform(0.2, 1) * (4 if name == "encode" else 1) for name in names]
    whole = sum(weights) * chance.uniform(1.1, 1.4)
    return tuple(
        OperationDuration(name, round(seconds * weight / whole, 3)) for name, weight in zip(names, weights, strict=True)
    )
