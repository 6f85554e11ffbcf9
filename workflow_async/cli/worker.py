"""The command `worker`: one process of a distribution."""

import importlib
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import anyio
import anyio.abc
import typer

from workflow_async.cli.broker import (
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
from workflow_async.distributed.coordinator import LEASE_SECONDS

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
    lease: LeaseOption = LEASE_SECONDS,
    pace: PaceOption = None,
) -> Exit:
    """Watch a share of the workflows that `shards --add` has put into NATS, until all have ended.

    Run it in any number of processes. One that is lost is replaced by the others, and SIGTERM or Ctrl-C hands its
    shards over. Exits with 0 whatever the outcomes are, because they are told as events.
    """
    broker = default_broker(nats, name, lease)
    ends: Counter[str] = Counter()
    with warnings_on(console(stderr=True)):
        is_over = await until_terminated(partial(_work, ctx, broker, pace, partial(report, ctx.output, ends)))
    if not ctx.output.json and not ctx.output.quiet:
        ctx.output.message(closing_text(ends, is_over=is_over))
    return Exit.DONE


async def _work(ctx: CommandContext, broker: Broker, pace: float | None, report: Callable[[WorkerEvent], None]) -> None:
    """Check the server, connect to NATS, and work until every shard is finished."""
    with ctx.output.spinner("connecting"):
        for check in ctx.system.checks()[:FIRST_CHECKS]:
            await check.run()
    async with broker.coordinator() as coordinator:
        if pace is not None:
            library: Any = importlib.import_module("workflow_async.distributed.nats")
            ctx.target.pace.budget = library.NatsPace(coordinator.client, broker.name, rate=pace).acquire
        ctx.output.note(f"worker {coordinator.worker} of {broker.name} at {broker.shown}")
        if not coordinator.owners():
            ctx.output.note(NO_SHARDS)
        client: Any = ctx.system.client
        await distribute(client, ReportingCoordinator(coordinator, report))


def report(output: Output, ends: Counter[str], event: WorkerEvent) -> None:
    """Count an end, and write an event: a record, or a line if it is worth one. Among ids only ends are written."""
    ends.update([event.outcome] if event.is_end else [])
    if output.json:
        if event.is_end or output.format is not Format.IDS:
            output.record(event)
    elif event.text and not output.quiet:
        output.message(event.text, event.style)


def closing_text(ends: Counter[str], *, is_over: bool) -> str:
    """Return the last line of a worker that has delivered these ends, by outcome."""
    why = "every shard is finished" if is_over else "stopped by SIGTERM, and its shards are released"
    counts = ", ".join(f"{count} {word}" for word, count in sorted(ends.items()))
    return f"{why}. This worker has seen {ends.total()} ends{counts and f' ({counts})'}"


async def until_terminated(work: Callable[[], Awaitable[None]]) -> bool:
    """Do work, which SIGTERM cancels. Return True if it was done."""
    async with anyio.create_task_group() as tasks:
        await tasks.start(_cancel_on_sigterm, tasks.cancel_scope)
        await work()
        tasks.cancel_scope.cancel()
        return True
    return False


async def _cancel_on_sigterm(
    scope: anyio.CancelScope, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
