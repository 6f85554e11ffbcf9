"""The limit of running workflows: which starts have a place, and when the next one gets one."""

import anyio
import anyio.lowlevel
import pytest
from attrs import evolve

from tests.support.journal_files import ticket
from workflow_async import Clock, Poll
from workflow_async.batch.concurrency import ConcurrencyLimit, concurrency_limit
from workflow_async.errors import InvalidArgument


def limit(high: int, low: int | None = None) -> ConcurrencyLimit:
    return concurrency_limit(high, low, None, Clock(), Poll())


async def settle() -> None:
    for _ in range(5):
        await anyio.lowlevel.checkpoint()


async def test_a_start_waits_until_another_start_leaves_its_place() -> None:
    places = limit(1)
    await places.enter(ticket("a"))
    async with anyio.create_task_group() as group:
        group.start_soon(places.enter, ticket("b"))
        await settle()
        assert [*places.running] == ["a"]
        places.leave("a")
    assert [*places.running] == ["b"]


async def test_an_admitted_start_needs_no_free_place_and_keeps_later_starts_waiting() -> None:
    places = limit(1)
    for key, id in (("a", 1), ("b", 2)):
        places.admit(ticket(key), id)
    async with anyio.create_task_group() as group:
        group.start_soon(places.enter, ticket("c"))
        await settle()
        places.leave("a")
        await settle()
        assert [*places.running] == ["b"]
        places.leave("b")
    assert [*places.running] == ["c"]


async def test_admitting_a_start_again_updates_its_ticket_and_id_and_takes_no_second_place() -> None:
    places = limit(2)
    await places.enter(ticket("a"))
    sent = evolve(ticket("a"), baseline=7)
    places.admit(sent, 8)
    assert places.running == {"a": (sent, 8)}


async def test_leaving_twice_frees_one_place() -> None:
    places = limit(1)
    await places.enter(ticket("a"))
    places.leave("a")
    places.leave("a")
    await places.enter(ticket("b"))
    async with anyio.create_task_group() as group:
        group.start_soon(places.enter, ticket("c"))
        await settle()
        assert [*places.running] == ["b"]
        group.cancel_scope.cancel()


async def test_a_full_limit_admits_again_when_no_more_than_the_low_mark_are_running() -> None:
    places = limit(3, low=1)
    for key in "abc":
        await places.enter(ticket(key))
    async with anyio.create_task_group() as group:
        group.start_soon(places.enter, ticket("d"))
        await settle()
        places.leave("a")
        await settle()
        assert [*places.running] == ["b", "c"]
        places.leave("b")
    assert [*places.running] == ["c", "d"]


def test_the_low_mark_must_be_below_the_limit() -> None:
    with pytest.raises(InvalidArgument, match="low"):
        limit(2, low=2)
