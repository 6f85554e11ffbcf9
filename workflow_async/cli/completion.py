"""Completes ids of definitions and contexts in the shell, if the environment has the credentials of the server."""

import os
from collections.abc import Sequence

import anyio
import typer

from workflow_async.cli.systems import AnySystem, choose_system, system_for
from workflow_async.cli.target import Target
from workflow_async.errors import WorkflowAsyncError

MAX_SECONDS = 2.0
"""A person waits for the completion."""
MAX_IDS = 200
CREDENTIALS = ("url", "username", "password")
"""What the environment must have. Nothing is asked while the shell completes."""


def complete_definition(incomplete: str) -> list[str]:
    """Return the ids of workflow definitions that begin with a text."""
    return _matching(incomplete, before=1)


def complete_subject(context: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of definitions or of contexts, whichever the next argument of `start` is."""
    return _matching(incomplete, before=len(context.params.get("arguments") or ()))


def _matching(incomplete: str, *, before: int) -> list[str]:
    """Return the ids for the last argument of a start. Empty if other arguments come first, or without a server."""
    chosen = choose_system(Target(), os.environ)
    if not all(os.environ.get(chosen.variables[name]) for name in CREDENTIALS):
        return []
    if before != len(chosen.start_columns) - 1:
        return []
    try:
        ids = anyio.run(_ids, system_for(Target()))
    except (WorkflowAsyncError, ExceptionGroup):
        return []
    return sorted(id for id in ids if id.startswith(incomplete))


async def _ids(system: AnySystem) -> Sequence[str]:
    ids: list[str] = []
    async with system.client:
        with anyio.move_on_after(MAX_SECONDS):
            async for page in system.startable().pages:
                ids.extend(str(record.id) for record in page.items)
                if len(ids) >= MAX_IDS:
                    break
    return ids
