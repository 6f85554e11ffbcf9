"""Both clients behind a faulty network: about every other exchange has one of ten faults (rows 6 and 11)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.conftest import FakeTime, See
from tests.support.byte_server import GET, connected, http, serve
from tests.support.call_endings import LARGE_BUDGET, outcome
from tests.support.chaos_proxy import FaultPlan, Proxy, ProxyFault, chaos_proxy
from tests.support.stub_clients import SYSTEMS, client_of
from workflow_async import Clock, Poll
from workflow_async.errors import CallError, StartOutcomeUnknown, WorkflowAsyncError
from workflow_async.monitor import Change
from workflow_async.sandbox import ManualClock, Sandbox, Step, StepResult
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

INGEST = "Ingest Packages"
"""The name of a context of the sandbox."""
CALLS, CONCURRENT = 600, 5
STARTS = 300
FAULTY = (
    ProxyFault.RESET,
    ProxyFault.CUT_REQUEST,
    ProxyFault.CUT_ANSWER,
    ProxyFault.RESET_ANSWER,
    ProxyFault.STALL,
    ProxyFault.GARBAGE,
)
QUIET = FaultPlan(seed=0, rate=0.0)
either = pytest.mark.parametrize("system", SYSTEMS)


@pytest.fixture
def sandbox(time: ManualClock) -> Iterator[Sandbox]:
    with Sandbox("11", time) as served:
        yield served


def one_of(sandbox: Sandbox, system: str) -> Any:
    return sandbox.opencast if system == "opencast" else sandbox.preservica


def client(fake: FakeOpencast | FakePreservica, url: str, clock: Clock, **settings: Any) -> Any:
    """Return a client of a system of the sandbox at this URL."""
    account: dict[str, Any] = {"auth": fake.auth}
    if isinstance(fake, FakePreservica):
        account = {"username": fake.username, "password": fake.password, "tenant": fake.tenant}
    system = "preservica" if isinstance(fake, FakePreservica) else "opencast"
    return client_of(system, url, **{**account, "clock": clock, "retry": LARGE_BUDGET, **settings})


# The proxy


async def answers(plan: FaultPlan, count: int) -> tuple[list[str], list[tuple[int, ProxyFault]]]:
    """Return how this many calls in a row end, and the faults they met."""
    time = FakeTime()
    async with (
        serve(http(200, b'"a whole answer"')) as byte_server,
        chaos_proxy(byte_server.url, plan) as proxy,
        connected(proxy.url, time.clock, retry=LARGE_BUDGET) as transport,
    ):
        results = [await outcome(transport.send(GET)) for _ in range(count)]
    return [str(one) if isinstance(one, str) else type(one).__name__ for one in results], proxy.injected_faults


async def test_a_proxy_without_faults_changes_nothing() -> None:
    assert await answers(QUIET, 50) == (["a whole answer"] * 50, [])


async def test_a_seed_decides_the_faults() -> None:
    first, again, other = [await answers(FaultPlan(seed), 60) for seed in (1, 1, 2)]
    assert first == again
    assert first[1] != other[1]


@pytest.mark.parametrize("fault", ProxyFault)
async def test_every_fault_is_injected_and_survived(fault: ProxyFault) -> None:
    plan = FaultPlan(seed=3, rate=0.4, faults=(fault,))
    results, injected = await answers(plan, 30)
    assert {kind for _, kind in injected} == {fault}
    assert set(results) <= {"a whole answer", "ConnectionBroken", "ConnectFailed"}
    assert results.count("a whole answer") > 15


@pytest.mark.parametrize("fault", FAULTY)
async def test_endless_faults_are_a_typed_error(fault: ProxyFault) -> None:
    results, injected = await answers(FaultPlan(seed=4, rate=1.0, faults=(fault,)), 5)
    assert set(results) <= {"ConnectionBroken", "ConnectFailed"}
    assert len(injected) >= 5 * 4


# Reading


async def reads(fake: FakeOpencast | FakePreservica, client: Any, ids: list[int]) -> list[Callable[[], Awaitable[Any]]]:
    """Return calls of many kinds, all of which may be repeated."""
    lists = client.workflows.list
    calls: list[Callable[[], Awaitable[Any]]] = [partial(client.workflows.get, id) for id in ids]
    calls += [partial(collected, lists, limit=limit, page_size=7) for limit in (5, 14, 20)]
    if isinstance(fake, FakePreservica):
        return [
            *calls,
            partial(collected, client.contexts.list),
            partial(collected, client.contexts.list, type="Ingest"),
        ]
    return [*calls, client.version, client.me, partial(collected, client.definitions.list)]


async def collected(listing: Callable[..., Any], **terms: Any) -> list[Any]:
    return [item async for item in listing(**terms)]


async def tally(calls: list[tuple[Callable[[], Awaitable[Any]], Any]], count: int) -> Counter[str]:
    """Count how this many calls end, a few concurrently: right, or with which error."""
    ends: Counter[str] = Counter()
    for n in range(0, count, CONCURRENT):
        several = [calls[(n + k) % len(calls)] for k in range(CONCURRENT)]
        results = await asyncio.gather(*(outcome(call()) for call, _ in several))
        for one, (_, actual) in zip(results, several, strict=True):
            assert isinstance(one, CallError) or one == actual
            ends["error" if isinstance(one, CallError) else "right"] += 1
    return ends


@pytest.mark.row(6)
@either
async def test_no_result_is_ever_wrong(system: str, sandbox: Sandbox, see: See) -> None:
    fake, still = one_of(sandbox, system), FakeTime().clock
    ids = fake.seed(20)
    async with client(fake, fake.url, still) as direct:
        actual_phases = [await call() for call in await reads(fake, direct, ids)]
    async with chaos_proxy(fake.url, FaultPlan(seed=11)) as proxy, client(fake, proxy.url, still) as faulty_client:
        calls = list(zip(await reads(fake, faulty_client, ids), actual_phases, strict=True))
        ends = await tally(calls, CALLS)
    assert ends.total() == CALLS
    assert ends["right"] > CALLS / 2
    assert proxy.injected.keys() == set(ProxyFault)
    see(f"{proxy}, {CALLS} calls: {ends['right']} right, {ends['error']} typed errors, 0 wrong")


# Starting


async def started(fake: Any, client: Any) -> tuple[Any, Callable[[], int]]:
    """Return the result of a start, and how often it was carried out."""
    if isinstance(fake, FakePreservica):
        ticket = client.workflows.prepare_start(INGEST)
        return await outcome(client.workflows.start(ticket)), lambda: fake.starts.count(ticket.correlation_id)
    event = fake.event()
    results = await outcome(client.workflows.start(event, "fast"))
    return results, lambda: sum(run.subject == event for run in fake.engine.all())


def allowed(result: Any) -> set[int]:
    """Return how often a start may have been carried out, given its result."""
    if isinstance(result, StartOutcomeUnknown):
        return {0, 1}
    return {0} if isinstance(result, WorkflowAsyncError) else {1}


@pytest.mark.row(11)
@either
async def test_no_start_is_carried_out_twice_and_every_result_is_true(system: str, sandbox: Sandbox, see: See) -> None:
    fake = one_of(sandbox, system)
    async with (
        chaos_proxy(fake.url, FaultPlan(seed=12)) as proxy,
        client(fake, proxy.url, FakeTime().clock) as faulty_client,
    ):
        results = [await started(fake, faulty_client) for _ in range(STARTS)]
    counts = Counter((type(result).__name__, carried_out()) for result, carried_out in results)
    assert all(carried_out() in allowed(result) for result, carried_out in results), counts
    assert {count for kind, count in counts if kind == "StartOutcomeUnknown"} == {0, 1}
    see(
        f"{proxy}, {STARTS} starts: "
        + ", ".join(f"{n} {kind} ran {runs} x" for (kind, runs), n in sorted(counts.items()))
    )


# Watching


@pytest.mark.row(6)
@either
async def test_a_watch_reports_every_end_once(system: str, sandbox: Sandbox, clock: Clock, see: See) -> None:
    fake = one_of(sandbox, system)
    ids = [begin(fake, n) for n in range(60)]
    ends: Counter[int] = Counter()
    poll = Poll(interval=1, ceiling=4, outage=1e9)
    async with (
        chaos_proxy(fake.url, FaultPlan(seed=13)) as proxy,
        client(fake, proxy.url, clock) as faulty_client,
        faulty_client.workflows.watch(ids, poll=poll) as changes,
    ):
        async for change in changes:
            assert isinstance(change, Change)
            if change.now.final:
                ends[change.id] += 1
                assert change.now.name == fake.engine.get(change.id).status.name
    assert ends == dict.fromkeys(ids, 1)
    see(f"{proxy}, a watch of {len(ids)}: every end reported once")


def begin(fake: Any, n: int) -> int:
    """Start a workflow directly in the sandbox. It takes some time and ends well or badly."""
    steps = [Step("one", 2.0 + n % 17), Step("two", 3.0, StepResult.FAILED if n % 3 == 0 else StepResult.DONE)]
    if isinstance(fake, FakePreservica):
        context = fake.context(f"Kind {n}", f"org.example.kind-{n}", "Ingest", steps)
        return fake.state.archive.start_workflow(fake.state.archive.contexts[context], {}, None).id
    started: int = fake.start(fake.event(), fake.define(f"kind-{n}", steps).identifier)
    return started


async def test_a_proxy_holds_a_stalled_response_until_it_is_released() -> None:
    stalling = FaultPlan(seed=5, rate=1.0, faults=(ProxyFault.STALL,))
    async with (
        serve(http(200, b"{}")) as byte_server,
        chaos_proxy(byte_server.url, stalling, hold_stalled=True) as proxy,
        connected(proxy.url, FakeTime().clock) as transport,
    ):
        call = asyncio.create_task(outcome(transport.send(GET)))
        for _ in range(4):
            stalled = await proxy.stalled.get()
            assert not call.done()
            stalled.set()
        assert isinstance(await call, CallError)
    assert isinstance(proxy, Proxy)
