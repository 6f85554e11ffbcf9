"""If the poll task fails or is cancelled, every watcher raises, and the next one starts a new task."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any

import anyio
import pytest
from attrs import define

from tests.support import virtual_time as virtual
from tests.support.leftovers import assert_all_gone, now, reads
from tests.support.monitored_server import SERVER_KEY, Record, Server, new_poller, running
from tests.unit.monitor.test_fetcher import watch_list
from tests.unit.monitor.test_poller import STEADY, later, waiting, watch
from workflow_async import Clock, Phase
from workflow_async._listing.listing import Listing
from workflow_async.errors import (
    ClientClosed,
    PollTaskFailed,
)
from workflow_async.monitor import OutcomeStream
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor.waits import WaitOptions, wait_all

# Unexpected errors


@define
class Odd(Server):
    """A server whose client has a bug, so that a request raises an unexpected error."""

    bug: BaseException | None = None
    where: str = "get"

    def _fall(self, where: str) -> None:
        if self.bug is not None and where == self.where:
            raise self.bug

    async def get(self, id: int, *, operations: bool) -> Any:
        self._fall("get")
        return await super().get(id, operations=operations)

    def list_active(self, *, operations: bool, rows: int = 0) -> Listing[Any]:
        self._fall("list")
        return super().list_active(operations=operations, rows=rows)

    async def find_changed(self, known: Any) -> Any:
        self._fall("bulk check")
        return await super().find_changed(known)


def every_watcher(poller: Poller[Any], server: Server) -> list[Coroutine[Any, Any, Any]]:
    """Return one watcher of each kind."""

    async def follows(changes: Any) -> Any:
        async with changes:
            return await reads(changes)

    async def completes() -> Any:
        return [outcome async for outcome in OutcomeStream(poller, WaitOptions(poll=STEADY), range(5))]

    return [
        *(waiting(poller, id) for id in range(5)),
        waiting(poller, 3, timeout=1000.0),
        wait_all(poller, range(5), WaitOptions(poll=STEADY)),
        follows(watch(poller, *range(5))),
        completes(),
        *([follows(watch_list(poller, server))] if server.supports_listing else []),
    ]


def flatten(error: BaseException | None) -> list[BaseException | None]:
    """Return the errors of a group, or the error."""
    return [*error.exceptions] if isinstance(error, BaseExceptionGroup) else [error]


@pytest.mark.parametrize("bug", [ValueError("odd"), KeyError(7), asyncio.CancelledError("odd")], ids=repr)
@pytest.mark.parametrize("where", ["get", "list", "bulk check"])
def test_an_unexpected_error_reaches_every_watcher_and_the_next_one_starts_a_new_task(
    where: str, bug: BaseException
) -> None:
    async def main() -> None:
        server = Odd(
            supports_listing=where == "list",
            supports_bulk_check=where == "bulk check",
            where=where,
            workflows=running(*range(5)),
        )
        poller = new_poller(server)
        tasks = [asyncio.create_task(watcher) for watcher in every_watcher(poller, server)]
        await asyncio.sleep(5.0)
        assert not any(task.done() for task in tasks)
        server.bug = bug
        with anyio.fail_after(30):
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(end) for end in ends} == {PollTaskFailed}
        expected = RuntimeError if isinstance(bug, asyncio.CancelledError) else type(bug)
        for end in ends:
            assert isinstance(end, PollTaskFailed)
            assert all(isinstance(cause, expected) for cause in flatten(end.__cause__))
            assert str(end).startswith(f"polling ended with an unexpected {expected.__name__}: ")
        assert len({id(end) for end in ends}) == len(ends)
        assert_all_gone(poller, server)
        server.bug = None
        later(5, lambda: server.set_phase(Phase.SUCCEEDED, *range(5)))
        assert (await waiting(poller, 3)).phase is Phase.SUCCEEDED
        assert_all_gone(poller, server)

    virtual.run(main())


def test_events_before_an_unexpected_error_are_returned_before_it() -> None:
    async def main() -> None:
        server = Odd(workflows=running(1, 2))
        poller = new_poller(server)
        async with watch(poller, 1, 2) as changes:
            await asyncio.sleep(1.0)
            server.bug = ValueError("odd")
            await asyncio.sleep(10.0)
            assert {(await anext(changes)).id, (await anext(changes)).id} == {1, 2}
            for _ in range(2):
                with pytest.raises(PollTaskFailed, match="ValueError"):
                    await anext(changes)
            with pytest.raises(PollTaskFailed):
                changes.add(3)
        assert_all_gone(poller, server)

    virtual.run(main())


def test_a_clock_that_fails_is_an_unexpected_error() -> None:
    async def main() -> None:
        async def sleep(seconds: float) -> None:
            raise OSError("no time")

        server = Server(workflows=running(1))
        poller: Poller[Any] = Poller(server, Clock(now=now, sleep=sleep, jitter=lambda: 0.5))
        with pytest.raises(PollTaskFailed, match="OSError") as caught:
            await waiting(poller, 1)
        assert isinstance(caught.value.__cause__, OSError)
        assert_all_gone(poller, server)

    virtual.run(main())


def test_several_errors_in_one_step_come_as_a_group() -> None:
    async def main() -> None:
        class Falling(Server):
            async def get(self, id: int, *, operations: bool) -> Any:
                await anyio.sleep(1.0)
                raise ValueError(id)

        with pytest.raises(PollTaskFailed) as caught:
            await wait_all(new_poller(Falling(workflows=running(1, 2))), [1, 2], WaitOptions(poll=STEADY))
        assert isinstance(caught.value.__cause__, ExceptionGroup)

    virtual.run(main())


def test_an_error_without_a_watcher_is_reported_by_the_loop() -> None:
    reported: list[dict[str, Any]] = []

    async def main() -> None:
        class Falling(Server):
            async def get(self, id: int, *, operations: bool) -> Any:
                try:
                    await anyio.sleep(10.0)
                finally:
                    raise ValueError("while it ends")

        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        poller = new_poller(Falling(workflows=running(1)))
        async with watch(poller, 1):
            await asyncio.sleep(1.0)
        gc.collect()
        assert not poller._task.running

    virtual.run(main())
    assert [type(context["exception"]) for context in reported] == [ExceptionGroup]


def test_a_watcher_that_starts_while_the_failed_task_ends_gets_each_event_once() -> None:
    class Uneven(Server):
        async def get(self, id: int, *, operations: bool) -> Any:
            self.seconds = 1.0 if id == 1 else 3.0
            return await super().get(id, operations=operations)

    async def main() -> None:
        server = Uneven(workflows={1: ClientClosed("closed"), 2: Record(2)})
        poller = new_poller(server)
        changes = await watch(poller, 1, 2).__aenter__()
        try:
            await anext(changes)
        except ClientClosed:
            async with watch(poller, 2) as later_events:  # in the step of the error, before the poll task runs
                await asyncio.sleep(0.1)
                assert now() == pytest.approx(1.1)
                assert server.in_flight == 1
                later(5, lambda: server.set_phase(Phase.SUCCEEDED, 2))
                assert [event.key for event in await reads(later_events)] == [
                    f"{SERVER_KEY}/2/running",
                    f"{SERVER_KEY}/2/end/succeeded",
                ]
        assert_all_gone(poller, server)

    virtual.run(main())


# Cancelled from outside


def test_when_every_task_is_cancelled_a_waiter_outside_of_them_gets_an_error() -> None:
    async def main() -> None:
        server = Server(seconds=1.0, workflows=running(1))
        poller = new_poller(server)
        async with watch(poller, 1) as changes:
            await anext(changes)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            with pytest.raises(PollTaskFailed, match="CancelledError"):
                await anext(changes)
        assert_all_gone(poller, server)

    virtual.run(main())


def test_a_request_whose_task_was_cancelled_is_sent_again() -> None:
    async def main() -> None:
        server = Server(seconds=1.0, workflows=running(1))
        poller = new_poller(server)
        before = asyncio.all_tasks()
        waits = asyncio.create_task(waiting(poller, 1))
        await asyncio.sleep(0.5)
        (request,) = [task for task in asyncio.all_tasks() - before if "_get_loop" in repr(task)]
        request.cancel()
        later(3, lambda: server.set_phase(Phase.SUCCEEDED, 1))
        assert (await waits).phase is Phase.SUCCEEDED
        assert [at for at, _, _ in server.gets][:2] == pytest.approx([0.0, 0.5])
        assert_all_gone(poller, server)

    virtual.run(main())
