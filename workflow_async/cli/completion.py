"""Completes ids of definitions and contexts in the shell, if the credentials of the server need no question."""

from collections.abc import Sequence

import anyio
import typer

from workflow_async.cli.command import TARGET_OPTIONS
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.systems import AnySystem, system_for
from workflow_async.cli.target import Target
from workflow_async.errors import WorkflowAsyncError

MAX_SECONDS = 2.0
"""A person waits for the completion."""
MAX_IDS = 200


def complete_definition(context: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of workflow definitions that begin with a text."""
    return _matching(context, incomplete, before=1)


def complete_subject(context: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of definitions or of contexts, whichever the next argument of `start` is."""
    return _matching(context, incomplete, before=len(context.params.get("arguments") or ()))


def _matching(context: typer.Context, incomplete: str, *, before: int) -> list[str]:
    """Return the ids for the last argument of a start. Empty if other arguments come first, or without a server.

    The server is that of the options before the word, of the variables, or of the profile, as for the command itself.
    """
    given = {name: context.params[name] for name in TARGET_OPTIONS if context.params.get(name) is not None}
    try:
        system = system_for(Target(**given, asks=False))
        ids = anyio.run(_ids, system) if before == len(system.start_columns) - 1 else []
    except (UsageError, WorkflowAsyncError, ExceptionGroup):
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
