"""The command `demo`: starts workflows on a sandbox, watches them and prints a summary."""

import importlib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Annotated, Any, cast

import anyio
import typer
from attrs import evolve, frozen

from workflow_async import OpencastClient, Poll
from workflow_async.batch import StartFound
from workflow_async.cli.command import Json
from workflow_async.cli.demo_figures import FAULTS_ARE_ON, INTRODUCTION, Figures, polls_of
from workflow_async.cli.display import progress
from workflow_async.cli.exit_codes import Exit, run_and_exit
from workflow_async.cli.output import Output, print_message
from workflow_async.cli.records import tree
from workflow_async.cli.serve import sandbox_class
from workflow_async.cli.summary import SUMMARY_COLUMNS, Summary, durations_of, summarize
from workflow_async.cli.systems import AnySystem
from workflow_async.cli.systems.opencast import OpencastSystem
from workflow_async.cli.systems.preservica import PreservicaSystem
from workflow_async.cli.tally import Tally
from workflow_async.cli.watcher import ConsoleWatcher
from workflow_async.errors import StartOutcomeUnknown
from workflow_async.preservica import Context, PreservicaClient

if TYPE_CHECKING:
    from workflow_async.sandbox import Sandbox

SPEED = 10.0
"""How many times shorter the steps of the sandbox are. A publication of 82 s takes 8 s."""
START_SPREAD = 5.0
"""The starts are spread over this many seconds."""
DEMO_POLL = Poll(interval=0.5, ceiling=2.0)
DEMO_DEFINITIONS = (*("publish",) * 5, *("fast",) * 3, "skips", "review", "fails", "fails-with-handler")
"""The definitions to start, in turn. `review` parks, the last two fail."""

LOST, REFUSED = 0.03, 0.03
"""The shares of the answers that are lost and of the requests that are refused with `--faults`."""

FaultsOption = Annotated[bool, typer.Option("--faults", help="Lose answers and refuse requests, at random.")]
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


def demo(*, workflows: Count = 300, faults: FaultsOption = False, json: Json = False) -> None:
    """Start workflows on a sandbox of both systems, watch them, and print a summary."""
    output = Output(json=json)
    run_and_exit(lambda: anyio.run(partial(run_demo, workflows, output, with_faults=faults)))


async def run_demo(workflows: int, output: Output, *, with_faults: bool = False) -> Exit:
    """Serve a sandbox, run the demonstration on it, print the summaries, and return the exit code."""
    if not output.json:
        for line in (*INTRODUCTION, *([FAULTS_ARE_ON] if with_faults else [])):
            print_message(output.err, line.format(workflows=workflows))
    started = time.monotonic()
    async with sandbox_class()("16") as fakes:
        shorten(fakes, SPEED)
        if with_faults:
            lose_answers(fakes)
        watchers = await _run_scenarios(fakes, workflows, output)
        systems = fakes.opencast, fakes.preservica
        requests = [len(system.requests) for system in systems]
        lost = sum(request.fault is not None for system in systems for request in system.requests)
        twice = sum(len(system.engine.runs) for system in systems) - workflows
    summaries = [
        summarize(watcher.tally, count, watcher.system.spans) for watcher, count in zip(watchers, requests, strict=True)
    ]
    took = [
        seconds
        for watcher in watchers
        for seconds in durations_of(watcher.tally.results.values(), watcher.system.spans)
    ]
    figures = Figures(
        workflows=workflows,
        elapsed=time.monotonic() - started,
        requests=sum(requests),
        lost_answers=lost,
        started_twice=twice,
        polling_each=polls_of(took, workflows, DEMO_POLL.interval),
        interval=DEMO_POLL.interval,
    )
    _print_summaries(summaries, figures, output)
    unobserved = any(result.code is Exit.SERVER for watcher in watchers for result in watcher.tally.results.values())
    return Exit.SERVER if unobserved else Exit.DONE


def shorten(fakes: "Sandbox", factor: float) -> None:
    """Make every step of both systems shorter, so that a second of the servers is a second of the viewer."""
    opencast, archive = fakes.opencast.state, fakes.preservica.state.archive
    for engine in (opencast.engine, archive.engine):
        engine.queue_seconds /= factor
    for id, definition in opencast.definitions.items():
        opencast.definitions[id] = evolve(definition, steps=_shorter(definition.steps, factor))
    for id, context in archive.contexts.items():
        archive.contexts[id] = evolve(context, steps=_shorter(context.steps, factor))


def _shorter(steps: Iterable[Any], factor: float) -> tuple[Any, ...]:
    return tuple(
        evolve(step, seconds=step.seconds / factor, handlers=_shorter(step.handlers, factor)) for step in steps
    )


def lose_answers(fakes: "Sandbox") -> None:
    """Let both systems lose answers, of starts too, and refuse some of the requests that only read."""
    faults = importlib.import_module("workflow_async.sandbox.faults")
    lost, refused = {faults.Fault.CUT_BEFORE: LOST}, {faults.Fault.SERVER_ERROR: REFUSED}
    plans = faults.Faults(rates=lost), faults.Faults(rates=refused, methods=("GET",))
    fakes.opencast.faults = fakes.preservica.faults = plans


async def _found(start: Awaitable[Any], reconcile: Callable[[Any], Awaitable[Any]]) -> int:
    """Return the id of the workflow that a start has started. If its answer is lost, find the workflow by its traces.

    Raises `StartOutcomeUnknown` if it is not found.
    """
    try:
        return cast("int", (await start).id)  # the sandbox always returns the id
    except StartOutcomeUnknown as error:
        found = await reconcile(error.ticket)
        if not isinstance(found, StartFound):
            raise
        return cast("int", found.workflow.id)


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
        return await _found(client.workflows.start(event, definition), client.workflows.reconcile)

    available = {definition.id async for definition in client.definitions.list()}
    names = islice(cycle([definition for definition in DEMO_DEFINITIONS if definition in available]), count)
    starts = [partial(start, fakes.opencast.event(), definition) for definition in names]
    return DemoScenario(_watcher(OpencastSystem(client), count), starts)


async def _preservica_scenario(client: PreservicaClient, count: int) -> DemoScenario:
    async def start(context: "Context") -> int:
        return await _found(client.workflows.start(context), client.workflows.reconcile)

    contexts = [context async for context in client.contexts.list()]
    starts = [partial(start, context) for context in islice(cycle(contexts), count)]
    return DemoScenario(_watcher(PreservicaSystem(client), count), starts)


def _watcher(system: AnySystem, count: int) -> ConsoleWatcher:
    return ConsoleWatcher(system, Tally(system.name, count), parked="return", poll=DEMO_POLL)


def _print_summaries(summaries: Sequence[Summary], figures: Figures, output: Output) -> None:
    if output.json:
        numbers = {**tree(figures), "elapsed": round(figures.elapsed, 3)}
        output.json_line({**numbers, **{summary.system: tree(summary) for summary in summaries}})
        return
    output.rows(SUMMARY_COLUMNS, summaries)
    for sentence in figures.sentences():
        output.message(sentence)
