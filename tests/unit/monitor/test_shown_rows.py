"""An end is told from a list that lags by what the list before has shown."""

import anyio
import pytest

from tests.support import virtual_time as virtual
from tests.support.monitored_server import Server, new_poller, running
from tests.unit.monitor.test_poller import STEADY, later, watch
from workflow_async import Phase, Poll
from workflow_async.monitor._engine.shown_rows import ShownRows

LAG = 10.0


def shown_rows(*, missing: bool = False) -> ShownRows:
    """Return what a list says that was requested 5 s after the client began, and showed 7."""
    rows = ShownRows()
    rows.got(7, missing=missing)
    rows.list_read({7}, 5.0)
    return rows


def test_a_list_that_showed_a_workflow_after_its_get_knows_the_workflow() -> None:
    assert shown_rows().showed_after(7, 4.0)
    assert not shown_rows().showed_after(7, 6.0)
    assert not shown_rows().showed_after(8, 4.0)


def test_a_get_that_contradicts_a_list_is_believed_until_another_get() -> None:
    rows = shown_rows(missing=True)
    assert not rows.showed_after(7, 4.0)
    rows.got(7, missing=False)
    assert rows.showed_after(7, 4.0)
    rows.got(7, missing=True)
    rows.forget(7)
    assert rows.showed_after(7, 4.0)


def gets(server: Server, id: int) -> list[float]:
    """Return the instants of the GETs of a workflow."""
    return [at for at, got, _ in server.gets if got == id]


def test_an_end_soon_after_a_get_is_seen_once_a_list_has_shown_the_workflow() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, list_lag=LAG, workflows=running(*range(1, 9)))
        poller, ended = new_poller(server), list[float]()
        later(5, lambda: poller.wake(7))
        later(8, lambda: server.set_phase(Phase.SUCCEEDED, 7))
        later(30, lambda: server.set_phase(Phase.SUCCEEDED, *range(1, 9)))
        async with watch(poller, *range(1, 9)) as changes:
            async for event in changes:
                if event.id == 7 and event.now.final:
                    ended.append(anyio.current_time())
        assert ended[0] <= 8 + STEADY.interval + 0.1
        assert len(gets(server, 7)) == 2

    virtual.run(main())


def test_an_end_soon_after_a_get_is_seen_late_if_no_list_has_shown_the_workflow() -> None:
    async def main() -> None:
        server = Server(supports_listing=True, list_lag=LAG, workflows=running(*range(1, 9)))
        server.listed = running(*(id for id in range(1, 9) if id != 7))
        poller, ended = new_poller(server), list[float]()
        later(1, lambda: poller.wake(7))
        later(2, lambda: server.set_phase(Phase.SUCCEEDED, 7))
        later(30, lambda: setattr(server, "listed", {}), lambda: server.set_phase(Phase.SUCCEEDED, *range(1, 9)))
        async with watch(poller, *range(1, 9)) as changes:
            async for event in changes:
                if event.id == 7 and event.now.final:
                    ended.append(anyio.current_time())
        assert ended[0] <= 1 + LAG + 2 * STEADY.interval

    virtual.run(main())


def gets_of_contradicting_lists(poll: Poll) -> int:
    """Return the GETs of a running workflow that every other list leaves out. Check that it gives no wrong end."""
    everything, others, seconds = running(*range(1, 9)), running(*(id for id in range(1, 9) if id != 7)), 120
    server = Server(supports_listing=True, list_lag=LAG, workflows=everything)

    async def main() -> list[Phase]:
        for n in range(0, seconds, 4):
            later(n + 1, lambda: setattr(server, "listed", everything))
            later(n + 3, lambda: setattr(server, "listed", others))
        later(seconds, lambda: setattr(server, "listed", {}))
        later(seconds, lambda: server.set_phase(Phase.SUCCEEDED, *range(1, 9)))
        poller = new_poller(server)
        later(0.5, lambda: poller.wake(7))
        async with watch(poller, *range(1, 9), poll=poll) as changes:
            return [event.now async for event in changes if event.id == 7]

    assert virtual.run(main()) == [Phase.RUNNING, Phase.SUCCEEDED]
    return len(gets(server, 7))


@pytest.mark.parametrize("interval", [1.7, 2.0, 2.3, 3.1])
def test_lists_that_contradict_each_other_cost_no_gets_after_the_first_lag_and_give_no_end(
    monkeypatch: pytest.MonkeyPatch, interval: float
) -> None:
    poll = Poll(interval=interval, ceiling=interval, backoff=1, jitter=0)
    found = gets_of_contradicting_lists(poll)
    monkeypatch.setattr(ShownRows, "showed_after", lambda *_: False)
    assert found <= gets_of_contradicting_lists(poll) + LAG / interval  # they begin up to a lag earlier
