"""A source for the monitor whose results a test sets, and which records the requests."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import anyio
from attrs import define, evolve, field, frozen

from workflow_async import Clock, Phase
from workflow_async._core.call import Call, Page, Reply
from workflow_async._listing.listing import Listing
from workflow_async.monitor._engine.poller import Poller

PAGE_SIZE = 100
"""Rows per page of the list."""


SERVER_KEY = "opencast:oc.example.org"
"""The server that keys of events begin with."""


@frozen
class Record:
    """The part of a workflow's record that the monitor uses."""

    id: int
    phase: Phase = Phase.RUNNING
    text: str = ""
    step: str | None = None
    identity: str | None = None
    """What never changes of the workflow. None if the record does not say."""

    @property
    def state_text(self) -> str:
        """The server's word for the phase."""
        return self.text or self.phase.value


@frozen
class Operation:
    """An operation of a workflow."""

    operation: str
    state_text: str = "instantiated"
    start: datetime | None = None
    completion: datetime | None = None
    id: int | None = None


@frozen
class Detailed(Record):
    """A record that can hold operations."""

    operations: tuple[Operation, ...] | None = None


@define
class Server:
    """A source of records."""

    supports_listing: bool = False
    supports_bulk_check: bool = False
    list_lag: float = 0.0
    seconds: float = 0.0
    """Seconds that every response takes."""
    workflows: dict[int, Any] = field(factory=dict)
    """The result of a GET of each workflow: a record or an error."""
    listed: dict[int, Record] | None = None
    """The rows of the list. None if they are those of `workflows`."""
    list_error: Exception | None = None
    """The error that the list raises."""
    stale: set[int] = field(factory=set)
    """Workflows that a bulk check shows as unchanged, whatever their state is."""
    bulk_error: Exception | None = None
    """The error that a bulk check raises."""
    get_error: Exception | None = None
    """The error that every GET raises."""
    gets: list[tuple[float, int, bool]] = field(factory=list)
    pages: list[float] = field(factory=list)
    bulk_checks: list[tuple[int, ...]] = field(factory=list)
    in_flight: int = 0
    """Requests in flight."""

    @property
    def requests(self) -> int:
        """The number of requests so far."""
        return len(self.gets) + len(self.pages) + len(self.bulk_checks)

    def put(self, *records: Any) -> None:
        """Set the records of workflows."""
        self.workflows |= {record.id: record for record in records}

    def set_phase(self, phase: Phase, *ids: int, **more: Any) -> None:
        """Set the phase of workflows."""
        self.put(*(evolve(self.workflows[id], phase=phase, **more) for id in ids))

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[Any]:
        """Return the workflows that have not ended, in pages."""
        return Listing(self._send, _from(0, operations=operations), lambda record: record.id)

    async def _send(self, call: Call[Any], /) -> Any:
        self.pages.append(_now())
        refusal = self.list_error
        rows = list((self.listed if self.listed is not None else self.workflows).values())
        await self._wait()
        if refusal is not None:
            raise refusal
        going = [row for row in rows if isinstance(row, Record) and not row.phase.final]
        place, operations = call.read(Reply(200, {}, b""))
        page = tuple(self._shown(row, operations) for row in going[place : place + PAGE_SIZE])
        after = _from(place + PAGE_SIZE, operations=operations) if place + PAGE_SIZE < len(going) else None
        return Page(page, after)

    async def list_mark(self, rows: int) -> int:
        """Return the number of workflows that have not ended."""
        return sum(isinstance(row, Record) and not row.phase.final for row in self.workflows.values())

    async def get(self, id: int, *, operations: bool) -> Any:
        """Return the record that a workflow has when the request is sent."""
        self.gets.append((_now(), id, operations))
        found = self.get_error or self.workflows[id]
        await self._wait()
        if isinstance(found, Exception):
            raise found
        return self._shown(found, operations)

    async def find_changed(self, known: Sequence[Record]) -> Collection[int]:
        """Return the workflows whose phase differs or whose GET fails."""
        self.bulk_checks.append(tuple(record.id for record in known))
        await self._wait()
        if self.bulk_error is not None:
            raise self.bulk_error
        fresh = [record.id for record in known if record.id not in self.stale]
        return [
            id for id, record in zip((r.id for r in known), known, strict=True) if id in fresh and self._differs(record)
        ]

    def recalled(self, id: int, state_text: str, identity: tuple[str | None, ...]) -> Record:
        """Return a record with its phase."""
        assert not identity
        return Record(id=id, phase=Phase[state_text])

    def _differs(self, known: Record) -> bool:
        return getattr(self.workflows[known.id], "phase", None) is not known.phase

    def _shown(self, record: Any, operations: bool) -> Any:  # noqa: FBT001 - called with a variable
        return record if operations or not isinstance(record, Detailed) else evolve(record, operations=None)

    async def _wait(self) -> None:
        self.in_flight += 1
        try:
            await anyio.sleep(self.seconds)
        finally:
            self.in_flight -= 1

    def is_complete(self, workflow: Any) -> bool:
        """Return True if a record holds its operations, or cannot hold any."""
        return not isinstance(workflow, Detailed) or workflow.operations is not None

    @property
    def server_key(self) -> str:
        return SERVER_KEY

    @property
    def connections(self) -> int:
        return 16

    def identity(self, workflow: Any) -> tuple[str | None, ...]:
        """Return the identity that a record names."""
        return (workflow.identity,)

    def same_identity(self, known: Any, found: Any) -> bool:
        """Return True if both records name the same identity."""
        return bool(known.identity == found.identity)

    def ended_at(self, workflow: Record) -> datetime | None:
        """Return None: the records do not say when they ended."""
        return None

    def duration_key(self, workflow: Record) -> str:
        """Return one kind for all workflows."""
        return "kind"

    def durations(self, workflow: Record) -> Iterable[tuple[str, float]]:
        """Return a minute for each workflow."""
        return [("kind", 60.0)]


def _from(place: int, *, operations: bool) -> Call[Any]:
    return Call("GET", "/", lambda _: (place, operations))


def _now() -> float:
    return asyncio.get_running_loop().time()


def new_poller(server: Server) -> Poller[Any]:
    """Return a poller of this server, without jitter."""
    return Poller(server, Clock(now=_now, sleep=anyio.sleep, jitter=lambda: 0.5, wall=_now))


def running(*ids: int) -> dict[int, Any]:
    """Return running workflows with these ids."""
    return {id: Record(id) for id in ids}
