"""A task waits for an event or an instant, whichever comes first."""

import math

import anyio

from tests.support import virtual_time as virtual
from tests.support.monitored_system import new_system
from workflow_async.distributed.wakeup import Wakeup


def test_a_wait_ends_at_its_instant() -> None:
    async def main() -> None:
        wakeup = Wakeup(new_system("11").clock)
        await wakeup.wait(5.0)
        assert anyio.current_time() == 5.0
        await wakeup.wait(3.0)
        assert anyio.current_time() == 5.0

    virtual.run(main())


def test_a_wait_ends_when_it_is_woken() -> None:
    async def main() -> None:
        wakeup = Wakeup(new_system("11").clock)
        async with anyio.create_task_group() as group:
            group.start_soon(wakeup.wait, 50.0)
            await anyio.sleep(2)
            wakeup.set()
        assert anyio.current_time() == 2.0

    virtual.run(main())


def test_a_task_that_is_woken_before_its_wait_does_not_wait() -> None:
    async def main() -> None:
        wakeup = Wakeup(new_system("11").clock)
        wakeup.set()
        await wakeup.wait(50.0)
        wakeup.set()
        await wakeup.wait(math.inf)
        assert anyio.current_time() == 0.0
        await wakeup.wait(1.0)
        assert anyio.current_time() == 1.0

    virtual.run(main())
