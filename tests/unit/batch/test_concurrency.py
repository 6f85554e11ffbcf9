"""The limit of running workflows: which starts have places, and when the next one gets them."""

import anyio
import anyio.lowlevel
import pytest
from attrs import evolve

from tests.conftest import FakeTime
from tests.support.journal_files import ticket
from workflow_async import Clock, Poll
from workflow_async.batch.concurrency import ConcurrencyLimit, Taken, concurrency_limit
from workflow_async.batch.running_starts import RunningStarts
from workflow_async.errors import InvalidArgument


def limit(high: int, low: int | None = None) -> ConcurrencyLimit:
    return concurrency_limit(high, low, None, Clock(), Poll())


def starts(high: int, low: int | None = None) -> RunningStarts:
    return RunningStarts(limit(high, low))


async def settle() -> None:
    for _ in range(5):
        await anyio.lowlevel.checkpoint()


# The starts of a batch


async def test_a_start_waits_until_another_start_leaves_its_place() -> None:
    running = starts(1)
    await running.enter(ticket("a"))
    async with anyio.create_task_group() as group:
        group.start_soon(running.enter, ticket("b"))
        await settle()
        assert [*running.starts] == ["a"]
        running.leave("a")
    assert [*running.starts] == ["b"]


async def test_an_admitted_start_needs_no_free_place_and_keeps_later_starts_waiting() -> None:
    running = starts(1)
    for key, id in (("a", 1), ("b", 2)):
        running.admit(ticket(key), id)
    async with anyio.create_task_group() as group:
        group.start_soon(running.enter, ticket("c"))
        await settle()
        running.leave("a")
        await settle()
        assert [*running.starts] == ["b"]
        running.leave("b")
    assert [*running.starts] == ["c"]


async def test_admitting_a_start_again_updates_its_ticket_and_id_and_takes_no_second_place() -> None:
    running = starts(2)
    await running.enter(ticket("a"))
    sent = evolve(ticket("a"), baseline=7)
    running.admit(sent, 8)
    assert (running.starts, running.limit.taken) == ({"a": (sent, 8)}, 1)


async def test_leaving_twice_frees_one_place() -> None:
    running = starts(1)
    await running.enter(ticket("a"))
    running.leave("a")
    running.leave("a")
    await running.enter(ticket("b"))
    async with anyio.create_task_group() as group:
        group.start_soon(running.enter, ticket("c"))
        await settle()
        assert [*running.starts] == ["b"]
        group.cancel_scope.cancel()


async def test_a_full_limit_admits_again_when_no_more_than_the_low_mark_are_running() -> None:
    running = starts(3, low=1)
    for key in "abc":
        await running.enter(ticket(key))
    async with anyio.create_task_group() as group:
        group.start_soon(running.enter, ticket("d"))
        await settle()
        running.leave("a")
        await settle()
        assert [*running.starts] == ["b", "c"]
        running.leave("b")
    assert [*running.starts] == ["c", "d"]


async def test_the_same_key_in_two_batches_takes_two_places_of_a_shared_limit() -> None:
    shared = limit(2)
    first, second = RunningStarts(shared), RunningStarts(shared)
    await first.enter(ticket("a"))
    await second.enter(ticket("a"))
    assert shared.taken == 2
    first.leave("a")
    assert (shared.taken, [*second.starts]) == (1, ["a"])


def test_the_low_mark_must_be_below_the_limit() -> None:
    with pytest.raises(InvalidArgument, match="low"):
        limit(2, low=2)


# What the server's count does not include


@pytest.mark.parametrize(("lag", "seconds"), [(0.0, 5.0), (12.0, 12.0)])
async def test_a_place_counts_in_addition_for_5_seconds_or_the_lag_and_then_above_1(
    lag: float, seconds: float, fake_time: FakeTime
) -> None:
    places = concurrency_limit(9, None, None, fake_time.clock, Poll())
    places.admit("light")
    places.admit("heavy", 3)
    assert places.with_uncounted(5, lag) == Taken(5, 9)
    await fake_time.sleep(seconds - 0.1)
    assert places.with_uncounted(5, lag) == Taken(5, 9)
    await fake_time.sleep(0.1)
    assert places.with_uncounted(5, lag) == Taken(7, 7)


@pytest.mark.parametrize(("started", "expected"), [(True, Taken(0, 3)), (False, Taken(0, 0))])
async def test_a_workflow_that_was_started_counts_in_addition_even_if_its_place_is_free(
    *, started: bool, expected: Taken, fake_time: FakeTime
) -> None:
    async def count() -> Taken:
        return Taken(0, 0)

    places = concurrency_limit(9, None, count, fake_time.clock, Poll())
    places.admit("heavy", 3)
    await fake_time.sleep(6)
    places.leave("heavy", started=started)
    assert (places.taken, places.with_uncounted(0, 12)) == (0, expected)
    await fake_time.sleep(6)
    assert places.with_uncounted(0, 12) == Taken(0, 0)
