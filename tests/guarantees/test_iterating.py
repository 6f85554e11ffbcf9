"""Everything that is iterated survives a cancelled step: what comes is what comes undisturbed, once each."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
import pytest

from tests.support.byte_server import SuspensionTrigger
from tests.support.loopback_system import ground, soon
from tests.support.public_calls import OFTEN, Scene, furnish
from workflow_async import Phase
from workflow_async.monitor import Change

Read = Callable[[Scene], AsyncIterator[Any]]
STEPS = [(1, 1), (1, 3), (1, 9), (2, 2), (2, 6), (3, 4), (3, 14)]
"""Every how-manieth step is cancelled, and at which of the points at which it waits."""
WAYS = ["natively", "by scope"]

PAGES: dict[str, dict[str, Any]] = {"fast": {}, "one by one": {"ahead": 1}} | {
    way: {"consistency": way} for way in ("anchored", "partitioned")
}


def _workflows(more: dict[str, Any], scene: Scene) -> AsyncIterator[Any]:
    return aiter(scene.client.workflows.list(page_size=2, **more))


def _monitor(scene: Scene) -> str:
    """The monitor of a workflow of the archive."""
    archive = scene.here.preservica.state.archive
    return archive.monitor_id(next(iter(archive.engine.all())))


LISTS: dict[str, dict[str, Read]] = {
    "11": {name: partial(_workflows, more) for name, more in PAGES.items()},
    "16": {
        "definitions": lambda scene: aiter(scene.client.definitions.list()),
        "events": lambda scene: aiter(scene.client.events.processing(page_size=2)),
    },
    "preservica": {
        **{name: partial(_workflows, more) for name, more in PAGES.items()},
        "contexts": lambda scene: aiter(scene.client.contexts.list()),
        "processes": lambda scene: aiter(scene.client.processes.list()),
        "monitors": lambda scene: aiter(scene.client.monitors.list(limit=7)),
        "messages": lambda scene: aiter(scene.client.monitors.messages(_monitor(scene), page_size=1)),
    },
}
CASES = [(kind, name) for kind, reads in LISTS.items() for name in reads]


async def interrupted(steps: AsyncIterator[Any], every: int, at: int, way: str) -> list[Any]:
    """All that an iterator gives. Every so manieth step is cancelled at one point at which it waits, and repeated."""
    found, number = list[Any](), 0
    while True:
        number += 1
        try:
            if number % every == 0:
                with suppress(asyncio.CancelledError):
                    found.append(await _cut(steps, at, way))
                    continue
            found.append(await anext(steps))
        except StopAsyncIteration:
            return found


async def _cut(steps: AsyncIterator[Any], at: int, way: str) -> Any:
    scope = anyio.CancelScope()
    step = SuspensionTrigger(at, _running().cancel if way == "natively" else scope.cancel)
    try:
        with scope:
            return await step.run(anext(steps))  # type: ignore[arg-type]  # a coroutine, of all of ours
    except asyncio.CancelledError:
        _running().uncancel()
    raise asyncio.CancelledError


def _running() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    assert task is not None
    return task


@asynccontextmanager
async def scene(kind: str) -> AsyncIterator[Scene]:
    """A client of a system with some workflows."""
    async with ground(kind) as here:
        furnish(here)
        async with here.client() as client:
            made = Scene(here, client)
            made.ended()
            for _ in range(5):
                made.running("long", age=60.0)
            yield made
            assert await soon(lambda: not here.strangers)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("kind", "name"), CASES)
async def test_a_listing_gives_each_row_once(kind: str, name: str, way: str) -> None:
    async with scene(kind) as made:
        read = LISTS[kind][name]
        undisturbed = [row async for row in read(made)]
        for every, at in STEPS:
            assert await interrupted(read(made), every, at, way) == undisturbed, (every, at)
    assert len(undisturbed) > 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["16", "preservica"])
async def test_as_completed_gives_each_outcome_once(kind: str, way: str) -> None:
    async with scene(kind) as made:
        for every, at in STEPS:
            ids = [made.running() for _ in range(3)] + [made.ended() for _ in range(3)]
            outcomes = made.client.workflows.as_completed(ids, poll=OFTEN)
            told = await interrupted(outcomes, every, at, way)
            assert Counter(outcome.id for outcome in told) == Counter(ids)
            assert all(outcome.succeeded for outcome in told)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
async def test_a_watch_tells_each_end_once_and_leaves_no_gap(kind: str, way: str) -> None:
    async with scene(kind) as made:
        for every, at in STEPS:
            ids = [made.running() for _ in range(3)] + [made.ended() for _ in range(3)]
            async with made.client.workflows.watch(ids, poll=OFTEN) as changes:
                told = await interrupted(changes, every, at, way)
            for id in ids:
                chain = [event for event in told if isinstance(event, Change) and event.id == id]
                assert [event.was for event in chain] == [None, *(event.now for event in chain)][:-1]
                assert [event.now.final for event in chain].count(True) == 1
                assert chain[-1].now is Phase.SUCCEEDED


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["16", "preservica"])
async def test_a_batch_gives_each_result_once_and_starts_each_once(kind: str, way: str) -> None:
    async with scene(kind) as made:
        for every, at in STEPS:
            before = made.here.carried_out
            fresh = Scene(made.here, made.client)
            async with made.client.workflows.run_all(fresh.starts(4), max_running=2, poll=OFTEN) as results:
                told = await interrupted(results, every, at, way)
            assert Counter(result.key for result in told) == Counter(start.key for start in fresh.starts(4))
            assert made.here.carried_out == before + 4
