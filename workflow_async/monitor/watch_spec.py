"""A watch as a value that one process saves and another continues: for cron jobs and queue workers."""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import anyio
import attrs
import cattrs
from attrs import evolve, field, frozen

from workflow_async._core.call import parse_id
from workflow_async._core.origin import same_server
from workflow_async._decode.json import json_tree
from workflow_async._decode.records import list_field, read_with, register, strict_converter, structure
from workflow_async._decode.values import TypeMismatch, or_none
from workflow_async.errors import CallError, InvalidArgument, ListingNotSupported, NotSentInTime
from workflow_async.monitor._engine.keys import with_key
from workflow_async.monitor._engine.observation import Observation, apply_error, apply_record, conflicting, goes_back
from workflow_async.monitor._engine.operations import operations_of
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor.events import Change, PollingFailed, Replaced, Vanished
from workflow_async.monitor.service import MonitoringMixin
from workflow_async.monitor.source import Source
from workflow_async.phase import Phase, Workflow
from workflow_async.settings import Poll

W = TypeVar("W", bound=Workflow)

SpecEvent = Change[W] | Vanished[W] | PollingFailed[W] | Replaced[W]


class Client(Protocol[W]):
    """What `poll_once` needs of a client of either system."""

    @property
    def url(self) -> str:
        """The base URL of the server."""
        ...

    @property
    def workflows(self) -> MonitoringMixin[W]:
        """The service for workflows."""
        ...


@frozen(kw_only=True)
class SavedOperation:
    """The part of an operation that a cursor keeps."""

    operation: str
    state_text: str


@frozen(kw_only=True)
class SavedWorkflow:
    """The part of a record that a cursor keeps, so that the next change can be seen."""

    id: int
    phase: Phase
    state_text: str
    step: str | None = None
    operations: tuple[SavedOperation, ...] | None = None


@frozen(kw_only=True)
class Cursor(Observation[SavedWorkflow]):
    """What a saved watch knows of one workflow. Instants are seconds since 1970."""

    workflow: SavedWorkflow | None = None
    checked_at: float | None = None
    """When the workflow was last checked. None before the first check."""


@frozen(kw_only=True)
class WatchSpec:
    """A watch that another process can continue. It holds no secret.

    Make one with `WatchSpec.of`, pass it to `poll_once` from time to time, and save the spec that this returns.
    `to_json` and `from_json` write and read it as JSON with a version number.
    """

    url: str
    """The server that the ids belong to."""
    cursors: tuple[Cursor, ...]
    operations: bool = False
    poll: Poll = field(factory=Poll)
    lists: bool = True
    pages: int = 1
    version: int = 1

    @classmethod
    def of(cls, client: Client[W], ids: Iterable[int | str], *, operations: bool = False) -> "WatchSpec":
        """Return a watch of these workflows that has seen none of them yet."""
        now = _poller_of(client).clock.wall()
        parsed = dict.fromkeys(parse_id("workflow_id", id) for id in ids)
        cursors = tuple(Cursor(id=id, since=now) for id in parsed)
        return cls(url=client.url, cursors=cursors, operations=operations)

    @property
    def finished(self) -> bool:
        """True if every workflow has an outcome, so that another `poll_once` would return no event."""
        return all(cursor.over for cursor in self.cursors)

    def to_json(self) -> str:
        """Return the watch as JSON."""
        return json.dumps(attrs.asdict(self, value_serializer=lambda _, __, value: _plain(value)))

    @classmethod
    def from_json(cls, text: str | bytes) -> "WatchSpec":
        """Return the watch that `to_json` has written.

        Raises:
            DecodeError: the text is not a saved watch.
            InvalidArgument: the text is of another version.
        """
        tree = json_tree(text.encode() if isinstance(text, str) else text)
        if isinstance(tree, dict) and tree.get("version") != 1:
            raise InvalidArgument("version", "must be 1: another version of the library has written this watch")
        return structure(_CONVERTER, tree, cls)


async def poll_once(client: Client[W], spec: WatchSpec) -> tuple[WatchSpec, tuple[SpecEvent[W], ...]]:
    """Check every workflow that has not ended once. Return the watch after that, and the events.

    If it takes fewer requests, the list of active workflows is read. Otherwise each workflow gets a GET. A workflow
    that could not be checked in time stays as it was and is checked first the next time. If a process stops before it
    has saved the new spec, the next one returns the same events with the same keys. A receiver that drops events with
    a known key loses no end.

    Raises:
        InvalidArgument: the spec belongs to another server than the client.
    """
    if not same_server(spec.url, client.url):
        raise InvalidArgument("spec", f"belongs to {spec.url}: pass a client of that server, not of {client.url}")
    poller = _poller_of(client)
    source, clock = poller.source, poller.clock
    spec, rows = await _read_list(source, evolve(spec, cursors=_unique(spec.cursors)))
    results = await _check_all(source, spec, rows)
    applied = [_apply(source, spec, cursor, results.get(cursor.id), clock.wall()) for cursor in spec.cursors]
    polled = evolve(spec, cursors=tuple(cursor for cursor, _ in applied))
    return polled, tuple(event for _, event in applied if event is not None)


def _poller_of(client: Client[W]) -> Poller[W]:
    return client.workflows._poller  # noqa: SLF001 - private to users, not to this package


def _unique(cursors: Iterable[Cursor]) -> tuple[Cursor, ...]:
    """Return one cursor for each id, the one that was checked last. Specs that were joined by hand may share ids."""
    kept: dict[int, Cursor] = {}
    for cursor in cursors:
        other = kept.get(cursor.id)
        if other is None or (cursor.checked_at or 0.0) > (other.checked_at or 0.0):
            kept[cursor.id] = cursor
    return tuple(kept.values())


async def _read_list(source: Source[W], spec: WatchSpec) -> tuple[WatchSpec, dict[int, W]]:
    """Return the rows of the list of active workflows, if reading it takes fewer requests than GETs."""
    active = sum(not cursor.over for cursor in spec.cursors)
    if not (spec.lists and source.supports_listing and active > spec.pages):
        return spec, {}
    rows: dict[int, W] = {}
    pages = 0
    try:
        async for page in source.list_active(operations=spec.operations).pages():
            pages += 1
            rows |= {workflow.id: workflow for workflow in page.items if not workflow.phase.final}
    except ListingNotSupported:
        return evolve(spec, lists=False), {}
    except CallError:
        return spec, {}  # the GETs that follow show what is wrong
    return evolve(spec, pages=max(1, pages)), rows


async def _check_all(source: Source[W], spec: WatchSpec, rows: dict[int, W]) -> dict[int, W | CallError]:
    """Return the row of each workflow that has not ended. If the list shows none that counts, send a GET for it."""
    backlog = deque(cursor for cursor in _longest_unchecked(spec.cursors) if not _is_shown(source, cursor, rows))
    unshown = {cursor.id for cursor in backlog}
    results: dict[int, W | CallError] = {id: row for id, row in rows.items() if id not in unshown}

    async def get() -> None:
        while backlog:
            cursor = backlog.popleft()
            try:
                results[cursor.id] = await source.get(cursor.id, operations=True)
            except NotSentInTime:
                continue  # no request was sent, so nothing is known about it
            except CallError as error:
                results[cursor.id] = error

    async with anyio.create_task_group() as group:
        for _ in range(min(len(backlog), 2 * source.connections)):
            group.start_soon(get)
    return results


def _longest_unchecked(cursors: Iterable[Cursor]) -> list[Cursor]:
    """Return the cursors that have not ended, the longest unchecked first."""
    return sorted((cursor for cursor in cursors if not cursor.over), key=lambda cursor: cursor.checked_at or 0.0)


def _is_shown(source: Source[W], cursor: Cursor, rows: Mapping[int, W]) -> bool:
    """Return True if the list shows the workflow of a cursor, in a phase that needs no GET to be believed."""
    row = rows.get(cursor.id)
    return row is not None and not conflicting(cursor.identity, source.identity(row)) and not goes_back(cursor, row)


def _apply(
    source: Source[W], spec: WatchSpec, cursor: Cursor, result: W | CallError | None, now: float
) -> tuple[Cursor, SpecEvent[W] | None]:
    """Return the cursor after a check, and the event if there is one."""
    if result is None or cursor.over:
        return cursor, None
    after: Any = evolve(cursor, checked_at=now)
    event: SpecEvent[W] | None
    if isinstance(result, CallError):
        after, event = apply_error(after, result, now, spec.poll)
        after = evolve(after, over=event is not None)
    else:
        after, event = apply_record(
            after,
            result,
            now,
            datetime.fromtimestamp(now, UTC),
            operations=spec.operations,
            identity=source.identity(result),
        )
        after = after if isinstance(event, Replaced) else evolve(after, workflow=_saved(result))
    return after, None if event is None else with_key(event, source.server_key, operations=spec.operations)


def _saved(workflow: Workflow) -> SavedWorkflow:
    operations = operations_of(workflow)
    return SavedWorkflow(
        id=workflow.id,
        phase=workflow.phase,
        state_text=workflow.state_text,
        step=workflow.step,
        operations=None
        if operations is None
        else tuple(SavedOperation(operation=each.operation, state_text=each.state_text) for each in operations),
    )


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Phase) else value


def _converter() -> cattrs.Converter:
    strict = strict_converter()
    strict.register_structure_hook(Phase, lambda value, _: _phase(value))
    strict.register_structure_hook(float, lambda value, _: _seconds(value))
    register(strict, SavedOperation)
    register(strict, SavedWorkflow, operations=read_with(or_none(lambda value: strict.structure(value, _OPERATIONS))))
    register(strict, Cursor, workflow=read_with(or_none(lambda value: strict.structure(value, SavedWorkflow))))
    register(strict, WatchSpec, cursors=list_field(strict, Cursor))
    return strict


def _phase(value: Any) -> Phase:
    found = next((phase for phase in Phase if phase.value == value), None)
    if found is None:
        raise TypeMismatch("expected a phase")
    return found


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeMismatch("expected a number")
    return float(value)


_OPERATIONS = tuple[SavedOperation, ...]
_CONVERTER = _converter()
