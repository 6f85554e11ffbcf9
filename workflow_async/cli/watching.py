"""`watch`: wait for workflows, show how they come along, tell how they ended."""

import enum
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from attrs import evolve, frozen

from workflow_async import OpencastClient, Poll
from workflow_async.cli.board import Board
from workflow_async.cli.command import Session
from workflow_async.cli.display import progress
from workflow_async.cli.exits import Exit, worst
from workflow_async.cli.ids import Ids, numbers
from workflow_async.cli.tables import endings
from workflow_async.cli.vigil import Vigil

Deadline = Annotated[float | None, typer.Option(help="Seconds to wait at most; default: without end.", min=0.001)]
Every = Annotated[float, typer.Option(help="Seconds between looks at first; they grow where nothing changes.", min=0.1)]


class WhenParked(enum.Enum):
    """What to do about a workflow that needs a person."""

    WAIT = "wait"
    RETURN = "return"
    RAISE = "raise"


OnParked = Annotated[WhenParked, typer.Option("--parked", help="What to do about a workflow that needs a person.")]


@frozen
class Patience:
    """What the options say of waiting."""

    deadline: float | None
    parked: WhenParked
    every: float


async def watch(
    session: Session, ids: Ids, deadline: Deadline = None, parked: OnParked = WhenParked.WAIT, every: Every = 2.0
) -> Exit:
    """Wait until workflows have ended, and show how they come along.

    Exits with 1 if one did not succeed, with 3 if one could not be observed.
    """
    return await attend(session, numbers(ids), Patience(deadline, parked, every))


async def attend(session: Session, ids: Sequence[int], patience: Patience) -> Exit:
    """Wait for workflows as the options say, and tell how they ended."""
    system = "opencast" if isinstance(session.client, OpencastClient) else "preservica"
    board = Board(system, len(ids))
    poll = Poll(interval=patience.every, ceiling=max(30.0, patience.every))
    vigil = Vigil(session.client, board, deadline=patience.deadline, parked=patience.parked.value, poll=poll)
    if session.output.json:
        await evolve(vigil, say=session.output.record).all(ids)
    else:
        async with progress(session.output.err, [board]):
            await vigil.all(ids)
        session.output.rows(endings(datetime.now(UTC)), board.endings.values())
    return worst(ending.code for ending in board.endings.values())
