"""The command `worker`: one process of a distribution."""

import importlib
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import anyio
import typer

from workflow_async.cli.broker import (
    DEFAULT_LEASE,
    DEFAULT_NAME,
    Broker,
    LeaseOption,
    NameOption,
    NatsOption,
    default_broker,
)
from workflow_async.cli.command import CommandContext
from workflow_async.cli.exit_codes import Exit
from workflow_async.cli.formats import Format
from workflow_async.cli.output import Output, console
from workflow_async.cli.verbosity import warnings_on
from workflow_async.cli.worker_events import ReportingCoordinator, WorkerEvent
from workflow_async.distributed import distribute

PaceOption = Annotated[
    float | None,
    typer.Option(
        "--pace",
        min=0.001,
        help="Requests per second of all workers together. Default: no limit.",
        rich_help_panel="Distribution",
    ),
]
NO_SHARDS = "no shards yet: put work in with workflow-async shards --add NAME ID..."
FIRST_CHECKS = 2
"""The checks of a server that show whether it can be used, and whether it accepts the user."""


async def worker(
    ctx: CommandContext,
    *,
    nats: NatsOption = None,
    name: NameOption = DEFAULT_NAME,
    lease: LeaseOption = DEFAULT_LEASE,
    pace: PaceOption = None,
) -> Exit:
    """Watch a share of the workflows that `shards --add` has put into NATS, until all have ended.

    Run it in any number of processes. One that is lost is replaced by the others, and SIGTERM or Ctrl-C hands its
    shards over. Exits with 0 whatever the outcomes are, because they are told as events.
    """
    broker = default_broker(nats, name, lease)
    with ctx.output.spinner("connecting"):
        for check in ctx.system.checks()[:FIRST_CHECKS]:
            await check.run()
    with warnings_on(console(stderr=True)):
        return await _work(ctx, broker, pace)


async def _work(ctx: CommandContext, broker: Broker, pace: float | None) -> Exit:
    async with broker.coordinator() as coordinator:
        if pace is not None:
            library: Any = importlib.import_module("workflow_async.distributed.nats")
            ctx.target.pace.budget = library.NatsPace(coordinator.client, broker.name, rate=pace).acquire
        ctx.output.note(f"worker {coordinator.worker} of {broker.name} at {broker.shown}")
        if not coordinator.owners():
            ctx.output.note(NO_SHARDS)
        client: Any = ctx.system.client
        reporting = ReportingCoordinator(coordinator, partial(report, ctx.output))
        is_over = await until_terminated(partial(distribute, client, reporting))
    if not ctx.output.json and not ctx.output.quiet:
        ctx.output.message(closing_text(reporting, is_over=is_over))
    return Exit.DONE


def report(output: Output, event: WorkerEvent) -> None:
    """Write an event: a record, or a line if it is worth one. Among ids only workflows that have ended are written."""
    if output.json:
        if event.is_end or output.format is not Format.IDS:
            output.record(event)
    elif event.text and not output.quiet:
        output.message(event.text, event.style)


def closing_text(reporting: ReportingCoordinator, *, is_over: bool) -> str:
    """Return the last line of a worker."""
    why = "every shard is finished" if is_over else "stopped by SIGTERM, and its shards are released"
    counts = ", ".join(f"{count} {word}" for word, count in sorted(reporting.ends.items()))
    return f"{why}. This worker has seen {reporting.ends.total()} ends{counts and f' ({counts})'}"


async def until_terminated(work: Callable[[], Awaitable[None]]) -> bool:
    """Do work, which SIGTERM cancels. Return True if it was done."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_sigterm, tasks.cancel_scope)
        await work()
        tasks.cancel_scope.cancel()
        return True
    return False


async def _cancel_on_sigterm(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
