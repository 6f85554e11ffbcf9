"""Waits for ends: while the list's mark stays the same, a poll is one request, and no end is seen much later."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, field

from tests.conftest import See
from tests.support import virtual_time as virtual
from tests.support.monitored_system import System, new_system
from workflow_async import Phase, Poll
from workflow_async.monitor._engine import list_gate
from workflow_async.monitor._engine.fallback import DISABLED_FOR
from workflow_async.opencast import monitor_source as opencast
from workflow_async.preservica import monitor_source as preservica
from workflow_async.sandbox.fault_middleware import RecordedRequest

COUNT, PAGE_SIZE = 90, 20
PAGES = 5
"""Pages of the list of that many workflows."""
LONG = 100_000.0
POLL = Poll(interval=2, backoff=1, ceiling=60, jitter=0)
listing_systems = pytest.mark.parametrize("kind", ["11", "preservica"])


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the list in small pages, so that few workflows make a long list."""
    for source in (opencast, preservica):
        monkeypatch.setattr(source, "PAGE_SIZE", PAGE_SIZE)


def asks_for_mark(request: httpx.Request | RecordedRequest) -> bool:
    query = request.url.query.decode() if isinstance(request, httpx.Request) else request.query
    return "max=1&" in f"{query}&" or "limit=2&" in f"{query}&"


@define
class Waits:
    """Waits for many workflows, and when each of them has ended."""

    place: System
    client: Any
    ids: list[int]
    ended: dict[int, float] = field(factory=dict, init=False)
    _since: int = field(default=0, init=False)

    async def wait(self, id: int, **options: Any) -> None:
        """Wait for a workflow. Note when it ends."""
        workflow = await self.client.workflows.wait(id, poll=POLL, **options)
        assert workflow.phase is self.place.phase_of(self.place.run(id))
        self.ended[id] = asyncio.get_running_loop().time()

    def sent(self) -> tuple[int, int]:
        """Return the numbers of marks and of other requests since the last time."""
        found = self.place.asked(self._since)
        self._since = len(self.place.system.requests)
        marks = sum(map(asks_for_mark, found))
        return marks, len(found) - marks


@asynccontextmanager
async def waiting(place: System, ids: list[int], **options: Any) -> AsyncIterator[Waits]:
    async with place.client() as client, anyio.create_task_group() as group:
        waits = Waits(place, client, ids)
        for id in ids:
            group.start_soon(partial(waits.wait, id, **options))
        await anyio.sleep(9)  # a few polls
        waits.sent()
        yield waits
        group.cancel_scope.cancel()


class FirstMarks(httpx.ASGITransport):
    """Answers every request for a mark with the first answer, as a total that lags or an exact swap does."""

    def __init__(self, inner: httpx.ASGITransport) -> None:
        super().__init__(inner.app)
        self.mark: tuple[int, httpx.Headers, bytes] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not asks_for_mark(request):
            return await super().handle_async_request(request)
        if self.mark is None:
            response = await super().handle_async_request(request)
            self.mark = response.status_code, response.headers, await response.aread()
        status, headers, content = self.mark
        return httpx.Response(status, headers=headers, content=content)


def on_virtual_time(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    virtual.run(main())


@listing_systems
def test_a_quiet_poll_of_waits_is_one_request(kind: str, see: See) -> None:
    async def main() -> None:
        place = new_system(kind)
        async with waiting(place, place.starts(COUNT, LONG)) as waits:
            await anyio.sleep(600)
            marks, pages = waits.sent()
        polls, whole = 600 / POLL.interval, 600 / (POLL.ceiling + POLL.interval)
        assert marks == pytest.approx(polls, abs=2)
        assert pages == pytest.approx(whole * PAGES, abs=2 * PAGES)
        see(f"{kind}: {COUNT} quiet waits: {(marks + pages) / polls:.2f} requests a poll in place of {PAGES}")

    on_virtual_time(main)


@listing_systems
def test_an_end_is_seen_by_the_next_poll(kind: str) -> None:
    async def main() -> None:
        place = new_system(kind)
        ids = [*place.starts(COUNT - 1, LONG), *place.starts(1, 300.0)]
        async with waiting(place, ids) as waits:
            await anyio.sleep(320)
        assert list(waits.ended) == ids[-1:]
        lag = 10.0 if kind == "11" else 0.0
        assert waits.ended[ids[-1]] <= 300 + lag + 2 * POLL.interval

    on_virtual_time(main)


@listing_systems
def test_an_end_that_the_mark_does_not_show_is_seen_after_the_ceiling_at_the_latest(kind: str) -> None:
    async def main() -> None:
        place = new_system(kind)
        durations = [200.0, 230.0, 261.0, 290.0, 333.0]
        ids = [*place.starts(COUNT - len(durations), LONG)]
        ending = {place.starts(1, seconds)[0]: seconds for seconds in durations}
        place.wire.inner = inner = FirstMarks(place.wire.inner)
        async with waiting(place, [*ids, *ending]) as waits:
            await anyio.sleep(450)
        assert inner.mark is not None
        lag = 10.0 if kind == "11" else 0.0
        late = [waits.ended[id] - seconds for id, seconds in ending.items()]
        assert max(late) <= POLL.ceiling + lag + 2 * POLL.interval
        assert max(late) > 2 * POLL.interval + lag  # so the mark has hidden an end

    on_virtual_time(main)


def ends_of(kind: str, seed: int) -> dict[int, float]:
    """Return when the waits for workflows of random lengths end."""
    found: dict[int, float] = {}

    async def main() -> None:
        chance = random.Random(seed)
        place = new_system(kind)
        ids = place.starts(COUNT, LONG)
        for _ in range(40):
            ids += place.starts(1, chance.uniform(1, 200), chance.uniform(1, 200))
        async with waiting(place, ids) as waits:
            for _ in range(20):
                await anyio.sleep(chance.uniform(1, 30))
                place.starts(1, chance.uniform(1, 60))  # of another user
            await anyio.sleep(200)
        found.update(waits.ended)

    on_virtual_time(main)
    return found


@listing_systems
@pytest.mark.sweep
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_end_is_seen_later_than_the_ceiling_after_a_wait_without_marks(
    kind: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_marks = ends_of(kind, seed)
    monkeypatch.setattr(list_gate, "MIN_PAGES", 10**9)
    without = ends_of(kind, seed)
    assert with_marks.keys() == without.keys()
    assert len(without) == 40
    assert all(at - without[id] <= POLL.ceiling + POLL.interval for id, at in with_marks.items())


@listing_systems
def test_after_a_restart_with_older_states_every_end_is_seen(kind: str) -> None:
    async def main() -> None:
        place = new_system(kind)
        ids = [*place.starts(COUNT - 3, LONG), *place.starts(3, 100.0)]
        async with waiting(place, ids) as waits:
            await anyio.sleep(60)
            place.wire.down = True
            await anyio.sleep(30)
            place.wire.down = False
            await anyio.sleep(70)
        assert set(waits.ended) == set(ids[-3:])

    on_virtual_time(main)


@listing_systems
@pytest.mark.parametrize(
    "options",
    [{"parked": "return"}, {"until": lambda _: False}, {"on_change": lambda _: None}],
    ids=["parked", "until", "on_change"],
)
def test_waits_that_need_states_read_the_list(kind: str, options: dict[str, Any]) -> None:
    async def main() -> None:
        place = new_system(kind)
        async with waiting(place, place.starts(COUNT, LONG), **options) as waits:
            await anyio.sleep(20)
            marks, pages = waits.sent()
        assert marks == 0
        assert pages >= 9 * PAGES

    on_virtual_time(main)


@listing_systems
def test_a_watch_of_the_same_workflow_ends_the_skipping(kind: str) -> None:
    async def main() -> None:
        place = new_system(kind)
        ids = [*place.starts(COUNT - 1, LONG), *place.starts(1, 50.0, LONG)]
        async with waiting(place, ids) as waits, waits.client.workflows.watch(ids[-1:], poll=POLL) as changes:
            assert (await anext(changes)).now is Phase.RUNNING
            waits.sent()
            await anyio.sleep(20)
            marks, pages = waits.sent()
            assert marks == 0
            assert pages >= 9 * PAGES

    on_virtual_time(main)


@listing_systems
@pytest.mark.parametrize(("status", "again"), [(500, True), (403, False)])
def test_a_mark_that_fails_leaves_the_list_as_it_was(kind: str, status: int, again: bool) -> None:  # noqa: FBT001 - a table
    async def main() -> None:
        place = new_system(kind)
        asked = list[float]()

        def refuse(request: httpx.Request) -> httpx.Response | None:
            if not asks_for_mark(request):
                return None
            asked.append(asyncio.get_running_loop().time())
            return httpx.Response(status)

        place.wire.instead = refuse
        ids = [*place.starts(COUNT - 1, LONG), *place.starts(1, 100.0)]
        async with waiting(place, ids) as waits:
            await anyio.sleep(110)
            assert set(waits.ended) == set(ids[-1:])
            await anyio.sleep(DISABLED_FOR)
        assert (asked[-1] - asked[0] >= DISABLED_FOR) is again

    on_virtual_time(main)


@listing_systems
def test_a_mark_that_is_answered_with_a_pause_pauses_the_polling(kind: str) -> None:
    async def main() -> None:
        place, asked = new_system(kind), list[bool]()

        def answer(request: httpx.Request) -> httpx.Response | None:
            asked.append(asks_for_mark(request))
            return httpx.Response(429, headers={"retry-after": "40"}) if asked[-1] else None

        async with waiting(place, place.starts(COUNT, LONG)):
            place.wire.instead = answer
            await anyio.sleep(39)
        assert asked[-1]  # nothing was requested after the mark
        assert asked.count(True) == 1

    on_virtual_time(main)
