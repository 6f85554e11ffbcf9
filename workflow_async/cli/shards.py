"""The command `shards`: shows the shards of a distribution, and puts work in."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import typer
from attrs import frozen

from workflow_async.cli.broker import (
    DEFAULT_NAME,
    PANEL,
    Broker,
    LeaseOption,
    NameOption,
    NatsOption,
    default_broker,
)
from workflow_async.cli.columns import Column
from workflow_async.cli.command import with_target
from workflow_async.cli.exit_codes import Exit, UsageError, print_error
from workflow_async.cli.formats import ColumnsOption, column_names
from workflow_async.cli.id_args import OptionalIds, unique_ids
from workflow_async.cli.output import Output
from workflow_async.cli.systems import system_for
from workflow_async.cli.target import Target
from workflow_async.cli.timeline import format_seconds
from workflow_async.cli.watching import FilterOption, parse_filter
from workflow_async.distributed import shards_of
from workflow_async.distributed.coordinator import LEASE_SECONDS, check_shard_name
from workflow_async.monitor import WatchSpec

if TYPE_CHECKING:
    from workflow_async.distributed.nats import ShardInfo

AddOption = Annotated[
    str | None,
    typer.Option(
        "--add", metavar="NAME", help="Put the ids in, as the shards NAME-0, NAME-1, ...", rich_help_panel=PANEL
    ),
]
SplitOption = Annotated[
    int,
    typer.Option("--split", min=1, max=10_000, help="Number of shards to split the ids into.", rich_help_panel=PANEL),
]
EMPTY = "No shards. Put work in with workflow-async shards --add NAME ID..."


@frozen(kw_only=True)
class Row:
    """A shard as the command shows it."""

    id: str
    state: str
    """`held`, `free` or `finished`."""
    left: int | None
    """Workflows without an outcome. None if the saved watch cannot be read."""
    age: float
    """Seconds since the last claim, renewal or save."""
    owner: str


ROWS: Sequence[Column[Row]] = (
    Column("SHARD", lambda row: row.id, 20),
    Column(
        "STATE", lambda row: row.state, 8, style=lambda row: {"held": "cyan", "finished": "green"}.get(row.state, "")
    ),
    Column("LEFT", lambda row: "?" if row.left is None else str(row.left), 6),
    Column("SAVED", lambda row: f"{format_seconds(row.age)} ago", 12),
    Column("OWNER", lambda row: row.owner),
)


def _shards(
    chosen: Target,
    output: Output,
    ids: OptionalIds = None,
    *,
    nats: NatsOption = None,
    name: NameOption = DEFAULT_NAME,
    lease: LeaseOption = LEASE_SECONDS,
    add: AddOption = None,
    filter: FilterOption = None,
    split: SplitOption = 1,
    columns: ColumnsOption = None,
) -> Exit:
    """Show the shards of a distribution: who has each, how many workflows are left, and when it was saved.

    With --add, put workflows in for the workers. That needs the server options, and sends nothing to the server. A
    shard that exists stays as it is, and the command exits with 5.
    """
    broker = default_broker(nats, name, lease)
    if add is None:
        if ids or filter:
            raise UsageError("to put work in, give a name for its shards: --add NAME")
        return anyio.run(_show, broker, output, column_names(columns))
    check_shard_name("--add", add)
    if bool(ids) == bool(filter):
        raise UsageError("--add needs either ids or a --filter")
    return anyio.run(_add, broker, output, shards_of(add, spec_for(chosen, ids or (), filter or ()), split))


shards = with_target(_shards, "shards")


def spec_for(chosen: Target, ids: Sequence[str], filter: Sequence[str]) -> WatchSpec:
    """Return a watch of ids, or of the workflows that pass a filter, on the server of the options."""
    client: Any = system_for(chosen).client
    if filter:
        criteria: dict[str, Any] = dict(map(parse_filter, filter))
        return WatchSpec.where(client, **criteria)
    return WatchSpec.of(client, unique_ids(ids))


async def _show(broker: Broker, output: Output, names: Sequence[str]) -> Exit:
    with output.spinner("connecting"):
        async with broker.coordinator() as coordinator:
            rows = [row_of(shard) for shard in await coordinator.shards()]
    if output.json:
        for row in rows:
            output.record(row, names)
    elif rows:
        output.rows(ROWS, rows, names)
        output.note(summary(rows))
    else:
        output.message(EMPTY)
    return Exit.DONE


async def _add(broker: Broker, output: Output, work: Mapping[str, bytes]) -> Exit:
    with output.spinner("connecting"):
        async with broker.coordinator() as coordinator:
            added = await coordinator.put(work)
    for shard in added:
        output.result({"id": shard}, f"Added {shard} with {len(WatchSpec.from_bytes(work[shard]).cursors)} workflows")
    if kept := [shard for shard in work if shard not in added]:
        print_error(
            UsageError(f"already there: {', '.join(kept)}. A shard stays as it is, so give another name after --add")
        )
        return Exit.NOT_POSSIBLE
    return Exit.DONE


def row_of(info: "ShardInfo") -> Row:
    """Return a shard as a row."""
    state = "finished" if info.finished else "held" if info.owner else "free"
    return Row(id=info.shard, state=state, left=info.left, age=round(info.age, 1), owner=info.owner)


def summary(rows: Sequence[Row]) -> str:
    """Return the totals of the shards in one line."""
    finished, workers = sum(row.state == "finished" for row in rows), {row.owner for row in rows} - {""}
    left = sum(row.left or 0 for row in rows)
    return f"{len(rows)} shards, {finished} finished, {len(workers)} workers, {left} workflows left"
