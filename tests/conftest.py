"""Fixtures and hooks for all tests."""

from collections.abc import Callable, Iterable, Iterator

import anyio.lowlevel
import coverage
import pytest
from attrs import define, field
from hypothesis import settings

from tests.support.nats_server import NatsServer, running_nats_server
from tests.support.proofs import FIGURE, ROW, SEEN, proof_tables
from workflow_async import Clock
from workflow_async.sandbox import ManualClock

See = Callable[[object], None]

settings.register_profile("untimed", settings.default, deadline=None)  # test machines may be slow
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Stop the coverage that a worker starts on import: pytest-cov starts another, and lines must be counted once."""
    started = coverage.Coverage.current()
    if hasattr(config, "workerinput") and started is not None:
        started.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Record which row of the fault matrix or which figure a test proves. Exclude sweeps from coverage."""
    for item in items:
        for name in (ROW, FIGURE):
            for marker in item.iter_markers(name):
                item.user_properties.append((name, marker.args[0]))
                item.add_marker(pytest.mark.matrix)
        if item.get_closest_marker("matrix") and config.getoption("cov_source", None):
            item.add_marker(pytest.mark.no_cover)  # counting its lines would take twice as long


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables of what was proved."""
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and (report.when == "call" or report.outcome != "passed")
    ]
    if lines := list(proof_tables(reports)):
        terminalreporter.section("proved")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def see(record_property: Callable[[str, object], None]) -> See:
    """Record an observation for the table: `see("4 attempts, ConnectFailed")`."""
    return lambda seen: record_property(SEEN, str(seen))


@define
class FakeTime:
    """A time that passes only during `sleep`."""

    now: float = 1000.0
    jitter: float = 0.5
    naps: list[float] = field(factory=list)

    async def sleep(self, seconds: float) -> None:
        """Advance the time and let the other tasks run."""
        self.naps.append(seconds)
        self.now += seconds
        await anyio.lowlevel.checkpoint()

    @property
    def clock(self) -> Clock:
        """A client's clock that shows this time."""
        return Clock(now=lambda: self.now, sleep=self.sleep, jitter=lambda: self.jitter)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def time() -> ManualClock:
    """Return the time of a sandbox, which passes when a client sleeps or a test advances it."""
    return ManualClock()


@pytest.fixture
def clock(time: ManualClock) -> Clock:
    """Return a client's clock whose sleep advances the sandbox's time."""

    async def sleep(seconds: float) -> None:
        time.advance(seconds)
        await anyio.lowlevel.checkpoint()

    return Clock(now=time, sleep=sleep, jitter=lambda: 0.5, wall=time)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """Run a NATS server for all tests of a process. Tests use names of their own for buckets and streams.

    A test that kills the server runs one of its own.
    """
    with running_nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server
