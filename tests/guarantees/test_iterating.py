"""Every iterator survives a cancelled step: it returns what it returns without cancellation, each item once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
import pytest

from tests.support.byte_server import SuspensionTrigger
from tests.support.loopback_system import eventually, loopback_system
from tests.support.public_calls import FAST_POLL, CallContext, define_workflows
from workflow_async import Phase
from workflow_async.monitor import Change

Read = Callable[[CallContext], AsyncIterator[Any]]
CANCELLED_STEPS = [(1, 1), (1, 3), (1, 9), (2, 2), (2, 6), (3, 4), (3, 14)]
"""Pairs: every n-th step is cancelled, at the k-th point at which it suspends."""
STYLES = ["natively", "by scope"]

PAGES: dict[str, dict[str, Any]] = {"fast": {}, "one by one": {"ahead": 1}} | {
    mode: {"consistency": mode} for mode in ("anchored", "partitioned")
}


def _workflows(options: dict[str, Any], context: CallContext) -> AsyncIterator[Any]:
    return aiter(context.client.workflows.list(page_size=2, **options))


def _monitor(context: CallContext) -> str:
    """Return the monitor id of a workflow of the archive."""
    archive = context.loopback.preservica.state.archive
    return archive.monitor_id(next(iter(archive.engine.all())))


LISTS: dict[str, dict[str, Read]] = {
    "11": {name: partial(_workflows, options) for name, options in PAGES.items()},
    "16": {
        "definitions": lambda context: aiter(context.client.definitions.list()),
        "events": lambda context: aiter(context.client.events.list(page_size=2)),
    },
    "preservica": {
        **{name: partial(_workflows, options) for name, options in PAGES.items()},
        "contexts": lambda context: aiter(context.client.contexts.list()),
        "processes": lambda context: aiter(context.client.processes.list()),
        "monitors": lambda context: aiter(context.client.monitors.list(limit=7)),
        "messages": lambda context: aiter(context.client.monitors.messages(_monitor(context), page_size=1)),
    },
}
CASES = [(kind, name) for kind, reads in LISTS.items() for name in reads]


async def read_with_cancellations(steps: AsyncIterator[Any], every: int, point: int, style: str) -> list[Any]:
    """Return all items of an iterator. Every n-th step is cancelled at one suspension point and repeated."""
    results, number = list[Any](), 0
    while True:
        number += 1
        try:
            if number % every == 0:
                with suppress(asyncio.CancelledError):
                    results.append(await _cancel_step(steps, point, style))
                    continue
            results.append(await anext(steps))
        except StopAsyncIteration:
            return results


async def _cancel_step(steps: AsyncIterator[Any], point: int, style: str) -> Any:
    scope = anyio.CancelScope()
    step = SuspensionTrigger(point, _current_task().cancel if style == "natively" else scope.cancel)
    try:
        with scope:
            return await step.run(anext(steps))  # type: ignore[arg-type]  # each iterator of this library returns a coroutine
    except asyncio.CancelledError:
        _current_task().uncancel()
    raise asyncio.CancelledError


def _current_task() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    assert task is not None
    return task


@asynccontextmanager
async def client_context(kind: str) -> AsyncIterator[CallContext]:
    """Enter a client of a system that has some workflows."""
    async with loopback_system(kind) as loopback:
        define_workflows(loopback)
        async with loopback.client() as client:
            context = CallContext(loopback, client)
            context.new_ended()
            for _ in range(5):
                context.new_running("long", age=60.0)
            yield context
            assert await eventually(lambda: not loopback.client_tasks)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("kind", "name"), CASES)
async def test_a_listing_returns_each_row_once(kind: str, name: str, style: str) -> None:
    async with client_context(kind) as context:
        read = LISTS[kind][name]
        undisturbed = [row async for row in read(context)]
        for every, point in CANCELLED_STEPS:
            assert await read_with_cancellations(read(context), every, point, style) == undisturbed, (every, point)
    assert len(undisturbed) > 2


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", ["16", "preservica"])
async def test_as_completed_returns_each_outcome_once(kind: str, style: str) -> None:
    async with client_context(kind) as context:
        for every, point in CANCELLED_STEPS:
            ids = [context.new_running() for _ in range(3)] + [context.new_ended() for _ in range(3)]
            outcomes = context.client.workflows.as_completed(ids, poll=FAST_POLL)
            completed = await read_with_cancellations(outcomes, every, point, style)
            assert Counter(outcome.id for outcome in completed) == Counter(ids)
            assert all(outcome.succeeded for outcome in completed)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
async def test_a_watch_reports_each_end_once_and_leaves_no_gap(kind: str, style: str) -> None:
    async with client_context(kind) as context:
        for every, point in CANCELLED_STEPS:
            ids = [context.new_running() for _ in range(3)] + [context.new_ended() for _ in range(3)]
            async with context.client.workflows.watch(ids, poll=FAST_POLL) as changes:
                events = await read_with_cancellations(changes, every, point, style)
            for id in ids:
                chain = [event for event in events if isinstance(event, Change) and event.id == id]
                assert [event.was for event in chain] == [None, *(event.now for event in chain)][:-1]
                assert [event.now.final for event in chain].count(True) == 1
                assert chain[-1].now is Phase.SUCCEEDED


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", ["16", "preservica"])
async def test_a_batch_returns_each_result_once_and_starts_each_workflow_once(kind: str, style: str) -> None:
    async with client_context(kind) as context:
        for every, point in CANCELLED_STEPS:
            before = context.loopback.started_count
            batch_context = CallContext(context.loopback, context.client)
            async with context.client.workflows.run_all(
                batch_context.batch_starts(4), max_running=2, poll=FAST_POLL
            ) as results:
                batch_results = await read_with_cancellations(results, every, point, style)
            assert Counter(result.key for result in batch_results) == Counter(
                start.key for start in batch_context.batch_starts(4)
            )
            assert context.loopback.started_count == before + 4
