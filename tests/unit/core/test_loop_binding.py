"""A client belongs to the event loop and the process that opened it."""

import asyncio

import pytest

from workflow_async._core.loop_binding import LoopBinding
from workflow_async.errors import ClientClosed, WrongEventLoop


async def opened() -> LoopBinding:
    """Return a binding that is open in the running loop."""
    binding = LoopBinding()
    binding.open()
    return binding


def test_opening_needs_a_running_event_loop() -> None:
    with pytest.raises(WrongEventLoop, match="no asyncio event loop is running"):
        LoopBinding().open()


async def test_a_client_that_is_not_open_is_refused() -> None:
    with pytest.raises(ClientClosed):
        LoopBinding().check()


async def test_the_last_of_two_openings_closes() -> None:
    binding = await opened()
    binding.open()
    assert not binding.release()
    binding.check()
    assert binding.release()
    assert binding.closed


async def test_leaving_a_closed_client_does_nothing() -> None:
    assert LoopBinding().release()


async def test_an_open_client_is_refused_in_another_loop() -> None:
    binding = await opened()

    async def elsewhere() -> None:
        binding.check()

    with pytest.raises(WrongEventLoop, match="opened in another event loop"):
        await asyncio.to_thread(asyncio.run, elsewhere())


def test_a_client_whose_loop_is_closed_can_be_opened_again() -> None:
    binding = asyncio.run(opened())

    async def again() -> None:
        binding.open()
        binding.check()

    asyncio.run(again())


async def test_an_open_client_is_refused_in_a_forked_process(monkeypatch: pytest.MonkeyPatch) -> None:
    binding = await opened()
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(WrongEventLoop, match="process"):
        binding.check()
