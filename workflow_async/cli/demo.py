"""The command `demo`: starts workflows on a sandbox, watches them and prints a summary."""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Annotated, cast

import anyio
import typer
from attrs import frozen

from workflow_async import OpencastClient, Poll
from workflow_async.cli.command import Json
from workflow_async.cli.display import progress
from workflow_async.cli.exit_codes import Exit, run_and_exit
from workflow_async.cli.output import Output
from workflow_async.cli.records import tree
from workflow_async.cli.serve import sandbox_class
from workflow_async.cli.summary import SUMMARY_COLUMNS, Summary, summarize
from workflow_async.cli.systems import AnySystem
from workflow_async.cli.systems.opencast import OpencastSystem
from workflow_async.cli.systems.preservica import PreservicaSystem
from workflow_async.cli.tally import Tally
from workflow_async.cli.watcher import ConsoleWatcher
from workflow_async.preservica import Context, PreservicaClient

if TYPE_CHECKING:
    from workflow_async.sandbox import Sandbox

SPEED = 10.0
"""The speed of the sandbox's clock. A publication of 82 s takes 8 s."""
START_SPREAD = 5.0
"""The starts are spread over this many seconds."""
DEMO_POLL = Poll(interval=0.5, ceiling=2.0)
DEMO_DEFINITIONS = (*("publish",) * 5, *("fast",) * 3, "skips", "review", "fails", "fails-with-handler")
"""The definitions to start, in turn. `review` parks, the last two fail."""

Count = Annotated[int, typer.Option(help="Number of workflows on both systems together.", min=2)]


@frozen
class DemoScenario:
    """The starts on one system, and the watcher of the started workflows."""

    watcher: ConsoleWatcher
    starts: Sequence[Callable[[], Awaitable[int]]]

    async def run(self) -> None:
        """Start the workflows one after the other. Return when each has ended or is parked."""
        async with anyio.create_task_group() as tasks:
            for start in self.starts:
                tasks.start_soon(self.watcher.watch_one, await start())
                await anyio.sleep(START_SPREAD / len(self.starts))


def demo(*, workflows: Count = 300, json: Json = False) -> None:
    """Start workflows on a sandbox of both systems, watch them, and print a summary."""
    output = Output(json=json)
    run_and_exit(lambda: anyio.run(run_demo, workflows, output))


async def run_demo(workflows: int, output: Output) -> Exit:
    """Serve a sandbox, run the demonstration on it, print the summaries, and return the exit code."""
    started = time.monotonic()
    async with sandbox_class()("16", speed=SPEED) as fakes:
        watchers = await _run_scenarios(fakes, workflows, output)
        requests = len(fakes.opencast.requests), len(fakes.preservica.requests)
    summaries = [
        summarize(watcher.tally, count, watcher.system.spans) for watcher, count in zip(watchers, requests, strict=True)
    ]
    _print_summaries(summaries, time.monotonic() - started, output)
    unobserved = any(result.code is Exit.SERVER for watcher in watchers for result in watcher.tally.results.values())
    return Exit.SERVER if unobserved else Exit.DONE


async def _run_scenarios(fakes: "Sandbox", workflows: int, output: Output) -> Sequence[ConsoleWatcher]:
    fake = fakes.preservica
    async with (
        OpencastClient(fakes.opencast.url, auth=fakes.opencast.auth) as oc,
        PreservicaClient(fake.url, username=fake.username, password=fake.password, tenant=fake.tenant) as pv,
    ):
        scenarios = [
            await _opencast_scenario(fakes, oc, workflows // 2),
            await _preservica_scenario(pv, workflows - workflows // 2),
        ]
        watchers = [scenario.watcher for scenario in scenarios]
        async with progress(output.err, [watcher.tally for watcher in watchers]), anyio.create_task_group() as tasks:
            for scenario in scenarios:
                tasks.start_soon(scenario.run)
        return watchers


async def _opencast_scenario(fakes: "Sandbox", client: OpencastClient, count: int) -> DemoScenario:
    async def start(event: str, definition: str) -> int:
        return (await client.workflows.start(event, definition)).id

    available = {definition.id async for definition in client.definitions.list()}
    names = islice(cycle([definition for definition in DEMO_DEFINITIONS if definition in available]), count)
    starts = [partial(start, fakes.opencast.event(), definition) for definition in names]
    return DemoScenario(_watcher(OpencastSystem(client), count), starts)


async def _preservica_scenario(client: PreservicaClient, count: int) -> DemoScenario:
    async def start(context: "Context") -> int:
        return cast("int", (await client.workflows.start(context)).id)  # the sandbox always returns the id

    contexts = [context async for context in client.contexts.list()]
    starts = [partial(start, context) for context in islice(cycle(contexts), count)]
    return DemoScenario(_watcher(PreservicaSystem(client), count), starts)


def _watcher(system: AnySystem, count: int) -> ConsoleWatcher:
    return ConsoleWatcher(system, Tally(system.name, count), parked="return", poll=DEMO_POLL)


def _print_summaries(summaries: Sequence[Summary], elapsed: float, output: Output) -> None:
    if output.json:
        output.json_line({"elapsed": round(elapsed, 3), **{summary.system: tree(summary) for summary in summaries}})
        return
    output.rows(SUMMARY_COLUMNS, summaries)
    count = sum(summary.workflows for summary in summaries)
    output.message(f"{count} workflows in {elapsed:.1f} s. The clock of the sandbox ran at {SPEED:g} times real time.")
