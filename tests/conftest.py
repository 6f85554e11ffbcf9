"""What every part of the tests may ask for."""

import anyio.lowlevel
import pytest
from attrs import define, field

from workflow_async import Clock


@define
class FakeTime:
    """Time that passes when somebody sleeps, and only then."""

    now: float = 1000.0
    jitter: float = 0.5
    naps: list[float] = field(factory=list)

    async def sleep(self, seconds: float) -> None:
        """Pass the time, and let the other tasks run."""
        self.naps.append(seconds)
        self.now += seconds
        await anyio.lowlevel.checkpoint()

    @property
    def clock(self) -> Clock:
        """This time, as clients take it."""
        return Clock(now=lambda: self.now, sleep=self.sleep, jitter=lambda: self.jitter)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()
