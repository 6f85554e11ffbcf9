"""What every part of the tests may ask for."""

from collections.abc import Callable, Iterable

import anyio.lowlevel
import coverage
import pytest
from attrs import define, field
from hypothesis import settings

from tests.support.proofs import FIGURE, ROW, SEEN, tables
from workflow_async import Clock

See = Callable[[object], None]

settings.register_profile("untimed", settings.default, deadline=None)  # machines are busy
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Ask a part of the tests for no coverage: only the whole can have it; and count lines once."""
    chosen = config.getoption("markexpr") != "not peer and not soak" or config.getoption("keyword")
    counting = config.pluginmanager.getplugin("_cov")
    if chosen and counting is not None:
        counting.options.cov_fail_under = 0
        counting.options.cov_report = {}
    started = coverage.Coverage.current()
    if hasattr(config, "workerinput") and started is not None:
        started.stop()  # pytest-cov starts another in a worker, and when that pauses this one would go on


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Note which row of the fault matrix, or which promised figure, a test proves; and let sweeps run uncounted."""
    for item in items:
        for name in (ROW, FIGURE):
            for marker in item.iter_markers(name):
                item.user_properties.append((name, marker.args[0]))
                item.add_marker(pytest.mark.matrix)
        many = item.get_closest_marker("matrix") or item.get_closest_marker("sweep")
        if many and not config.getoption("no_cov"):
            item.add_marker(pytest.mark.no_cover)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was proved."""
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and (report.when == "call" or report.outcome != "passed")
    ]
    if lines := list(tables(reports)):
        terminalreporter.section("proved")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def see(record_property: Callable[[str, object], None]) -> See:
    """Note what a test saw, for the table: `see("4 attempts, ConnectFailed")`."""
    return lambda seen: record_property(SEEN, str(seen))


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
