"""The queue of a batch's results: each result has one reader, and no reader waits after the close."""

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from workflow_async.batch.result_queue import ResultQueue


async def waiting_readers(group: TaskGroup, queue: ResultQueue[str], count: int) -> list[str | None]:
    """Start tasks that read one result each, and return the list of what they have read."""
    found: list[str | None] = []

    async def read() -> None:
        found.append(await queue.get())

    for _ in range(count):
        group.start_soon(read)
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
    return found


async def test_results_are_read_in_their_order_and_none_after_the_close() -> None:
    queue = ResultQueue[str]()
    queue.put("a")
    queue.put("b")
    queue.close()
    assert [await queue.get() for _ in range(4)] == ["a", "b", None, None]


async def test_two_results_wake_two_waiting_readers() -> None:
    queue = ResultQueue[str]()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            found = await waiting_readers(group, queue, 2)
            queue.put("a")
            queue.put("b")
    assert sorted(map(str, found)) == ["a", "b"]


async def test_a_result_that_comes_later_reaches_the_reader_that_still_waits() -> None:
    queue = ResultQueue[str]()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            found = await waiting_readers(group, queue, 2)
            queue.put("a")
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            assert found == ["a"]
            queue.put("b")
    assert found == ["a", "b"]


async def test_a_close_ends_the_wait_of_every_reader() -> None:
    queue = ResultQueue[str]()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            found = await waiting_readers(group, queue, 3)
            queue.close()
    assert found == [None] * 3
