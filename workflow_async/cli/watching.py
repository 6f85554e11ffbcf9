"""`watch`: wait for workflows, show how they come along, tell how they ended."""

import enum
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from attrs import evolve, frozen

from workflow_async import Poll
from workflow_async.cli.command import CommandContext
from workflow_async.cli.display import progress
from workflow_async.cli.exit_codes import Exit, worst
from workflow_async.cli.id_args import SomeIds, numbers
from workflow_async.cli.tables import endings
from workflow_async.cli.tally import Tally
from workflow_async.cli.watcher import ConsoleWatcher

Deadline = Annotated[float | None, typer.Option(help="Seconds to wait at most; default: without end.", min=0.001)]
Every = Annotated[float, typer.Option(help="Seconds between looks at first; they grow where nothing changes.", min=0.1)]


class WhenParked(enum.Enum):
    """What to do about a workflow that needs a person."""

    WAIT = "wait"
    RETURN = "return"
    RAISE = "raise"


OnParked = Annotated[WhenParked, typer.Option("--parked", help="What to do about a workflow that needs a person.")]
Filter = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="NAME=VALUE", help="Instead of ids: what `workflows.watch` filters by."),
]


@frozen
class WaitSettings:
    """What the options say of waiting."""

    timeout: float | None
    parked: WhenParked
    every: float


async def watch(
    session: CommandContext,
    ids: SomeIds = None,
    filter: Filter = None,
    timeout: Deadline = None,
    parked: OnParked = WhenParked.WAIT,
    every: Every = 2.0,
) -> Exit:
    """Wait until workflows have ended, and show how they come along: those named, or all that pass a filter.

    Exits with 1 if one did not succeed, with 3 if one could not be observed. With --filter, workflows that appear later
    are watched too, until --timeout or Ctrl-C.
    """
    if bool(ids) == bool(filter):
        raise typer.BadParameter("name workflows, or give a --filter instead")
    criteria = dict(criterion(word) for word in filter or ())
    return await run_watch(session, numbers(ids or ()), WaitSettings(timeout, parked, every), criteria)


async def run_watch(
    session: CommandContext, ids: Sequence[int], patience: WaitSettings, filter: Mapping[str, str] | None = None
) -> Exit:
    """Wait for workflows as the options say, and tell how they ended."""
    board = Tally(session.system.name, len(ids))
    poll = Poll(interval=patience.every, ceiling=max(30.0, patience.every))
    vigil = ConsoleWatcher(session.system, board, timeout=patience.timeout, parked=patience.parked.value, poll=poll)
    if session.output.json:
        await evolve(vigil, say=session.output.record).waits(ids, filter)
    else:
        async with progress(session.output.err, [board]):
            await vigil.waits(ids, filter)
        session.output.rows(endings(session.system.spans, datetime.now(UTC)), board.endings.values())
    return worst(ending.code for ending in board.endings.values())


def criterion(word: str) -> tuple[str, str]:
    """Name and value of a filter."""
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"{word!r} is not name=value, such as definition_id=fast")
    return name, value
