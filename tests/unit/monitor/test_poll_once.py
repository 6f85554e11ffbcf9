"""One round of a saved watch: its limits, its lists, and when the next one is due."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx
import pytest
from attrs import evolve

from workflow_async import Clock, OpencastClient, Poll, PreservicaClient
from workflow_async.errors import ClientClosed, InvalidArgument, ListingNotSupported, ServerError
from workflow_async.monitor import Change, PollingFailed, Stalled, WatchSpec, poll_once, snapshot_active
from workflow_async.monitor.spec.checked_source import CheckedSource
from workflow_async.monitor.spec.server_memory import ServerMemory
from workflow_async.opencast import State, Workflow
from workflow_async.opencast.monitor_source import OpencastSource
from workflow_async.sandbox import ManualClock, Sandbox, Step

URL = "http://127.0.0.1"
LONG = "schedule-and-upload"
WITHIN = 0.05
KNOWLEDGE = ((9.0, False), (5.0, True))
"""When a workflow was checked, and whether it has ended. An end counts more than a later check."""
STEADY = Poll(interval=10, backoff=1, jitter=0)


@pytest.fixture(params=["11", "16"])
def sandbox(request: pytest.FixtureRequest, time: ManualClock) -> Sandbox:
    return Sandbox(request.param, time)


async def no_sleep(seconds: float) -> None:
    """Wait between retries for no time, and for the end of a round for as long as it says."""
    await anyio.sleep(seconds if seconds == WITHIN else 0)


@asynccontextmanager
async def opencast(sandbox: Sandbox, time: ManualClock, **settings: Any) -> AsyncIterator[OpencastClient]:
    http = settings.pop("http", None) or httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.opencast.app))
    given = {"auth": sandbox.opencast.auth, "clock": Clock(now=time, wall=time, sleep=no_sleep), **settings}
    async with http, OpencastClient(URL, http=http, **given) as client:
        yield client


def start(sandbox: Sandbox, count: int, definition: str = LONG) -> list[int]:
    return [sandbox.opencast.start(sandbox.opencast.event(), definition) for _ in range(count)]


def after(time: ManualClock, seconds: float) -> datetime:
    return datetime.fromtimestamp(time() + seconds, UTC)


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


# Limits


async def test_a_round_checks_everything_although_the_clock_of_the_process_before_it_was_ahead(
    sandbox: Sandbox, time: ManualClock
) -> None:
    ids = start(sandbox, 3)
    async with opencast(sandbox, time) as client:
        first = await poll_once(client, WatchSpec.of(client, ids))
    slow = Clock(now=time, wall=lambda: time() - 60, sleep=no_sleep)
    async with opencast(sandbox, time, clock=slow) as client:
        polled = await poll_once(client, first.spec)
    assert polled.remaining == 0
    assert polled.requests > 0


async def test_a_limit_carries_all_workflows_on_in_turn(sandbox: Sandbox, time: ManualClock) -> None:
    ids, seen, remaining = start(sandbox, 25), list[int](), list[int]()
    time.advance(20)
    async with opencast(sandbox, time) as client:
        spec = evolve(WatchSpec.of(client, ids, poll=STEADY), lists=False)
        for _ in range(3):
            time.advance(1)
            sandbox.opencast.requests.clear()
            polled = await poll_once(client, spec, limit=10)
            assert len(sandbox.opencast.requests) == polled.requests <= 10
            spec = polled.spec
            seen += [event.id for event in polled.events]
            remaining.append(polled.remaining)
            assert polled.next_at == after(time, 0)
    assert sorted(seen[:20]) == ids[:20]
    assert set(seen) == set(ids)
    assert remaining == [15, 15, 15]


async def test_a_limit_does_not_count_the_rows_of_a_list(time: ManualClock) -> None:
    sandbox = Sandbox("11", time)
    ids = start(sandbox, 30)
    time.advance(20)
    sandbox.opencast.requests.clear()
    async with opencast(sandbox, time) as client:
        polled = await poll_once(client, WatchSpec.of(client, [*ids, 77, 78, 79]), limit=2)
    assert len(polled.events) == 30
    assert polled.remaining == 1
    assert polled.requests == len(sandbox.opencast.requests) == 1 + 2
    assert polled.next_at == after(time, 0)


async def test_a_round_ends_when_its_time_has_passed(
    sandbox: Sandbox, time: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, first, *_ = OpencastSource.get, *start(sandbox, 3)
    ids = [first, first + 1, first + 2]

    async def slowly(source: OpencastSource, id: int, *, operations: bool) -> Workflow:
        await anyio.sleep(0 if id == first else 3600)
        return await get(source, id, operations=operations)

    monkeypatch.setattr(OpencastSource, "get", slowly)
    async with opencast(sandbox, time) as client:
        polled = await poll_once(client, evolve(WatchSpec.of(client, ids), lists=False), within=WITHIN)
    assert [event.id for event in polled.events] == [first]
    assert polled.remaining == 2
    assert [cursor.checked_at is None for cursor in polled.spec.cursors] == [False, True, True]


async def test_a_list_that_takes_longer_than_a_round_is_not_read_by_the_next(time: ManualClock) -> None:
    sandbox = Sandbox("11", time)
    ids = start(sandbox, 5)

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/workflows":
            await anyio.sleep(3600)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.opencast.app)) as through:
            return await through.get(request.url, headers=request.headers)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with opencast(sandbox, time, http=http) as client:
        polled = await poll_once(client, WatchSpec.of(client, ids), within=WITHIN)
        assert (polled.events, polled.remaining) == ((), 5)
        polled = await poll_once(client, polled.spec)
    assert len(polled.events) == 5
    assert polled.spec.lists


@pytest.mark.parametrize(
    ("argument", "value"), [("limit", 0), ("limit", True), ("limit", 1.5), ("within", -1), ("within", "1")]
)
async def test_a_wrong_limit_is_named(argument: str, value: Any, time: ManualClock) -> None:
    async with opencast(Sandbox("16", time), time) as client:
        with pytest.raises(InvalidArgument, match=f"{argument}: "):
            await poll_once(client, WatchSpec.of(URL, [1]), **{argument: value})


# When the next round is due


async def test_the_next_round_is_due_after_the_delay_of_a_watch(sandbox: Sandbox, time: ManualClock) -> None:
    ids, delays = start(sandbox, 2), list[float]()
    time.advance(20)
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.of(client, ids, poll=Poll(interval=10, backoff=2, ceiling=35, jitter=0))
        for _ in range(4):
            polled = await poll_once(client, spec)
            assert polled.next_at is not None
            delays.append((polled.next_at - after(time, 0)).total_seconds())
            time.advance(delays[-1])
            spec = WatchSpec.from_bytes(polled.spec.to_bytes())
    assert delays == [10, 20, 35, 35]


async def test_nothing_is_due_once_all_have_ended(sandbox: Sandbox, time: ManualClock) -> None:
    ids = start(sandbox, 2, "fast")
    time.advance(3600)
    async with opencast(sandbox, time) as client:
        polled = await poll_once(client, WatchSpec.of(client, ids))
        assert polled.next_at is None
        assert polled.spec.finished
        sandbox.opencast.requests.clear()
        again = await poll_once(client, polled.spec)
    assert (again.events, again.requests, again.next_at) == ((), 0, None)
    assert not sandbox.opencast.requests


async def test_a_pause_that_the_server_asks_for_is_handed_on_and_obeyed(time: ManualClock) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(503, headers={"retry-after": "90"})

    async with opencast(Sandbox("16", time), time, http=answering(answer)) as client:
        polled = await poll_once(client, WatchSpec.of(client, [1, 2], poll=STEADY))
        assert polled.events == ()
        assert polled.next_at == after(time, 90)
        sent = len(asked)
        spec = WatchSpec.from_json(polled.spec.to_json())
        time.advance(30)
        polled = await poll_once(client, spec)
    assert len(asked) == sent
    assert polled.next_at == after(time, 60)
    assert polled.requests == 0
    assert polled.remaining == 2


async def test_a_server_that_is_down_slows_the_rounds_down_and_is_given_up_after_the_outage(time: ManualClock) -> None:
    poll, delays, events = Poll(interval=10, backoff=1, ceiling=10, jitter=0, outage=400), list[float](), list[Any]()
    http = answering(lambda _: httpx.Response(500))
    async with opencast(Sandbox("16", time), time, http=http) as client:
        spec = evolve(WatchSpec.of(client, [1], poll=poll), lists=False)
        began = time()
        while not spec.finished:
            polled = await poll_once(client, WatchSpec.from_bytes(spec.to_bytes()))
            spec = polled.spec
            events += polled.events
            if polled.next_at is not None:
                delays.append((polled.next_at - after(time, 0)).total_seconds())
                time.advance(delays[-1])
    assert delays[:4] == [20, 40, 80, 100]
    assert [type(event) for event in events] == [PollingFailed]
    assert time() - began >= 400


async def test_a_list_that_cannot_be_read_delays_the_round_and_not_the_ends(time: ManualClock) -> None:
    sandbox = Sandbox("11", time)
    ids, rounds = start(sandbox, 5, "fast"), 0

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/workflows":
            return httpx.Response(500)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.opencast.app)) as through:
            return await through.get(request.url, headers=request.headers)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with opencast(sandbox, time, http=http) as client:
        polled = await poll_once(client, WatchSpec.of(client, ids, poll=STEADY))
        assert (polled.events, polled.remaining) == ((), 5)
        assert polled.next_at == after(time, 20)
        time.advance(3600)
        while not polled.spec.finished:
            polled, rounds = await poll_once(client, WatchSpec.from_bytes(polled.spec.to_bytes())), rounds + 1
    assert rounds == 1
    assert sorted(event.id for event in polled.events) == ids


async def test_a_closed_client_ends_the_round(sandbox: Sandbox, time: ManualClock) -> None:
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.of(client, start(sandbox, 2))
    with pytest.raises(ClientClosed):
        await poll_once(client, evolve(spec, lists=False))


# Durations and stalls


async def test_durations_are_learned_and_give_the_time_that_is_left(sandbox: Sandbox, time: ManualClock) -> None:
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.of(client, start(sandbox, 3, "fast"), poll=STEADY)
        time.advance(3600)
        spec = (await poll_once(client, spec)).spec
        assert len(spec.durations["fast"]) == 3
        (id,) = start(sandbox, 1, "fast")
        polled = await poll_once(client, WatchSpec.from_bytes(spec.to_bytes()).add(id))
        usual = sorted(spec.durations["fast"])[1]
        assert polled.etas == {id: pytest.approx(usual, abs=0.2)}
        time.advance(1)
        polled = await poll_once(client, WatchSpec.from_json(polled.spec.to_json()))
    assert polled.etas == {id: pytest.approx(usual - 1, abs=0.2)}


async def test_a_stalled_step_is_reported_once_by_whatever_process(sandbox: Sandbox, time: ManualClock) -> None:
    sandbox.opencast.define("slow", [Step("encode", 100_000.0)])
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.of(client, start(sandbox, 1, "slow"), stalled_after=timedelta(seconds=100))
        time.advance(20)
        spec, events = (await poll_once(client, spec)).spec, list[Any]()
        for _ in range(3):
            time.advance(99)
            polled = await poll_once(client, WatchSpec.from_bytes(spec.to_bytes()))
            spec = polled.spec
            events += polled.events
    assert [type(event) for event in events] == [Stalled]


# A snapshot


async def test_a_snapshot_stands_for_the_list_of_each_watch(time: ManualClock) -> None:
    sandbox = Sandbox("11", time)
    ids = [*start(sandbox, 8), *start(sandbox, 2, "fast")]
    time.advance(30)
    async with opencast(sandbox, time) as client:
        seen = await snapshot_active(client)
        assert len(seen) == 8
        sandbox.opencast.requests.clear()
        parts = WatchSpec.of(client, ids).split(3)
        polled = [await poll_once(client, part, seen=seen) for part in parts]
        assert [len(each.spec.cursors) for each in polled] == [len(part.cursors) for part in parts]
        assert sum(len(each.events) for each in polled) == 10
        assert len(sandbox.opencast.requests) == sum(each.requests for each in polled)
        assert all(request.path != "/api/workflows" for request in sandbox.opencast.requests)
        merged = WatchSpec.merge(*(each.spec for each in polled))
    assert sum(cursor.over for cursor in merged.cursors) == 2


async def test_a_snapshot_with_operations_serves_a_watch_of_operations(time: ManualClock) -> None:
    sandbox = Sandbox("11", time)
    ids = start(sandbox, 3)
    time.advance(30)
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.of(client, ids, operations=True)
        polled = await poll_once(client, spec, seen=await snapshot_active(client, operations=True))
    assert polled.requests == 0
    assert all(isinstance(event, Change) and event.operations for event in polled.events)


async def test_a_snapshot_needs_a_list_and_its_server(time: ManualClock) -> None:
    async with opencast(Sandbox("16", time), time) as client:
        with pytest.raises(ListingNotSupported):
            await snapshot_active(client)
    async with opencast(Sandbox("11", time), time) as client:
        seen = await snapshot_active(client)
        with pytest.raises(InvalidArgument, match=r"seen: belongs to http://127\.0\.0\.2"):
            await poll_once(client, WatchSpec.of(URL, [1]), seen=evolve(seen, url="http://127.0.0.2"))
        with pytest.raises(InvalidArgument, match="seen: must be None for a watch of filters"):
            await poll_once(client, WatchSpec.where(client, state="running"), seen=seen)


# Filters


async def test_a_watch_of_filters_finds_what_appears_later_and_reports_each_end_once(
    sandbox: Sandbox, time: ManualClock
) -> None:
    ends = list[int]()
    sandbox.opencast.define("minute", [Step("encode", 60.0)])
    first = start(sandbox, 2, "minute")
    start(sandbox, 1)
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.where(client, definition_id="minute", poll=STEADY)
        later = list[int]()
        for turn in range(60):
            if turn == 5:
                later = start(sandbox, 2, "minute")
            polled = await poll_once(client, WatchSpec.from_bytes(spec.to_bytes()))
            spec = polled.spec
            ends += [event.id for event in polled.events if isinstance(event, Change) and event.now.final]
            assert polled.next_at is not None
            time.advance(20)
    assert sorted(ends) == [*first, *later]
    assert not spec.finished
    assert spec.ids == (), "ended workflows are forgotten after a while"


async def test_filters_are_kept_as_texts_and_checked_at_once(time: ManualClock) -> None:
    async with opencast(Sandbox("11", time), time) as client:
        spec = WatchSpec.where(client, state=[State.RUNNING, "paused"], definition_id="fast", label="main")
        assert spec.filters == {"state": ("running", "paused"), "definition_id": "fast"}
        assert WatchSpec.where(client, state=State.RUNNING).filters == {"state": "running"}
        wrongs: list[dict[str, Any]] = [{}, {"state": "asleep"}, {"colour": "red"}, {"state": 5}, {"state": [5]}]
        for wrong in wrongs:
            with pytest.raises(InvalidArgument):
                WatchSpec.where(client, **wrong)
        with pytest.raises(InvalidArgument, match="shards: cannot be those of a watch of filters"):
            spec.split(2)
        moments = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
        with pytest.raises(InvalidArgument, match="event_created: must be a text, a state, or several of them"):
            WatchSpec.where(client, event_created=moments)


async def test_a_list_of_filters_that_fails_raises_and_spoils_nothing(time: ManualClock) -> None:
    sandbox = Sandbox("11", time)
    (id,) = start(sandbox, 1)
    time.advance(20)  # the list lags
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.where(client, definition_id=LONG)
        async with opencast(sandbox, time, http=answering(lambda _: httpx.Response(500))) as failing:
            with pytest.raises(ServerError):
                await poll_once(failing, spec)
        polled = await poll_once(client, spec)
    assert [event.id for event in polled.events] == [id]


async def test_a_watch_of_filters_works_with_preservica(time: ManualClock) -> None:
    there = Sandbox(clock=time).preservica
    (id,) = there.seed(1, contexts=["42"])
    http = httpx.AsyncClient(transport=httpx.ASGITransport(there.app))
    account: dict[str, Any] = {"username": there.username, "password": there.password, "tenant": there.tenant}
    async with http, PreservicaClient(URL, http=http, clock=Clock(now=time, wall=time), **account) as client:
        with pytest.raises(InvalidArgument, match="operations: must be False"):
            WatchSpec.where(client, state="Active", operations=True)
        polled = await poll_once(client, WatchSpec.where(client, state=["Pending", "Active"]))
        assert [event.id for event in polled.events] == [id]
        time.advance(100_000)
        polled = await poll_once(client, polled.spec)
    assert [event.now.final for event in polled.events if isinstance(event, Change)] == [True]


# The source of a round


async def test_the_source_of_a_round_says_of_records_what_the_source_of_the_client_says(time: ManualClock) -> None:
    sandbox = Sandbox("11", time)
    (id,) = start(sandbox, 1, "fast")
    time.advance(3600)
    async with opencast(sandbox, time) as client:
        source, record = client.workflows._poller.source, await client.workflows.get(id, with_operations=True)
        checked = CheckedSource(source, Clock(wall=time), {})
        assert checked.connections == source.connections
        assert checked.ended_at(record) == source.ended_at(record) is not None
        assert checked.recalled(7, "running", ("e", None)) == source.recalled(7, "running", ("e", None))
        assert checked.same_identity(record, record) == source.same_identity(record, record)


# The value


def test_a_watch_is_split_the_same_way_by_any_process() -> None:
    spec = WatchSpec.of(URL, range(1, 1001), label="oc-main")
    parts = spec.split(8)
    assert all(100 <= len(part.cursors) <= 150 for part in parts)
    assert all(part.label == "oc-main" for part in parts)
    later = spec.drop(*range(1, 500)).add(5000).split(8)
    for before, now in zip(parts, later, strict=True):
        assert set(now.ids) - {5000} <= set(before.ids)
    assert sorted(WatchSpec.merge(*parts).ids) == list(range(1, 1001))


def test_a_watch_is_extended_and_reduced() -> None:
    spec = WatchSpec.of(URL, [1, "2", 2])
    assert spec.ids == (1, 2)
    assert spec.add(2, "3").ids == (1, 2, 3)
    assert spec.drop("1", 9).ids == (2,)
    assert spec.at("https://oc.example.org/").url == "https://oc.example.org"
    assert WatchSpec.of(URL, []).finished


def test_a_merge_keeps_what_knows_most_of_a_workflow() -> None:
    fresh = WatchSpec.of(URL, [1])
    (cursor,) = fresh.cursors
    checked, ended = (evolve(fresh, cursors=(evolve(cursor, checked_at=at, over=over),)) for at, over in KNOWLEDGE)
    for less, more in ((fresh, checked), (checked, ended), (fresh, ended)):
        assert WatchSpec.merge(less, more).cursors == WatchSpec.merge(more, less).cursors == more.cursors


def test_announced_pauses_are_counted_from_the_same_instant_after_a_merge() -> None:
    first = WatchSpec.of(URL, [1])
    (cursor,) = WatchSpec.of(URL, [2]).cursors
    failing = evolve(cursor, failing_since=5.0, announced=10.0)
    second = evolve(first, cursors=(failing,), server=ServerMemory(announced=30.0), durations={"fast": (1.0,)})
    merged = WatchSpec.merge(second, evolve(first, server=ServerMemory(announced=100.0), durations={"fast": (2.0,)}))
    assert merged.server.announced == 100
    assert merged.cursors[0].announced == 80
    assert merged.durations == {"fast": (1.0, 2.0)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WatchSpec.of("oc.example.org", [1]), "url: "),
        (lambda: WatchSpec.of(URL, ["x"]), "ids: "),
        (lambda: WatchSpec.of(URL, [1], poll=None), "poll: "),  # type: ignore[arg-type]
        (lambda: WatchSpec.of(URL, [1], stalled_after=-1), "stalled_after: "),
        (lambda: WatchSpec.of(URL, [1], label=1), "label: "),  # type: ignore[arg-type]
        (lambda: WatchSpec.of(URL, [1]).split(0), "shards: must be a whole number from 1"),
        (lambda: WatchSpec.of(URL, [1]).split(2.0), "shards: "),  # type: ignore[arg-type]
        (lambda: WatchSpec.of(URL, [1]).at("nowhere"), "url: "),
        (WatchSpec.merge, "specs: must be at least one"),
        (lambda: WatchSpec.merge(WatchSpec.of(URL, []), WatchSpec.of("http://[::2]", [])), "specs: must be of one"),
        (
            lambda: WatchSpec.merge(WatchSpec.of(URL, []), WatchSpec.of(URL, [], operations=True)),
            "specs: must not differ in `operations`",
        ),
    ],
)
def test_a_wrong_argument_of_a_watch_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        make()
