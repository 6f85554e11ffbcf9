"""Answered pauses: how a record shows them, and which events watchers get."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from tests.support.monitored_server import Detailed, Operation, Record, Server, new_poller
from tests.support.virtual_time import run
from workflow_async import Phase, Poll
from workflow_async.monitor import Change
from workflow_async.monitor._engine import pauses
from workflow_async.monitor._engine.pauses import AnsweredPauses, Pause, pause_of
from workflow_async.monitor._engine.poller import Poller
from workflow_async.monitor.waits import WaitOptions, wait
from workflow_async.monitor.watch import watching

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
OFTEN = Poll(interval=10.0, ceiling=10.0)


def paused(*states: str, id: int = 1, start: datetime | None = None) -> Detailed:
    """Return a parked workflow with operations a, b, c, … in these states."""
    operations = [Operation(name, state, start) for name, state in zip("abcd", states, strict=False)]
    return Detailed(id, Phase.PARKED, operations=tuple(operations))


A, B = paused("paused", "instantiated"), paused("succeeded", "paused")


def pause(workflow: Any) -> Pause:
    found = pause_of(workflow)
    assert found is not None
    return found


# What a record shows


def test_a_pause_is_identified_by_the_first_operation_that_has_not_ended() -> None:
    assert pause(A) == pause(paused("paused", "instantiated"))
    others = [
        B,
        paused("running", "instantiated"),
        paused("skipped", "paused"),
        paused("paused", start=NOON),
        paused("succeeded", "failed"),
        paused(),
    ]
    assert len({pause(each) for each in (A, *others)}) == 6  # b is paused after a, however that ended


def test_a_record_that_is_not_paused_or_has_no_operations_shows_no_pause() -> None:
    assert pause_of(Record(1, Phase.PARKED)) is None
    assert pause_of(Detailed(1, Phase.PARKED)) is None
    assert pause_of(Detailed(1, Phase.RUNNING, operations=(Operation("a", "paused"),))) is None


def test_an_answered_pause_is_known_until_it_is_forgotten() -> None:
    answered = AnsweredPauses()
    assert not answered.covers(A)
    answered.note(1, pause(A))
    assert (answered.covers(A), answered.covers(B)) == (True, False)
    assert (answered.unclear(A), answered.unclear(B), answered.unclear(Record(1, Phase.PARKED))) == (True,) * 3
    assert not answered.unclear(Record(1, Phase.RUNNING))
    assert not answered.unclear(Record(2, Phase.PARKED))
    answered.forget(1)
    answered.forget(1)
    assert not answered.covers(A)


def test_the_oldest_answered_pause_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "MAX_REMEMBERED", 2)
    answered = AnsweredPauses()
    for id in (1, 2, 1, 3):
        answered.note(id, pause(A))
    assert [answered.covers(paused("paused", "instantiated", id=id)) for id in (1, 2, 3)] == [True, False, True]


# The events of watchers


def later(seconds: float, action: Callable[..., object], *arguments: Any) -> None:
    """Call this after some seconds."""
    asyncio.get_running_loop().call_later(seconds, action, *arguments)


async def events_of(poller: Poller[Any], seconds: float, **settings: Any) -> Sequence[Any]:
    """Return the phases that a watch of workflow 1 reports within some seconds."""
    found: list[Any] = []
    async with watching(poller, [1], None, poll=OFTEN, operations=False, stalled_after=None, **settings) as events:
        with anyio.move_on_after(seconds):
            async for event in events:
                assert isinstance(event, Change)
                found.append((event.was, event.now, asyncio.get_running_loop().time()))
    return found


def test_an_answered_pause_is_not_reported_and_the_next_one_is() -> None:
    async def main() -> tuple[Sequence[Any], int]:
        server = Server()
        server.put(A)
        poller = new_poller(server)
        poller.note_resume(1, pause(A))
        later(95, server.put, B)
        return await events_of(poller, 200.0), len(server.gets)

    found, gets = run(main())
    assert found == [(None, Phase.PARKED, 100.0)]
    assert gets <= 22  # one for each interval, and the first once more with operations


@pytest.mark.parametrize("lists", [False, True])
def test_a_watch_that_goes_on_reports_the_next_pause_although_its_record_is_equal(*, lists: bool) -> None:
    async def main() -> Sequence[Any]:
        server = Server(supports_listing=lists)
        server.put(A, *(Record(id) for id in range(2, 9)))
        poller = new_poller(server)
        later(45, poller.note_resume, 1, pause(A))
        later(95, server.put, B)
        return await events_of(poller, 300.0)

    first, second = run(main())
    assert first[:2] == (None, Phase.PARKED)
    assert second[:2] == (Phase.PARKED, Phase.PARKED)
    assert 95 <= second[2] <= 130


def test_a_later_watcher_gets_no_answered_pause() -> None:
    async def main() -> Sequence[Sequence[Any]]:
        server = Server()
        server.put(A)
        poller = new_poller(server)
        later(20, poller.note_resume, 1, pause(A))
        later(60, server.put, B)

        async def joined() -> Sequence[Any]:
            await anyio.sleep(20)
            return await events_of(poller, 100.0)

        return await asyncio.gather(joined(), events_of(poller, 200.0))

    joined, early = run(main())
    assert [now for _, now, _ in joined] == [Phase.PARKED]
    assert joined[0][2] >= 60
    assert [now for _, now, _ in early] == [Phase.PARKED, Phase.PARKED]


def test_a_pause_whose_resume_was_refused_is_reported_after_all() -> None:
    async def main() -> Sequence[Any]:
        server = Server()
        server.put(A)
        poller = new_poller(server)
        poller.note_resume(1, pause(A))
        later(33, poller.withdraw_resume, 1)
        return await events_of(poller, 100.0)

    assert run(main()) == [(None, Phase.PARKED, 33.0)]


def test_a_queued_pause_is_not_returned_after_it_was_answered() -> None:
    async def main() -> Any:
        server = Server()
        server.put(A)
        poller = new_poller(server)
        async with watching(poller, [1], None, poll=OFTEN, operations=False, stalled_after=None) as events:
            await wait(poller, 1, WaitOptions(poll=OFTEN, parked="return"), check=False)
            poller.note_resume(1, pause(A))
            server.set_phase(Phase.RUNNING, 1, operations=(Operation("a", "succeeded"),))
            return await anext(events)

    change = run(main())
    assert (change.was, change.now) == (Phase.PARKED, Phase.RUNNING)
