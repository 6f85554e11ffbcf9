"""Batches and outages: nothing is sent during a known outage, and every wait ends."""

import sqlite3
import time as real
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest

from tests.support.gateway import BOOTING, BUSY, JETTY, MOVED, NONE, PORTAL, Gateway, Treat, opencast, preservica
from tests.unit.batch.conftest import OFTEN, as_manager, posts, results, runs
from workflow_async import Clock, OpencastClient, Poll, Retry
from workflow_async.batch import Completed, Conflicted, NotStarted, Rejected, StatusKind, read_journal
from workflow_async.batch.entries import Entry
from workflow_async.batch.journal import Journal
from workflow_async.errors import JournalError, RateLimited, ServerError, Unauthorized
from workflow_async.opencast import Start
from workflow_async.preservica import Start as ContextStart
from workflow_async.sandbox import Fault, Faults, ManualClock, RealClock, Sandbox, Step
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica, System

on_all = pytest.mark.parametrize("sandbox", ["11", "16", "19"], indirect=True)

DOWN = Faults(rates={Fault.SERVER_ERROR: 1.0})
DOWN_FOR_GETS = Faults(rates={Fault.SERVER_ERROR: 1.0}, methods=("GET",))
LONG = Poll(interval=1.0, ceiling=2.0, outage=900.0)


def during(seconds: float, clock: Callable[[], float], response: httpx.Response) -> Treat:
    """Return a treatment that gives every request this response for `seconds`."""
    end = clock() + seconds
    return lambda _: response if clock() < end else None


# Maintenance windows


SPEED = 500.0
PATIENT = Poll(outage=10_000.0)
"""A poll for accelerated clocks, on which a slow machine loses much time."""


def fast() -> Clock:
    """Return a clock that runs as fast as the sandbox's."""
    return Clock(
        now=lambda: real.monotonic() * SPEED,
        sleep=lambda seconds: anyio.sleep(seconds / SPEED),
        jitter=lambda: 0.5,
    )


@pytest.fixture
def quick_sandbox() -> Iterator[Sandbox]:
    with Sandbox("16", RealClock(SPEED)) as served:
        served.opencast.define("quick", [Step("one", 5.0)])
        yield served


async def maintained(system: System, seconds: float, started: Callable[[], int]) -> None:
    """Take the server down after some starts have happened and requests under way have arrived."""
    while (count := started()) < 10:
        await anyio.sleep(1 / SPEED)
    system.faults = DOWN_FOR_GETS
    arrived = -1
    while arrived != count:
        arrived = count
        await anyio.sleep(0.25)
        count = started()
    system.faults = DOWN
    await anyio.sleep(seconds / SPEED)
    system.faults = Faults()


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("account", "count", "max_running", "seconds"),
    [
        (("admin", "opencast"), 60, 20, 60.0),
        (("integration", "integration"), 40, 20, 60.0),
        (("admin", "opencast"), 40, 4, 600.0),
    ],
    ids=["an administrator", "a user without the role", "ten minutes"],
)
async def test_a_batch_comes_through_a_maintenance_window(
    quick_sandbox: Sandbox, account: tuple[str, str], count: int, max_running: int, seconds: float
) -> None:
    fake = quick_sandbox.opencast
    starts = [Start(fake.event(), "quick", key=str(n)) for n in range(count)]
    async with OpencastClient(fake.url, auth=account, clock=fast()) as oc, anyio.create_task_group() as group:
        group.start_soon(maintained, fake, seconds, lambda: posts(fake))
        reported = await results(oc.workflows.run_all(starts, max_running=max_running, poll=PATIENT))
    assert [each for each in reported if not each.succeeded] == []
    assert (len(reported), posts(fake), len(runs(fake))) == (count, count, count)


@pytest.mark.sweep
async def test_a_batch_on_a_preservica_comes_through_a_maintenance_window(quick_sandbox: Sandbox) -> None:
    archive = quick_sandbox.preservica
    context = archive.context("Quick", "com.example.quick", "Ingest", [Step("one", 5.0)])
    starts = [ContextStart(context, {"n": n}) for n in range(40)]
    async with as_manager(archive, archive.url, fast()) as pv, anyio.create_task_group() as group:
        group.start_soon(maintained, archive, 60.0, lambda: len(archive.starts))
        reported = await results(pv.workflows.run_all(starts, max_running=8, poll=PATIENT))
    assert [each for each in reported if not each.succeeded] == []
    assert len(archive.starts) == 40


# Kinds of outages


def refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


ILL = [BUSY, BOOTING, JETTY, MOVED, PORTAL, httpx.Response(404), httpx.Response(500, text="oops"), httpx.Response(999)]


@on_all
@pytest.mark.parametrize("ill", ILL, ids=lambda ill: f"{ill.status_code} {ill.headers.get('content-type', '')}")
async def test_no_start_is_sent_while_its_check_fails_temporarily(
    fake: FakeOpencast, clock: Clock, time: ManualClock, ill: httpx.Response
) -> None:
    gateway = Gateway(fake, during(40.0, time, ill))
    async with opencast(gateway, clock) as oc:
        reported = await results(oc.workflows.run_all([Start(fake.event(), "quick")], poll=LONG))
    assert [each.succeeded for each in reported] == [True]
    assert gateway.posts == [201]


@pytest.mark.parametrize("ill", ILL, ids=lambda ill: f"{ill.status_code} {ill.headers.get('content-type', '')}")
async def test_no_start_on_a_preservica_is_sent_while_its_check_fails_temporarily(
    archive: FakePreservica, clock: Clock, time: ManualClock, ill: httpx.Response
) -> None:
    gateway = Gateway(archive)
    async with preservica(gateway, clock) as pv:
        await pv.contexts.list().first()
        gateway.treat = during(40.0, time, ill)
        reported = await results(pv.workflows.run_all([ContextStart(42)], poll=LONG))
    assert isinstance(reported[0], Completed)
    assert gateway.posts == [201]


async def test_an_unreachable_server_is_an_outage(fake: FakeOpencast, clock: Clock, time: ManualClock) -> None:
    end = time() + 40
    gateway = Gateway(fake, lambda request: refuse(request) if time() < end else None)
    async with opencast(gateway, clock) as oc:
        reported = await results(oc.workflows.run_all([Start(fake.event(), "quick")], poll=LONG))
    assert [each.succeeded for each in reported] == [True]
    assert gateway.posts == [201]


async def test_a_user_who_may_not_read_an_events_workflows_reads_the_event_before_each_start(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    gateway = Gateway(fake)
    async with opencast(gateway, clock, auth=("integration", "integration")) as oc:
        for _ in range(2):
            assert [each.succeeded for each in await results(oc.workflows.run_all([Start(fake.event(), "quick")]))] == [
                True
            ]
        begun = len(gateway.seen)
        gateway.treat = during(40.0, time, BUSY)
        await results(oc.workflows.run_all([Start(fake.event(), "quick")], poll=LONG))
    requested = [path for method, path, _ in gateway.seen[begun:] if method == "GET"]
    assert set(requested[: requested.index("/api/events") + 1]) == {"/api/events"}
    assert gateway.count("GET", "/instances.json") == 1
    assert gateway.posts == [201] * 3


@pytest.mark.parametrize("status", [403, 404])
async def test_a_refusal_by_the_server_itself_is_a_successful_check(
    fake: FakeOpencast, clock: Clock, status: int
) -> None:
    """A user who may read neither an event's workflows nor events may still start workflows."""

    def refusing(request: httpx.Request) -> httpx.Response | None:
        closed = request.url.path.startswith(("/workflow/", "/api/events"))
        return httpx.Response(status, text="Cannot find it.") if closed else None

    gateway = Gateway(fake, refusing)
    async with opencast(gateway, clock) as oc:
        reported = await results(oc.workflows.run_all([Start(fake.event(), "quick")], poll=OFTEN))
    assert [each.succeeded for each in reported] == [True]
    assert reported[0].ticket is not None
    assert reported[0].ticket.baseline is None


async def test_a_401_is_an_outage_after_the_credentials_were_accepted(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    gateway = Gateway(fake)
    async with opencast(gateway, clock) as oc:
        run = oc.workflows.run_all(
            [Start(fake.event(), "quick", key=str(n)) for n in range(3)], max_running=1, poll=LONG
        )
        async with run as outcomes:
            reported = [await anext(outcomes)]
            gateway.treat = during(40.0, time, httpx.Response(401, text="sign in"))
            reported += [each async for each in outcomes]
    assert [each.succeeded for each in reported] == [True] * 3
    assert gateway.posts == [201] * 3


async def test_a_401_from_the_beginning_is_reported_immediately(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    began = time()
    async with opencast(Gateway(fake), clock, auth=("admin", "wrong")) as oc:
        (reported,) = await results(oc.workflows.run_all([Start(fake.event(), "quick")], poll=LONG))
    assert isinstance(reported, NotStarted)
    assert isinstance(reported.error, Unauthorized)
    assert time() == began


# The end of the wait


async def test_a_waiting_start_is_reported_as_not_started_after_the_outage_limit(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    gateway, began = Gateway(fake, lambda _: BUSY), time()
    async with opencast(gateway, clock, retry=Retry(attempts=1)) as oc:
        (reported,) = await results(oc.workflows.run_all([Start(fake.event(), "quick")], poll=OFTEN))
    assert isinstance(reported, NotStarted)
    assert isinstance(reported.error, ServerError)
    assert time() - began == OFTEN.outage
    assert gateway.posts == []
    assert gateway.count("GET", "") == 31  # a check each second


@pytest.mark.parametrize("retry_after", [7, 20])
async def test_retry_after_delays_the_next_check(
    fake: FakeOpencast, clock: Clock, time: ManualClock, retry_after: int
) -> None:
    busy = httpx.Response(503, headers={"retry-after": str(retry_after)})
    requested: list[float] = []

    def answer(_: httpx.Request) -> httpx.Response:
        requested.append(time())
        return busy

    async with opencast(Gateway(fake, answer), clock, retry=Retry(attempts=1)) as oc:
        (reported,) = await results(oc.workflows.run_all([Start(fake.event(), "quick")], poll=OFTEN))
    assert isinstance(reported, NotStarted)
    assert [after - before for before, after in pairwise(requested)] == [retry_after] * (len(requested) - 1)
    assert len(requested) > 1


FOR_EVER = {"retry-after": "999999999"}


async def test_a_retry_after_beyond_the_outage_is_reported_immediately(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    """The check before the first start and the second start get a Retry-After of 30 years. The third start runs."""
    refusals = iter([("GET", httpx.Response(503, headers=FOR_EVER)), ("POST", httpx.Response(429, headers=FOR_EVER))])
    due = [next(refusals)]

    def answer(request: httpx.Request) -> httpx.Response | None:
        if due and request.method == due[0][0]:
            _, refusal = due.pop()
            due.extend([following] if (following := next(refusals, None)) else [])
            return refusal
        return None

    began = time()
    async with opencast(Gateway(fake, answer), clock) as oc:
        starts = [Start(fake.event(), "quick", key=str(n)) for n in range(3)]
        reported = {each.key: each for each in await results(oc.workflows.run_all(starts, max_running=1, poll=OFTEN))}
    first, second = reported["0"], reported["1"]
    assert isinstance(first, NotStarted)
    assert isinstance(second, Rejected)
    assert isinstance(second.error, RateLimited)
    assert first.error.retry_after == second.error.retry_after == 999999999
    assert reported["2"].succeeded
    assert time() - began < 60


async def test_a_start_that_the_server_delays_makes_the_others_wait(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    """A start gets a 429. No other start is sent before its Retry-After has passed."""
    refused_at: list[float] = []
    sent_at: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST":
            return None
        if not refused_at:
            refused_at.append(time())
            return httpx.Response(429, headers={"retry-after": "20"})
        sent_at.append(time())
        return None

    fake.define("slow", [Step("one", 100.0)])
    async with opencast(Gateway(fake, answer), clock) as oc:
        starts = [Start(fake.event(), "slow", key=str(n)) for n in range(4)]
        reported = await results(oc.workflows.run_all(starts, max_running=1, poll=Poll(outage=300.0)))
    assert [each.succeeded for each in reported] == [True] * 4
    assert min(sent_at) - refused_at[0] >= 20


async def test_one_start_at_a_time_checks_a_server_that_is_down(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    end = time() + 3000.0
    at_once: list[int] = []
    asking = 0

    class Counting(Gateway):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal asking
            asking += 1
            at_once.append(asking if time() < end else 0)
            try:
                await anyio.lowlevel.checkpoint()
                return await super().handle_async_request(request)
            finally:
                asking -= 1

    gateway = Counting(fake, during(3000.0, time, BUSY))
    async with opencast(gateway, clock, retry=Retry(attempts=1)) as oc:
        starts = [Start(fake.event(), "quick", key=str(n)) for n in range(30)]
        reported = await results(oc.workflows.run_all(starts, max_running=30, poll=Poll(outage=1e6)))
    assert [each.succeeded for each in reported] == [True] * 30
    before = [count for count in at_once if count]
    assert len(before) > 40
    assert max(before[30:]) == 1  # all 30 starts meet the outage concurrently, and one of them continues to check


async def test_a_waiting_start_is_recorded_and_another_run_sends_it(
    fake: FakeOpencast, clock: Clock, tmp_path: Path
) -> None:
    path, start = tmp_path / "batch.sqlite", Start(fake.event(), "quick", key="0")
    gateway = Gateway(fake, lambda _: BUSY)
    async with opencast(gateway, clock) as oc:
        async with oc.workflows.run_all([start], journal=path, poll=LONG) as outcomes:
            while "0" not in outcomes.items or outcomes.items["0"].word != "waiting":
                await anyio.lowlevel.checkpoint()
            item = outcomes.items["0"]
        assert (item.kind, item.ticket is not None) == (StatusKind.NOT_STARTED, True)
        assert "503" in item.detail
        gateway.treat = NONE
        (reported,) = await results(oc.workflows.run_all([start], journal=path, poll=LONG))
    assert reported.succeeded
    assert gateway.posts == [201]


async def test_a_start_that_is_never_sent_has_its_ticket_and_no_intent_in_the_journal(
    fake: FakeOpencast, clock: Clock, tmp_path: Path
) -> None:
    path, start = tmp_path / "batch.sqlite", Start(fake.event(), "quick", key="0")
    async with opencast(Gateway(fake, lambda _: BUSY), clock) as oc:
        run = oc.workflows.run_all(iter([start]), journal=path, poll=OFTEN)
        assert [type(result) for result in await results(run)] == [NotStarted]
    with closing(sqlite3.connect(path)) as connection:
        kinds = [kind for (kind,) in connection.execute("SELECT kind FROM entry ORDER BY n")]
    assert set(kinds) == {"not started"}
    item = (await read_journal(path)).items["0"]
    assert (item.word, item.ticket is not None, item.intended_at) == ("not sent", True, None)


async def test_a_start_that_waited_when_the_batch_died_is_sent_by_the_next_run(
    fake: FakeOpencast, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, start = tmp_path / "batch.sqlite", Start(fake.event(), "quick", key="0")
    write = Journal.write

    async def dies(journal: Journal, entry: Entry) -> None:
        if entry.kind is StatusKind.NOT_STARTED:
            raise JournalError(str(path), "the process died")
        await write(journal, entry)

    gateway = Gateway(fake, lambda _: BUSY)
    async with opencast(gateway, clock) as oc:
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "write", dies)
            with pytest.raises(JournalError, match="died"):
                await results(oc.workflows.run_all(iter([start]), journal=path, poll=LONG))
        gateway.treat = NONE
        (result,) = await results(oc.workflows.run_all(iter([start]), journal=path, poll=LONG))
    assert result.succeeded
    assert gateway.posts == [201]


# Other failed reads


async def test_a_start_waits_while_the_count_fails_and_is_reported_after_the_outage_limit(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    began = time()
    gateway = Gateway(fake, lambda _: BUSY)
    async with opencast(gateway, clock) as oc:
        starts = [Start(fake.event(), "quick", key=str(n)) for n in range(2)]
        reported = await results(oc.workflows.run_all(starts, count_others=True, poll=OFTEN))
    assert [type(each) for each in reported] == [NotStarted, NotStarted]
    assert time() - began >= 2 * OFTEN.outage
    assert gateway.posts == []


async def test_a_count_that_the_server_delays_beyond_the_outage_is_reported_immediately(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    began = time()
    gateway = Gateway(fake, lambda _: httpx.Response(429, headers=FOR_EVER))
    async with opencast(gateway, clock) as oc:
        (reported,) = await results(oc.workflows.run_all([Start(fake.event(), "quick")], count_others=True, poll=OFTEN))
    assert isinstance(reported, NotStarted)
    assert reported.error.retry_after == 999999999
    assert time() == began


async def test_the_wait_for_an_event_whose_workflow_cannot_be_read_ends(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    event, began = fake.event(), time()
    fake.define("endless", [Step("one", 1e9)])
    fake.start(event, "endless")
    gateway = Gateway(fake)

    def answer(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(503, headers=FOR_EVER) if gateway.posts and request.method == "GET" else None

    gateway.treat = answer
    async with opencast(gateway, clock) as oc:
        run = oc.workflows.run_all([Start(event, "quick")], on_conflict="wait", poll=OFTEN)
        (reported,) = await results(run)
    assert isinstance(reported, NotStarted)
    assert reported.error.retry_after == 999999999
    assert time() - began < 1
    assert gateway.posts == [409]


async def test_an_outage_does_not_turn_an_attachable_workflow_into_a_conflict(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    event = fake.event()
    fake.define("slow", [Step("one", 100.0)])
    id = fake.start(event, "slow")
    gateway = Gateway(fake)

    def answer(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST":
            gateway.treat = during(20.0, time, BUSY)
        return None

    gateway.treat = answer
    async with opencast(gateway, clock) as oc:
        (reported,) = await results(oc.workflows.run_all([Start(event, "slow")], on_conflict="attach", poll=LONG))
    assert (reported.id, reported.succeeded) == (id, True)


async def test_a_running_workflow_that_cannot_be_read_for_long_is_a_conflict(fake: FakeOpencast, clock: Clock) -> None:
    event = fake.event()
    fake.start(event, "quick")
    gateway = Gateway(fake)
    gateway.treat = lambda _: BUSY if gateway.posts else None
    async with opencast(gateway, clock) as oc:
        (reported,) = await results(oc.workflows.run_all([Start(event, "quick")], on_conflict="attach", poll=OFTEN))
    assert isinstance(reported, Conflicted)
