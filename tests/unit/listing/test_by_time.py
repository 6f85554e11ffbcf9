"""Time windows: how they are halved, and when a result is complete."""

import pytest

from workflow_async._core.call import Call, Page
from workflow_async._listing.by_time import SHORT_WINDOW, TimeWindowScan, Window, is_complete
from workflow_async._listing.scan import ScanState


def test_the_halves_of_a_window_share_an_instant() -> None:
    assert Window(0, 10).halves() == (Window(0, 5), Window(5, 10))


@pytest.mark.parametrize("window", [Window(3, 3), Window(3, 4)])
def test_a_window_of_two_instants_cannot_be_halved(window: Window) -> None:
    assert window.halves() == ()


@pytest.mark.parametrize(
    ("requested", "count", "total", "longest", "expected"),
    [
        (10, 10, 10, 10, True),
        (10, 10, 11, 10, False),
        (10, 3, 11, 10, False),
        (10, 0, 0, 0, True),
        (10, 10, None, 10, False),
        (10, 12, None, 10, False),
        (10, 0, None, 0, True),
        (10, 3, None, 4, True),
        (10, 3, None, 3, None),
    ],
)
def test_a_result_is_complete_by_its_total_or_by_its_length(
    requested: int,
    count: int,
    total: int | None,
    longest: int,
    expected: bool | None,  # noqa: FBT001 - a column
) -> None:
    assert is_complete(requested=requested, count=count, total=total, longest=longest) is expected


class _Requests:
    """Records the windows, offsets and sizes that a scan requests."""

    def __init__(self, period: Window, *, bounded: bool = True) -> None:
        self.requests: list[tuple[Window | None, int, int]] = []
        self.scan = TimeWindowScan(self.call, ScanState[int](lambda row: row), 2, 4, period, bounded)

    def call(self, window: Window | None, offset: int, rows: int) -> Call[Page[int]]:
        self.requests.append((window, offset, rows))
        return Call("GET", "/", lambda _: Page(()))

    def next_after(self, *pages: Page[int]) -> list[tuple[Window | None, int, int]]:
        """Return the requests that follow these results."""
        for page in pages:
            self.scan.accept(page)
        self.requests.clear()
        self.scan.next_calls()
        return self.requests


PERIOD = Window(0, 4 * SHORT_WINDOW)


def test_a_list_without_bounds_is_requested_as_a_whole_first_and_then_as_the_period() -> None:
    requests = _Requests(PERIOD, bounded=False)
    assert requests.next_after() == [(None, 0, 2)]
    assert requests.next_after(Page((1, 2), total=3)) == [(PERIOD, 0, 2)]


def test_a_long_window_with_more_rows_is_halved() -> None:
    requests = _Requests(PERIOD)
    requests.next_after()
    first, second = PERIOD.halves()
    assert requests.next_after(Page((1, 2), total=3)) == [(first, 0, 2), (second, 0, 2)]


def test_a_short_window_is_requested_again_with_twice_the_rows() -> None:
    window = Window(0, SHORT_WINDOW)
    requests = _Requests(window)
    requests.next_after()
    assert requests.next_after(Page((1, 2), total=3)) == [(window, 0, 4)]


def test_without_a_total_a_second_result_confirms_that_a_short_one_was_complete() -> None:
    requests = _Requests(PERIOD)
    requests.next_after()
    assert requests.next_after(Page((1,))) == [(PERIOD, 0, 2)]
    assert requests.next_after(Page((1,))) == []
    assert requests.scan.done
