"""The one task that polls for all watchers of a client, in several kinds of event loops."""

import asyncio
import contextvars
import gc
import sys
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import Any, TypeVar

import anyio
import pytest
import uvloop
from attrs import define, field

from tests.support import virtual_time as virtual
from tests.support.leftovers import assert_all_gone, now, reads
from tests.support.monitored_server import Record, Server, new_poller, running
from tests.unit.monitor.test_fetcher import watch_list
from tests.unit.monitor.test_poller import STEADY, assert_nothing_left, later, waiting, watch
from workflow_async import Clock, Phase, Poll
from workflow_async.errors import (
    CallError,
    Forbidden,
    ServerError,
)
from workflow_async.monitor import OutcomeStream, PollingFailed
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor.waits import WaitOptions, wait_all

T = TypeVar("T")
CALLER: contextvars.ContextVar[str] = contextvars.ContextVar("CALLER", default="nobody")


# Requests belong to the client


def test_a_reader_that_times_out_more_often_than_the_server_answers_gets_every_event() -> None:
    async def main() -> None:
        server = Server(seconds=3.0, workflows=running(1, 2))
        poller = new_poller(server)
        later(20, lambda: server.set_phase(Phase.SUCCEEDED, 1, 2))
        events, given_up = [], 0
        async with watch(poller, 1, 2) as changes:
            while changes.ids:
                try:
                    async with asyncio.timeout(0.5):
                        events.append(await anext(changes))
                except TimeoutError:
                    given_up += 1
        for id in (1, 2):
            assert [event.now for event in events if event.id == id] == [Phase.RUNNING, Phase.SUCCEEDED]
        assert given_up > 30
        assert len(server.gets) == 2 * 5, "each answered request is followed by the next, and none is cut"
        assert_all_gone(poller, server)

    virtual.run(main())


@pytest.mark.parametrize("how", ["native", "scope", "timeout", "fails"])
def test_a_watcher_that_leaves_cancels_no_request_of_another(how: str) -> None:
    async def main() -> None:
        server = Server(seconds=5.0, workflows=running(7))
        poller = new_poller(server)

        async def first() -> None:
            with anyio.move_on_after(2.0 if how == "scope" else None):
                async with asyncio.timeout(2.0 if how == "timeout" else None), watch(poller, 7) as changes:
                    if how == "fails":
                        await asyncio.sleep(2.0)
                        raise ZeroDivisionError
                    await anext(changes)

        leaves = asyncio.create_task(first())
        await asyncio.sleep(1.0)
        server.set_phase(Phase.SUCCEEDED, 7)  # the request on its way was answered before
        stays = asyncio.create_task(waiting(poller, 7))
        if how == "native":
            later(1.0, leaves.cancel)
        await asyncio.wait([leaves])
        assert now() == pytest.approx(2.0)
        assert (await stays).phase is Phase.SUCCEEDED
        assert [at for at, _, _ in server.gets] == pytest.approx([0.0, 7.0])
        assert_all_gone(poller, server)

    virtual.run(main())


@define
class Curious(Server):
    """A server that records the context of every request."""

    contexts: set[str] = field(factory=set)

    async def get(self, id: int, *, operations: bool) -> Any:
        self.contexts.add(CALLER.get())
        return await super().get(id, operations=operations)

    async def _send(self, call: Any, /) -> Any:
        self.contexts.add(CALLER.get())
        return await super()._send(call)

    async def find_changed(self, known: Any) -> Any:
        self.contexts.add(CALLER.get())
        return await super().find_changed(known)


@pytest.mark.parametrize("lists", [False, True])
def test_no_context_variable_of_a_caller_appears_in_a_poll(lists: bool) -> None:  # noqa: FBT001 - a case
    async def main() -> None:
        server = Curious(supports_listing=lists, supports_bulk_check=True, workflows=running(*range(10)))
        poller = new_poller(server)
        later(10, lambda: server.set_phase(Phase.SUCCEEDED, *range(10)))
        CALLER.set("request 4711")
        await wait_all(poller, range(10), WaitOptions(poll=STEADY))
        if lists:
            server.put(Record(77))
            async with watch_list(poller, server) as changes:
                await anext(changes)
        assert server.contexts == {"nobody"}
        assert CALLER.get() == "request 4711"

    virtual.run(main())


class Handled(Exception):
    """An exception that a caller handles while its wait starts."""


def fail(*about: object) -> None:
    raise Handled(*about)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, its causes and its contexts."""
    queue = [error]
    while queue:
        if (one := queue.pop()) is not None:
            yield one
            queue += [one.__cause__, one.__context__]


@define
class Noting(Server):
    """A server that records the errors that it raises."""

    raised: list[BaseException] = field(factory=list)

    async def get(self, id: int, *, operations: bool) -> Any:
        found = self.workflows[id]
        if isinstance(found, CallError):  # immediately, because an eager task may still run inside its creator
            self.raised.append(found)
            raise found
        return await super().get(id, operations=operations)


async def handling(act: Callable[[], Coroutine[Any, Any, T]], *about: object) -> "tuple[T, weakref.ref[Handled]]":
    """Act while an error is handled. Return the result and a weak reference to the error."""
    try:
        fail(*about)
    except Handled as error:
        return await act(), weakref.ref(error)
    raise AssertionError


def assert_no_trace_of_what_a_caller_handles() -> Coroutine[Any, Any, None]:
    async def main() -> None:
        server = Noting(workflows={7: ServerError(503), 8: Record(8), 9: Forbidden(403)})
        poller = new_poller(server)
        changes, handled = await handling(watch(poller, 7, 8, 9).__aenter__)
        gc.collect()
        assert handled() is None, "the poll task keeps the frames of what its first caller handled"
        lost, _ = await handling(changes.__anext__)
        while not isinstance(lost, PollingFailed):
            lost, _ = await handling(changes.__anext__)
        assert len(server.raised) >= 2
        assert not [one for error in (*server.raised, lost.error) for one in chain(error) if isinstance(one, Handled)]
        await changes.__aexit__(None, None, None)
        assert_nothing_left(poller, server)

    return main()


def test_an_exception_that_a_caller_handles_appears_in_no_poll_and_is_not_kept() -> None:
    virtual.run(assert_no_trace_of_what_a_caller_handles())


def test_each_watcher_raises_its_own_copy_of_a_shared_error() -> None:
    async def main() -> None:
        server = Server(workflows={7: Forbidden(403)})
        poller = new_poller(server)

        async def caught() -> BaseException:
            try:
                await waiting(poller, 7)
            except Forbidden as error:
                return error
            raise AssertionError

        ends = await asyncio.gather(*(handling(caught, number) for number in range(5)))
        seen = [[one.args for one in chain(error) if isinstance(one, Handled)] for error, _ in ends]
        assert seen == [[(number,)] for number in range(5)]

    virtual.run(main())


# Surroundings


async def everything_works(server: Server) -> None:
    """Run all kinds of watchers to their ends."""
    poller = new_poller(server)
    asyncio.get_running_loop().call_later(0.05, lambda: server.set_phase(Phase.SUCCEEDED, *range(5)))
    often = Poll(interval=0.02, ceiling=0.02)
    assert (await waiting(poller, 1, poll=often)).phase is Phase.SUCCEEDED
    assert len(await wait_all(poller, range(5), WaitOptions(poll=often, timeout=5.0))) == 5
    server.put(*(Record(id) for id in range(10, 15)))
    async with watch_list(poller, server, poll=often) as changes, watch(poller, 12, poll=often) as one:
        assert {(await anext(changes)).id for _ in range(5)} == set(range(10, 15))
        server.set_phase(Phase.FAILED, *range(10, 15))
        assert [event.now for event in await reads(one)][-1] is Phase.FAILED
    async with aclosing(OutcomeStream(poller, WaitOptions(poll=often), range(10, 15))) as outcomes:
        assert (await anext(outcomes)).id in range(10, 15)
    assert not poller._task.running
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_it_works_on_uvloop() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(everything_works(Server(supports_listing=True, workflows=running(*range(5)))))


eager = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")


def eagerly(main: Coroutine[Any, Any, None], loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Run a coroutine on this loop, with eager tasks."""
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.get_loop().set_task_factory(vars(asyncio)["eager_task_factory"])
        runner.run(main)


@eager
@pytest.mark.parametrize("seconds", [0.0, 0.001])
def test_it_works_with_eager_tasks(seconds: float) -> None:
    server = Server(supports_listing=True, seconds=seconds, workflows=running(*range(5)))
    eagerly(everything_works(server), asyncio.new_event_loop)


@eager
def test_with_eager_tasks_an_exception_that_a_caller_handles_appears_in_no_poll_and_is_not_kept() -> None:
    eagerly(assert_no_trace_of_what_a_caller_handles(), virtual.VirtualLoop)


def test_a_task_factory_without_contexts_works() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coroutine: asyncio.Task(coroutine, loop=loop))
        await everything_works(Server(supports_listing=True, workflows=running(*range(5))))

    virtual.run(main())


def test_a_poller_whose_loop_was_closed_under_its_watchers_starts_again_in_the_next_loop() -> None:
    server = Server(workflows=running(1))
    poller: Poller[Any] = Poller(server, Clock(now=lambda: 0.0, sleep=anyio.sleep, jitter=lambda: 0.5))

    async def first() -> None:
        await watch(poller, 1).__aenter__()
        await asyncio.sleep(0)

    async def second() -> None:
        poller.open()
        server.set_phase(Phase.SUCCEEDED, 1)
        assert (await waiting(poller, 1)).phase is Phase.SUCCEEDED
        assert not poller._task.running

    abandoned = virtual.VirtualLoop()
    abandoned.run_until_complete(first())
    virtual.run(second())
    for task in asyncio.all_tasks(abandoned):
        task.cancel()
    abandoned.run_until_complete(asyncio.sleep(0))
    abandoned.close()
