"""A watch as a value, and one bounded pass over it: for cron jobs and queue workers that cannot keep a loop."""

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
from workflow_async.monitor._engine.observation import Observation, apply_error, apply_record, conflicting
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
    """What a tick needs of a client of either system."""

    @property
    def url(self) -> str:
        """Whom it talks to."""

    @property
    def workflows(self) -> MonitoringMixin[W]:
        """Its workflows."""


@frozen(kw_only=True)
class SavedOperation:
    """An operation as a cursor remembers it."""

    operation: str
    state_text: str


@frozen(kw_only=True)
class SavedWorkflow:
    """A workflow as a cursor remembers it: enough to see what changes next."""

    id: int
    phase: Phase
    state_text: str
    step: str | None = None
    operations: tuple[SavedOperation, ...] | None = None


@frozen(kw_only=True)
class Cursor(Observation[SavedWorkflow]):
    """How far a watch has come with one workflow; instants are seconds since 1970."""

    workflow: SavedWorkflow | None = None
    checked_at: float | None = None
    """When it was last checked, in seconds since 1970. None before the first check."""


@frozen(kw_only=True)
class WatchSpec:
    """A watch that another process can carry on: whom to watch, and how far it has come. Holds no secret.

    Make one with `WatchSpec.of`, pass it through `poll_once` from time to time, and keep what comes back: it is JSON
    (`to_json`, `from_json`) with a version of its own.
    """

    url: str
    """The server the ids belong to."""
    cursors: tuple[Cursor, ...]
    operations: bool = False
    poll: Poll = field(factory=Poll)
    lists: bool = True
    pages: int = 1
    version: int = 1

    @classmethod
    def of(cls, client: Client[W], ids: Iterable[int | str], *, operations: bool = False) -> "WatchSpec":
        """A watch of these workflows that has seen nothing yet."""
        now = _poller_of(client).clock.wall()
        numbers = dict.fromkeys(parse_id("workflow_id", id) for id in ids)
        cursors = tuple(Cursor(id=id, since=now) for id in numbers)
        return cls(url=client.url, cursors=cursors, operations=operations)

    @property
    def finished(self) -> bool:
        """Whether all of them have ended or are lost: another tick would tell nothing."""
        return all(cursor.over for cursor in self.cursors)

    def to_json(self) -> str:
        """The watch as a text."""
        return json.dumps(attrs.asdict(self, value_serializer=lambda _, __, value: _plain(value)))

    @classmethod
    def from_json(cls, text: str | bytes) -> "WatchSpec":
        """The watch a text holds; raises `DecodeError` for anything else, `InvalidArgument` for another version."""
        tree = json_tree(text.encode() if isinstance(text, str) else text)
        if isinstance(tree, dict) and tree.get("version") != 1:
            raise InvalidArgument("version", "must be 1: this watch was written by another version of the library")
        return structure(_CONVERTER, tree, cls)


async def poll_once(client: Client[W], spec: WatchSpec) -> tuple[WatchSpec, tuple[SpecEvent[W], ...]]:
    """Check everything that has not ended once. Return the watch after that, and what is new.

    This costs the pages of the list of active workflows where that is cheaper, else a GET each. A
    workflow that was not reached in time stays as it was and is checked first the next time. A key names what was seen:
    a receiver that drops repeats by key loses no end, even if a process dies before it has stored the new spec.

    Raises:
        InvalidArgument: the spec belongs to another server than the client's.
    """
    if not same_server(spec.url, client.url):
        raise InvalidArgument("spec", f"belongs to {spec.url}, and this client talks to {client.url}")
    poller = _poller_of(client)
    source, clock = poller.source, poller.clock
    spec, rows = await _listed(source, evolve(spec, cursors=_unique(spec.cursors)))
    looks = await _checked(source, spec, rows)
    told = [_apply(source, spec, cursor, looks.get(cursor.id), clock.wall()) for cursor in spec.cursors]
    ticked = evolve(spec, cursors=tuple(cursor for cursor, _ in told))
    return ticked, tuple(news for _, news in told if news is not None)


def _poller_of(client: Client[W]) -> Poller[W]:
    return client.workflows._poller  # noqa: SLF001 - private to users, not to this package


def _unique(cursors: Iterable[Cursor]) -> tuple[Cursor, ...]:
    """Return one cursor for each id, the one that was checked last: specs that were joined by hand may share ids."""
    kept: dict[int, Cursor] = {}
    for cursor in cursors:
        other = kept.get(cursor.id)
        if other is None or (cursor.checked_at or 0.0) > (other.checked_at or 0.0):
            kept[cursor.id] = cursor
    return tuple(kept.values())


async def _listed(source: Source[W], spec: WatchSpec) -> tuple[WatchSpec, dict[int, W]]:
    """What the list shows, where asking it is cheaper than asking for each."""
    going = sum(not cursor.over for cursor in spec.cursors)
    if not (spec.lists and source.supports_listing and going > spec.pages):
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
        return spec, {}  # gets will tell what is wrong
    return evolve(spec, pages=max(1, pages)), rows


async def _checked(source: Source[W], spec: WatchSpec, rows: dict[int, W]) -> dict[int, W | CallError]:
    """A look at each that has not ended: its row of the list, or a get where that shows none."""
    looks: dict[int, W | CallError] = dict(rows)
    left = deque(cursor for cursor in _longest_unseen(spec.cursors) if not _shown(source, cursor, rows))

    async def get() -> None:
        while left:
            cursor = left.popleft()
            try:
                looks[cursor.id] = await source.get(cursor.id, operations=True)
            except NotSentInTime:
                continue  # it was not reached, so nothing was found out about it
            except CallError as error:
                looks[cursor.id] = error

    async with anyio.create_task_group() as group:
        for _ in range(min(len(left), 2 * source.connections)):
            group.start_soon(get)
    return looks


def _longest_unseen(cursors: Iterable[Cursor]) -> list[Cursor]:
    """Return the cursors that have not ended. Those that were checked last come last."""
    return sorted((cursor for cursor in cursors if not cursor.over), key=lambda cursor: cursor.checked_at or 0.0)


def _shown(source: Source[W], cursor: Cursor, rows: Mapping[int, W]) -> bool:
    """Return True if a row of the list shows what a cursor stands for."""
    row = rows.get(cursor.id)
    return row is not None and not conflicting(cursor.identity, source.identity(row))


def _apply(
    source: Source[W], spec: WatchSpec, cursor: Cursor, look: W | CallError | None, now: float
) -> tuple[Cursor, SpecEvent[W] | None]:
    """The cursor after a look, and what is new."""
    if look is None or cursor.over:
        return cursor, None
    sight: Any = evolve(cursor, checked_at=now)
    news: SpecEvent[W] | None
    if isinstance(look, CallError):
        sight, news = apply_error(sight, look, now, spec.poll)
        sight = evolve(sight, over=news is not None)
    else:
        sight, news = apply_record(
            sight,
            look,
            now,
            datetime.fromtimestamp(now, UTC),
            operations=spec.operations,
            identity=source.identity(look),
        )
        sight = sight if isinstance(news, Replaced) else evolve(sight, workflow=_remembered(look))
    return sight, None if news is None else with_key(news, source.server_key, operations=spec.operations)


def _remembered(workflow: Workflow) -> SavedWorkflow:
    operations = operations_of(workflow)
    return SavedWorkflow(
        id=workflow.id,
        phase=workflow.phase,
        state_text=workflow.state_text,
        step=workflow.step,
        operations=None
        if operations is None
        else tuple(SavedOperation(operation=o.operation, state_text=o.state_text) for o in operations),
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
