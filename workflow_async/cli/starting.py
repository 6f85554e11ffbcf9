"""`start`: start a workflow, and wait for it if asked to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import typer

from workflow_async import OpencastClient
from workflow_async.cli.command import CommandContext
from workflow_async.cli.exit_codes import Exit, UsageError
from workflow_async.cli.output import Output
from workflow_async.cli.watching import Deadline, Every, OnParked, WaitSettings, WhenParked, run_watch
from workflow_async.preservica import PreservicaClient

Subject = Annotated[
    list[str],
    typer.Argument(metavar="EVENT DEFINITION|CONTEXT", help="Opencast: two ids. Preservica: an id or a name."),
]
Settings = Annotated[
    list[str] | None, typer.Option("--param", "-p", metavar="KEY=VALUE", help="A setting; may be given again.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Go on as `watch` does.")]


async def start(
    session: CommandContext,
    subject: Subject,
    *,
    param: Settings = None,
    wait: Wait = False,
    timeout: Deadline = None,
    parked: OnParked = WhenParked.WAIT,
    every: Every = 2.0,
) -> Exit:
    """Start a workflow: EVENT DEFINITION on an Opencast, CONTEXT on a Preservica.

    It is asked for once and never again, whatever happens on the way.
    """
    client, settings = session.client, pairs(param or ())
    if isinstance(client, OpencastClient):
        id = await _on_opencast(client, subject, settings, session.output)
    else:
        id = await _on_preservica(client, subject, settings, session.output)
    return (
        await run_watch(session, [id], WaitSettings(timeout, parked, every)) if wait and id is not None else Exit.DONE
    )


def pairs(params: Iterable[str]) -> dict[str, str]:
    """Settings from KEY=VALUE; raises `UsageError` for what is none, or gives a key twice."""
    found: dict[str, str] = {}
    for param in params:
        key, equals, value = param.partition("=")
        if not key or not equals or key in found:
            raise UsageError(f"-p {param}: " + ("given twice" if key in found else "must be KEY=VALUE"))
        found[key] = value
    return found


async def _on_opencast(
    client: OpencastClient, subject: Sequence[str], settings: Mapping[str, str], output: Output
) -> int | None:
    if len(subject) != len(("EVENT", "DEFINITION")):
        raise UsageError("a start on an Opencast takes an EVENT and a DEFINITION")
    with output.waiting("starting"):
        workflow = await client.workflows.start(*subject, configuration=settings or None)
    output.told(workflow, f"Workflow {workflow.id} of {workflow.definition_id} is {workflow.state_text}")
    return workflow.id


async def _on_preservica(
    client: PreservicaClient, subject: Sequence[str], settings: Mapping[str, str], output: Output
) -> int | None:
    if len(subject) != 1:
        raise UsageError("a start on a Preservica takes a CONTEXT, by id or by name")
    with output.waiting("starting"):
        started = await client.workflows.start(subject[0], settings or None)
    output.told(started, f"Workflow {started.id} started, marked {started.correlation_id}")
    return started.id
