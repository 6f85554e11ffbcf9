"""A watch as a value that any process can continue from its JSON."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from attrs import evolve

from workflow_async import Clock, Limits, OpencastClient, Phase, PreservicaClient
from workflow_async.errors import DecodeError, InvalidArgument, NotSentInTime
from workflow_async.monitor import Change, PollingFailed, Replaced, Vanished, WatchSpec, poll_once
from workflow_async.opencast import Workflow
from workflow_async.opencast.monitor_source import OpencastSource
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox, Step, StepResult

Opened = Callable[[], Any]


@pytest.fixture(params=["11", "16"])
def sandbox(request: pytest.FixtureRequest, time: ManualClock) -> Sandbox:
    return Sandbox(request.param, time)


@asynccontextmanager
async def opencast(sandbox: Sandbox, time: ManualClock, **settings: Any) -> AsyncIterator[OpencastClient]:
    async def sleep(seconds: float) -> None:
        time.advance(seconds)

    http = httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.opencast.app))
    given = {"auth": sandbox.opencast.auth, "clock": Clock(now=time, sleep=sleep, wall=time), **settings}
    async with http, OpencastClient("http://127.0.0.1", http=http, **given) as client:
        yield client


async def carry_on(client: Any, spec: WatchSpec) -> tuple[WatchSpec, tuple[Any, ...]]:
    polled = await poll_once(client, spec)
    return polled.spec, polled.events


async def poll_to_end(sandbox: Sandbox, time: ManualClock, spec: WatchSpec, *, every: float) -> list[Any]:
    """Poll to the end, each time in another client that gets only the JSON. Return all events."""
    text = spec.to_json()
    events: list[Any] = []
    while not WatchSpec.from_json(text).finished:
        async with opencast(sandbox, time) as client:
            after, news = await carry_on(client, WatchSpec.from_json(text))
        text = after.to_json()
        events += news
        time.advance(every)
    return events


async def test_any_process_with_the_json_continues_the_watch_to_its_end(sandbox: Sandbox, time: ManualClock) -> None:
    ids = [sandbox.opencast.start(sandbox.opencast.event(), name) for name in ("fast", "fails", "publish")]
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.of(client, ids)
    events = await poll_to_end(sandbox, time, spec, every=5)
    ends = {change.id: change.now for change in events if change.now.final}
    assert ends == dict(zip(ids, (Phase.SUCCEEDED, Phase.FAILED, Phase.SUCCEEDED), strict=True))
    assert all(change.workflow.operations for change in events if change.now.final)
    assert len({change.key for change in events}) == len(events)


async def test_every_transition_of_an_operation_is_reported_although_no_check_saw_it(
    sandbox: Sandbox, time: ManualClock
) -> None:
    id = sandbox.opencast.start(sandbox.opencast.event(), "fast")
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.of(client, [id], operations=True)
        spec, _ = await carry_on(client, spec)
        time.advance(60)
        spec, (change,) = await carry_on(client, WatchSpec.from_json(spec.to_json()))
    assert isinstance(change, Change)
    encoded = [(c.was, c.now) for c in change.operations if c.operation == "prepare-av"]
    assert encoded == [("instantiated", "running"), ("running", "succeeded")]


async def test_events_of_a_repeated_poll_once_have_the_same_keys(sandbox: Sandbox, time: ManualClock) -> None:
    ids = sandbox.opencast.seed(5)
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.of(client, ids)
        _, first = await carry_on(client, spec)
        _, again = await carry_on(client, spec)
    assert [news.key for news in first] == [news.key for news in again]


async def test_poll_once_of_many_reads_the_list_or_sends_bulk_checks(sandbox: Sandbox, time: ManualClock) -> None:
    ids = [sandbox.opencast.start(sandbox.opencast.event(), "schedule-and-upload") for _ in range(250)]
    time.advance(20)
    async with opencast(sandbox, time) as client:
        spec, events = await carry_on(client, WatchSpec.of(client, ids))
        assert len(events) == 250
        sandbox.opencast.requests.clear()
        spec, events = await carry_on(client, spec)
    assert events == ()
    expected = 1 if sandbox.opencast.state.release == "11" else 5  # pages, or bulk checks
    assert len(sandbox.opencast.requests) == expected


async def test_an_unknown_id_vanishes_after_several_polls_and_affects_no_other(
    sandbox: Sandbox, time: ManualClock
) -> None:
    id = sandbox.opencast.start(sandbox.opencast.event(), "fast")
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.of(client, [999, id])
    events = await poll_to_end(sandbox, time, spec, every=5)
    assert [news.id for news in events if isinstance(news, Vanished)] == [999]
    assert [news.now for news in events if isinstance(news, Change)][-1] is Phase.SUCCEEDED


async def test_a_server_that_is_down_only_delays_the_events(sandbox: Sandbox, time: ManualClock) -> None:
    id = sandbox.opencast.start(sandbox.opencast.event(), "fast")
    sandbox.opencast.faults = Faults(script=(Fault.SERVER_ERROR,) * 20)
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.of(client, [id])
    events = await poll_to_end(sandbox, time, spec, every=5)
    assert events[-1].now is Phase.SUCCEEDED


async def test_a_workflow_that_must_not_be_read_gets_polling_failed(sandbox: Sandbox, time: ManualClock) -> None:
    async with opencast(sandbox, time, auth=("admin", "wrong")) as client:
        spec, (news,) = await carry_on(client, WatchSpec.of(client, [1]))
    assert isinstance(news, PollingFailed)
    assert spec.finished


async def test_poll_once_works_with_preservica_too(time: ManualClock) -> None:
    sandbox = Sandbox(clock=time)
    there = sandbox.preservica
    (id,) = there.seed(1, contexts=["42"])
    http = httpx.AsyncClient(transport=httpx.ASGITransport(there.app))
    account: dict[str, Any] = {"username": there.username, "password": there.password, "tenant": there.tenant}
    events: list[Any] = []
    async with http, PreservicaClient("http://127.0.0.1", http=http, clock=Clock(wall=time), **account) as client:
        spec = WatchSpec.of(client, [str(id)])
        while not spec.finished:
            spec, news = await carry_on(client, WatchSpec.from_json(spec.to_json()))
            events += news
            time.advance(30)
    assert events[-1].now is Phase.SUCCEEDED


async def test_a_spec_of_another_server_is_rejected(sandbox: Sandbox, time: ManualClock) -> None:
    async with opencast(sandbox, time) as client:
        spec = WatchSpec.from_json(WatchSpec.of(client, [1]).to_json().replace("127.0.0.1", "127.0.0.2"))
        with pytest.raises(InvalidArgument, match=r"spec: belongs to http://127\.0\.0\.2"):
            await poll_once(client, spec)


async def test_a_text_of_another_version_or_of_no_spec_is_rejected(sandbox: Sandbox, time: ManualClock) -> None:
    async with opencast(sandbox, time) as client:
        tree = json.loads(WatchSpec.of(client, [1]).to_json())
    for later in (3, "2", True, None):
        with pytest.raises(InvalidArgument, match="version: must be 1 or 2"):
            WatchSpec.from_json(json.dumps({**tree, "version": later}))
    for wrong in ("", "[]", "{}", json.dumps({**tree, "cursors": [{"id": "x"}]}), json.dumps({**tree, "pages": "1"})):
        with pytest.raises((DecodeError, InvalidArgument)):
            WatchSpec.from_json(wrong)


CURSOR = {
    *("id", "since", "workflow", "got_at", "listed_at", "changed_at", "unchanged", "changes", "misses"),
    *("missing_since", "failing_since", "failures", "stalled", "ending", "over"),
}
ADDED = {"announced", "checked_at", "foreign", "foreign_since", "expected", "identity"}
"""JSON keys that were added later."""


async def test_the_json_keys_stay_and_a_text_without_later_keys_is_read(sandbox: Sandbox, time: ManualClock) -> None:
    async with opencast(sandbox, time) as client:
        ids = [sandbox.opencast.start(sandbox.opencast.event(), "schedule-and-upload") for _ in range(2)]
        time.advance(20)  # both run for a long time
        spec, _ = await carry_on(client, WatchSpec.of(client, ids))
        tree = json.loads(spec.to_json())
        assert [set(cursor) for cursor in tree["cursors"]] == [CURSOR | ADDED] * 2
        old = {**tree, "cursors": [{key: cursor[key] for key in CURSOR} for cursor in tree["cursors"]]}
        time.advance(11)  # more than the list lags
        after, news = await carry_on(client, WatchSpec.from_json(json.dumps(old)))
    assert news == ()
    assert [cursor.identity for cursor in after.cursors] == [cursor.identity for cursor in spec.cursors]
    assert all(cursor.identity[0] for cursor in after.cursors)


async def test_an_id_that_becomes_another_workflow_is_reported_by_poll_once(
    sandbox: Sandbox, time: ManualClock
) -> None:
    fake = sandbox.opencast
    ids = [fake.start(fake.event(), "fast") for _ in range(4)]
    async with opencast(sandbox, time) as client:
        spec, _ = await carry_on(client, WatchSpec.of(client, ids))
        replaced, first, other = fake.engine.get(ids[0]), fake.engine.runs[ids[0]].subject, fake.event()
        assert replaced is not None
        replaced.subject = other
        time.advance(20)
        spec, (news, *others) = await carry_on(client, WatchSpec.from_json(spec.to_json()))
        assert isinstance(news, Replaced)
        assert news.workflow is not None
        assert (news.id, news.found.event_id) == (ids[0], other)
        assert other != first
        assert all(isinstance(one, Change) for one in others)
    events = [*others, *await poll_to_end(sandbox, time, spec, every=60)]
    assert {one.id for one in events if one.now.final} == set(ids[1:])


async def test_the_json_holds_no_secret(sandbox: Sandbox, time: ManualClock) -> None:
    async with opencast(sandbox, time) as client:
        spec, _ = await carry_on(client, WatchSpec.of(client, sandbox.opencast.seed(2), operations=True))
    assert sandbox.opencast.password not in spec.to_json().replace(sandbox.opencast.state.username, "")


# Many at once


async def test_a_long_poll_has_few_requests_in_flight_and_checks_the_longest_unchecked_first(
    sandbox: Sandbox, time: ManualClock
) -> None:
    fake = sandbox.opencast
    ids = [fake.start(fake.event(), "fast") for _ in range(40)]
    async with opencast(sandbox, time, limits=Limits(connections=2)) as client:
        spec = evolve(WatchSpec.of(client, ids), lists=False)
        cursors = tuple(evolve(cursor, checked_at=float(1000 - place)) for place, cursor in enumerate(spec.cursors))
        fake.requests.clear()
        await poll_once(client, evolve(spec, cursors=cursors))
        asked = [int(one.path.rpartition("/")[2]) for one in fake.requests]
    assert sorted(asked) == ids
    assert asked[0] in ids[-4:], "the workflow that was checked longest ago comes first"


async def test_a_poll_that_does_not_reach_every_workflow_fails_none(
    sandbox: Sandbox, time: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, get, left = sandbox.opencast, OpencastSource.get, [0]
    ids = [fake.start(fake.event(), "fast") for _ in range(20)]

    async def reached(source: OpencastSource, id: int, *, operations: bool) -> Workflow:
        left[0] -= 1
        if left[0] < 0:
            raise NotSentInTime("no response within 3 s")
        return await get(source, id, operations=operations)

    monkeypatch.setattr(OpencastSource, "get", reached)
    events: list[int] = []
    async with opencast(sandbox, time) as client:
        spec = evolve(WatchSpec.of(client, ids), lists=False)
        for _ in range(4):
            left[0] = 5
            time.advance(0.01)
            spec, news = await carry_on(client, spec)
            events += [one.id for one in news]
            assert all(isinstance(one, Change) for one in news)
            assert all(cursor.failures == 0 for cursor in spec.cursors)
    assert sorted(events) == ids


async def test_poll_once_sends_one_get_for_an_ended_workflow(sandbox: Sandbox, time: ManualClock) -> None:
    fake = sandbox.opencast
    id = fake.start(fake.event(), "fast")
    time.advance(3600)
    async with opencast(sandbox, time) as client:
        fake.requests.clear()
        spec, (news,) = await carry_on(client, WatchSpec.of(client, [id]))
    assert isinstance(news, Change)
    assert news.now.final
    assert spec.finished
    assert len(fake.requests) == 1


async def test_two_processes_that_see_the_same_end_give_it_the_same_key(sandbox: Sandbox, time: ManualClock) -> None:
    fake = sandbox.opencast
    id = fake.start(fake.event(), "fast")
    async with opencast(sandbox, time) as client:
        stored = WatchSpec.of(client, [id])
        await poll_once(client, stored)  # tells that it runs, and dies before the new spec is stored
        time.advance(3600)
        _, (late,) = await carry_on(client, stored)
        async with client.workflows.watch([id]) as changes:
            watched = [event.key async for event in changes]
    assert late.key == watched[-1] == f"opencast:127.0.0.1/{id}/end/succeeded"


async def test_specs_that_were_joined_by_hand_report_common_ids_once(sandbox: Sandbox, time: ManualClock) -> None:
    fake = sandbox.opencast
    ids = [fake.start(fake.event(), "fast") for _ in range(3)]
    async with opencast(sandbox, time) as client:
        first, _ = await carry_on(client, WatchSpec.of(client, ids[:2]))
        joined = evolve(first, url="http://localhost", cursors=first.cursors + WatchSpec.of(client, ids[1:]).cursors)
        after, news = await carry_on(client, joined)
    assert [one.id for one in news] == ids[2:]
    assert [cursor.id for cursor in after.cursors] == ids


async def test_poll_once_ignores_a_row_that_may_be_older_than_the_last_get(time: ManualClock) -> None:
    sandbox = Sandbox("11", time)
    fake = sandbox.opencast
    fake.define("held", [Step("encode", 12.0), Step("review", 1.0, StepResult.HELD)])
    ids = [fake.start(fake.event(), "held") for _ in range(3)]
    time.advance(11)
    async with opencast(sandbox, time) as client:
        spec, events = await carry_on(client, WatchSpec.of(client, ids))
        assert {event.now for event in events if isinstance(event, Change)} == {Phase.RUNNING}
        time.advance(5)  # the list lags, and still shows all as running
        spec, events = await carry_on(client, evolve(spec, lists=False))
        assert [event.now for event in events if isinstance(event, Change)] == [Phase.PARKED] * 3
        fake.requests.clear()
        spec, events = await carry_on(client, evolve(spec, lists=True))
    assert not events
    assert [exchange.path for exchange in fake.requests].count("/api/workflows") == 1
    assert len(fake.requests) == 1


async def test_a_row_that_needs_a_get_is_not_believed_without_it(
    time: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_in_time(*_: object, **__: object) -> Workflow:
        raise NotSentInTime("no response within 3 s")

    sandbox = Sandbox("11", time)
    fake = sandbox.opencast
    fake.define("held", [Step("encode", 12.0), Step("review", 1.0, StepResult.HELD)])
    ids = [fake.start(fake.event(), "held") for _ in range(3)]
    time.advance(11)
    async with opencast(sandbox, time) as client:
        spec, _ = await carry_on(client, WatchSpec.of(client, ids))
        time.advance(5)
        spec, _ = await carry_on(client, evolve(spec, lists=False))
        monkeypatch.setattr(OpencastSource, "get", not_in_time)
        after, events = await carry_on(client, evolve(spec, lists=True))
    assert not events
    assert after.cursors == spec.cursors
