"""The rate of one client: evenly spaced requests in their order, and what counts."""

import asyncio
import itertools
import threading
from collections.abc import Iterable, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import define, field
from hypothesis import given, strategies as st

from tests.conftest import FakeTime
from tests.support import virtual_time
from tests.support.byte_server import GET, POST, make_transport
from tests.support.loopback_system import loopback_system
from workflow_async import Clock, Limits, OpencastClient, PreservicaClient, Retry, Timeouts
from workflow_async._core.auth import Headers, Refusable
from workflow_async._core.backend import Request
from workflow_async._core.call import Reply
from workflow_async._core.pacing import CATCH_UP, Pacer
from workflow_async._core.transport import Transport
from workflow_async.errors import (
    ClientClosed,
    DeadlineExceeded,
    InvalidArgument,
    NotSentInTime,
    PaceFailed,
    ServerError,
)
from workflow_async.sandbox import Fault, Faults

OK = Reply(200, {}, b"{}")
WINDOW = 5.0


@define
class TimedBackend:
    """A backend that records when each request is sent, and takes `latency` seconds for a response."""

    latency: float = 0.0
    script: Sequence[Reply] = (OK,)
    sent: list[float] = field(factory=list)

    async def __call__(self, request: Request) -> Reply:
        self.sent.append(anyio.current_time())
        await anyio.sleep(self.latency)
        return self.script[min(len(self.sent), len(self.script)) - 1]

    async def reset(self) -> None: ...

    async def aclose(self) -> None: ...


@define
class SharedBudget:
    """A budget that clients share: `spacing` seconds between two turns."""

    spacing: float = 1.0
    turns: list[float] = field(factory=list)
    waiting: int = 0
    _order: anyio.Lock = field(factory=anyio.Lock)

    async def acquire(self) -> None:
        self.waiting += 1
        try:
            async with self._order:
                if self.turns:
                    await anyio.sleep(max(0.0, self.turns[-1] + self.spacing - anyio.current_time()))
                self.turns.append(anyio.current_time())
        finally:
            self.waiting -= 1


@define
class LoginFirst:
    """A credential that logs in before each attempt."""

    transport: Transport | None = None
    renews_on_redirect: bool = False

    def refusable(self, sent: Headers) -> Refusable | None:
        return None

    async def headers(self, method: str, url: str) -> Headers:
        assert self.transport is not None
        await self.transport.send_once(GET)
        return ()

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        return False


def paced(backend: TimedBackend, rate: float | None, **settings: Any) -> Transport:
    """Return an open transport whose clock is that of the event loop."""
    clock = Clock(now=anyio.current_time, jitter=lambda: 0.5)
    limits = Limits(rate=rate, connections=settings.pop("connections", 16))
    transport = make_transport("http://127.0.0.1:9", clock, limits=limits, **settings)
    transport.backend = backend
    transport.open()
    return transport


def busiest(times: Iterable[float]) -> int:
    """Return the largest number of requests in any 5 seconds."""
    ordered = sorted(times)
    return max(sum(start <= time < start + WINDOW for time in ordered) for start in ordered)


def in_virtual_time(backend: TimedBackend, calls: int, rate: float | None, **settings: Any) -> list[float]:
    """Make calls concurrently. Return the times at which their requests were sent."""

    async def main() -> None:
        transport = paced(backend, rate, timeouts=Timeouts(call=10_000, exchange=1000), **settings)
        await asyncio.gather(*(transport.send(GET) for _ in range(calls)))

    virtual_time.run(main())
    return backend.sent


@pytest.mark.parametrize("latency", [0.0, 0.3, 0.79])
@pytest.mark.parametrize("rate", [4.0, 20.0, 333.3])
def test_in_any_5_seconds_the_rate_is_exceeded_by_5_percent_at_most_and_used_up(rate: float, latency: float) -> None:
    times = in_virtual_time(TimedBackend(latency), round(rate * 12), rate, connections=round(rate))
    assert busiest(times) <= rate * WINDOW * 1.05
    assert times[-1] - times[0] == pytest.approx(len(times) / rate, rel=0.05)


def test_requests_that_waited_for_a_connection_are_not_sent_in_a_burst() -> None:
    class Stalling(TimedBackend):
        async def __call__(self, request: Request) -> Reply:
            self.latency = max(10.0 - anyio.current_time(), 0.0)  # the server answers nothing for 10 s
            return await super().__call__(request)

    assert busiest(in_virtual_time(Stalling(), 300, 20.0)) <= 105


def test_late_timers_do_not_lower_the_rate() -> None:
    async def main() -> float:
        async def late(seconds: float) -> None:
            await anyio.sleep(seconds + 0.02)

        pacer = Pacer(20.0, Clock(now=anyio.current_time, sleep=late))
        for _ in range(200):
            await pacer.wait()
        return anyio.current_time()

    assert virtual_time.run(main()) == pytest.approx(10.0, rel=0.02)


def test_after_a_pause_the_requests_of_a_tenth_of_a_second_are_not_spaced() -> None:
    async def main() -> list[float]:
        times, pacer = [], Pacer(20.0, Clock(now=anyio.current_time))
        await anyio.sleep(60.0)
        for _ in range(5):
            await pacer.wait()
            times.append(anyio.current_time() - 60.0)
        return times

    assert virtual_time.run(main()) == pytest.approx([0.0, 0.0, 0.0, 0.05, 0.1])


def test_without_a_rate_nothing_is_spaced() -> None:
    assert in_virtual_time(TimedBackend(), 500, None) == [0.0] * 500
    assert Limits().rate is None


@given(st.floats(0.5, 1000), st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_any_number_of_requests_takes_the_time_that_the_rate_allows(rate: float, pauses: list[float]) -> None:
    async def main() -> list[float]:
        times, pacer = [], Pacer(rate, Clock(now=anyio.current_time))
        for pause in pauses:
            await anyio.sleep(pause)
            await pacer.wait()
            times.append(anyio.current_time())
        return times

    times = virtual_time.run(main())
    for first, last in itertools.combinations(range(len(times)), 2):
        assert times[last] - times[first] >= (last - first) / rate - CATCH_UP - 1e-6


async def test_requests_get_their_turns_in_the_order_in_which_they_ask(fake_time: FakeTime) -> None:
    order, pacer = [], Pacer(1.0, fake_time.clock)

    async def take(number: int) -> None:
        await pacer.wait()
        order.append(number)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(take, number)
    assert order == [*range(20)]


async def test_a_request_that_is_cancelled_takes_no_turn(fake_time: FakeTime) -> None:
    async def never(_: float) -> None:
        await anyio.sleep_forever()

    pacer = Pacer(1.0, fake_time.clock)
    await pacer.wait()
    pacer.clock = Clock(now=fake_time.clock.now, sleep=never)
    with anyio.move_on_after(0):
        await pacer.wait()
    pacer.clock = fake_time.clock
    await pacer.wait()
    assert sum(fake_time.naps) == pytest.approx(1.0 - CATCH_UP)


def test_every_attempt_and_every_login_takes_a_turn() -> None:
    backend = TimedBackend(script=(OK, Reply(429, {}, b""), OK, OK))

    async def main() -> None:
        login = LoginFirst()
        login.transport = transport = paced(backend, 0.1, credential=login, timeouts=Timeouts(call=1000))
        await transport.send(GET)

    virtual_time.run(main())
    assert [round(after - before) for before, after in itertools.pairwise(backend.sent)] == [10, 10, 10]


def test_a_call_that_times_out_before_its_turn_was_not_sent() -> None:
    backend = TimedBackend()

    async def main() -> tuple[Any, ...]:
        transport = paced(backend, 0.1, timeouts=Timeouts(call=5))
        return tuple(await asyncio.gather(*(transport.send(POST) for _ in range(2)), return_exceptions=True))

    _, error = virtual_time.run(main())
    assert isinstance(error, NotSentInTime)
    assert (error.attempts, backend.sent) == (0, [0.0])


def test_the_wait_for_a_turn_does_not_count_for_the_timeout_of_an_attempt() -> None:
    async def main() -> tuple[Any, ...]:
        transport = paced(backend, 0.1, timeouts=Timeouts(call=100, exchange=2), retry=Retry(attempts=1))
        return tuple(await asyncio.gather(*(transport.send(GET) for _ in range(3)), return_exceptions=True))

    backend = TimedBackend(latency=1.0)
    assert virtual_time.run(main()) == ({}, {}, {})
    backend = TimedBackend(latency=3.0)
    assert {type(error) for error in virtual_time.run(main())} == {DeadlineExceeded}


def test_a_call_whose_client_closes_before_its_turn_is_not_sent() -> None:
    backend = TimedBackend()

    async def main() -> tuple[Any, ...]:
        transport = paced(backend, 0.1)
        calls = [asyncio.create_task(transport.send(GET)) for _ in range(2)]
        await anyio.sleep(1.0)
        await transport.aclose()
        return tuple(await asyncio.gather(*calls, return_exceptions=True))

    first, second = virtual_time.run(main())
    assert first == {}
    assert isinstance(second, ClientClosed)
    assert backend.sent == [0.0]


def test_a_failed_attempt_keeps_its_turn() -> None:
    backend = TimedBackend(script=(Reply(500, {}, b""),))

    async def main() -> Any:
        transport = paced(backend, 0.1, timeouts=Timeouts(call=1000), retry=Retry(attempts=3))
        return (await asyncio.gather(transport.send(GET), return_exceptions=True))[0]

    assert isinstance(virtual_time.run(main()), ServerError)
    assert [round(after - before) for before, after in itertools.pairwise(backend.sent)] == [10, 10]


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
async def test_a_servers_log_shows_the_rate_with_logins_and_retries(kind: str) -> None:
    async with loopback_system(kind) as loopback:
        times: dict[int, float] = {}
        """When the client began to wait for a turn, by the number of requests in the log."""

        async def sleep(seconds: float) -> None:
            times.setdefault(len(loopback.system.requests), loopback.time())
            await loopback.clock.sleep(seconds)

        clock = Clock(now=loopback.time, sleep=sleep, jitter=lambda: 0.5, wall=loopback.time)
        loopback.system.faults = Faults(seed=1, rates={Fault.SERVER_ERROR: 0.1})
        limits = Limits(connections=1, rate=20.0)
        async with loopback.client(clock=clock, limits=limits, retry=Retry(base=0.01, attempts=9)) as client:
            began = loopback.time()
            async with anyio.create_task_group() as group:
                for _ in range(240):
                    group.start_soon(client.workflows.count)
        assert len(loopback.system.requests) > 250
        assert len(loopback.system.requests) / (loopback.time() - began) == pytest.approx(20.0, rel=0.05)
        assert busiest(times.values()) <= 105


def test_clients_that_share_a_budget_send_when_it_gives_them_turns() -> None:
    budget, backend = SharedBudget(0.5), TimedBackend(latency=0.2)

    async def main() -> None:
        clients = [paced(backend, None, pace=budget.acquire, timeouts=Timeouts(call=100)) for _ in range(3)]
        await asyncio.gather(*(client.send(GET) for client in clients for _ in range(10)))

    virtual_time.run(main())
    assert backend.sent == budget.turns == pytest.approx([number * 0.5 for number in range(30)])


def test_a_request_asks_for_a_turn_of_the_shared_budget_when_it_can_be_sent_at_once() -> None:
    budget, backend = SharedBudget(0.1), TimedBackend(latency=5.0)

    async def main() -> int:
        transport = paced(backend, None, pace=budget.acquire, connections=2, timeouts=Timeouts(call=1000))
        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(transport.send(GET))
            await anyio.sleep(1.0)
            return len(budget.turns) + budget.waiting

    assert virtual_time.run(main()) == 2
    assert backend.sent == budget.turns


def test_the_clients_own_rate_holds_after_the_shared_budget_was_held_up() -> None:
    backend = TimedBackend()

    async def held_up() -> None:
        await anyio.sleep(max(0.0, 10.0 - anyio.current_time()))

    async def main() -> None:
        transport = paced(backend, 2.0, pace=held_up, connections=16, timeouts=Timeouts(call=1000))
        await asyncio.gather(*(transport.send(GET) for _ in range(30)))

    virtual_time.run(main())
    assert backend.sent[0] == 10.0
    assert busiest(backend.sent) <= 11


def test_every_attempt_and_every_login_awaits_the_shared_budget() -> None:
    budget, backend = SharedBudget(), TimedBackend(script=(OK, Reply(429, {}, b""), OK, OK))

    async def main() -> None:
        login = LoginFirst()
        login.transport = paced(backend, None, credential=login, pace=budget.acquire, timeouts=Timeouts(call=1000))
        await login.transport.send(GET)

    virtual_time.run(main())
    assert len(budget.turns) == len(backend.sent) == 4


def test_a_start_that_waits_for_the_shared_budget_at_its_deadline_was_not_sent() -> None:
    budget, backend = SharedBudget(1000.0), TimedBackend()

    async def main() -> Any:
        transport = paced(backend, None, pace=budget.acquire, timeouts=Timeouts(call=5))
        await transport.send(GET)
        return (await asyncio.gather(transport.send(POST), return_exceptions=True))[0]

    error = virtual_time.run(main())
    assert isinstance(error, NotSentInTime)
    assert (len(budget.turns), budget.waiting, backend.sent) == (1, 0, [0.0])


@pytest.mark.parametrize("rate", [None, 1.0])
def test_a_cancelled_request_cancels_its_wait_for_the_shared_budget_and_takes_no_turn(rate: float | None) -> None:
    budget, backend = SharedBudget(10.0), TimedBackend()

    async def main() -> float:
        transport = paced(backend, rate, pace=budget.acquire, timeouts=Timeouts(call=1000))
        await transport.send(GET)
        with anyio.move_on_after(5.0):
            await transport.send(GET)
        assert budget.waiting == 0
        await transport.send(GET)
        return anyio.current_time()

    assert virtual_time.run(main()) == 10.0
    assert len(budget.turns) == 2


@pytest.mark.parametrize("error", [ConnectionError, ValueError, TimeoutError, asyncio.CancelledError])
async def test_what_the_function_raises_is_an_error_that_says_that_nothing_was_sent(
    error: type[BaseException], fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    async def acquire() -> None:
        raise error("no budget")

    transport = make_transport("http://127.0.0.1:9", fake_time.clock, pace=acquire)
    transport.backend = backend = TimedBackend()
    transport.open()
    with pytest.raises(PaceFailed, match=f"POST .*pace= raised {error.__name__}, so nothing was sent") as caught:
        await transport.send(POST)
    assert (caught.value.sent, caught.value.attempts, backend.sent) == (False, 1, [])
    with pytest.raises(PaceFailed) as repeated:
        await transport.send(GET)
    assert repeated.value.attempts == Retry().attempts
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    (record,) = caplog.records
    assert record.getMessage() == "pace= raised an exception"
    assert record.exc_info is not None


async def test_a_start_whose_turn_failed_was_not_sent_and_can_be_repeated() -> None:
    fails = [True]

    async def acquire() -> None:
        if fails.pop():
            raise ConnectionError

    async with loopback_system("16") as loopback, loopback.client(pace=acquire) as client:
        with pytest.raises(PaceFailed):
            await client.workflows.start("event-1", "fast")
        assert loopback.started_count == 0


async def test_a_function_that_returns_nothing_to_await_is_refused_before_anything_is_sent() -> None:
    taken: list[float] = []
    transport = paced(backend := TimedBackend(), None, pace=lambda: taken.append(1.0))
    with pytest.raises(InvalidArgument, match="pace: must be a coroutine function: it returned NoneType, which cannot"):
        await transport.send(GET)
    assert (taken, backend.sent) == ([1.0], [])


@pytest.mark.parametrize("pace", [5.0, "acquire", [None]])
def test_what_cannot_be_called_is_refused_when_a_client_is_made(pace: Any) -> None:
    account: dict[str, Any] = {"username": "user", "password": "secret", "pace": pace}
    for make in (PreservicaClient, PreservicaClient.sync):
        with pytest.raises(InvalidArgument, match="pace: must be a coroutine function without arguments"):
            make("eu.preservica.com", **account)
    for make_opencast in (OpencastClient.from_env, OpencastClient.sync):
        with pytest.raises(InvalidArgument, match="pace: must be a coroutine function without arguments"):
            make_opencast(url="https://oc.example.org", **_opencast_account(make_opencast, pace))


def _opencast_account(make: Any, pace: Any) -> dict[str, Any]:
    if make == OpencastClient.sync:
        return {"auth": ("user", "secret"), "pace": pace}
    return {"username": "user", "password": "secret", "pace": pace}


def test_a_synchronous_client_awaits_the_function_in_its_event_loop() -> None:
    threads: list[int] = []

    async def acquire() -> None:
        threads.append(threading.get_ident())
        raise ConnectionError

    retry = Retry(attempts=1)
    account: dict[str, Any] = {"auth": ("user", "secret"), "pace": acquire, "retry": retry}
    with OpencastClient.sync("http://127.0.0.1:9", **account) as oc, pytest.raises(PaceFailed):
        oc.version()
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("kind", ["11", "16", "preservica"])
async def test_every_request_in_a_servers_log_has_awaited_the_function(kind: str) -> None:
    async with loopback_system(kind) as loopback:
        turns = 0

        async def acquire() -> None:
            nonlocal turns
            turns += 1
            await anyio.lowlevel.checkpoint()

        loopback.system.faults = Faults(seed=1, rates={Fault.SERVER_ERROR: 0.2})
        client = loopback.client(pace=acquire, retry=Retry(base=0.01, attempts=9))
        async with client, anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(client.workflows.count)
        assert turns == len(loopback.system.requests) > 45
