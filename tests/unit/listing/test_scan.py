"""What a pass over a list keeps: new rows, the limit, and the errors of a list that makes no progress."""

import pytest

from workflow_async._core.call import Call, Page
from workflow_async._listing.scan import LinkScan, ScanState
from workflow_async.errors import ListingInconsistent


def test_only_selected_rows_count_towards_the_limit() -> None:
    state = ScanState[int](lambda row: row, limit=2, predicate=lambda row: row % 2 == 0)
    assert state.rows_left is None
    assert state.accept([1, 2, 3]) == (2,)
    assert not state.limit_reached
    assert state.accept([3, 4, 4, 6]) == (4,)
    assert state.limit_reached
    assert state.duplicates == 2


def test_of_a_row_that_comes_twice_in_one_page_the_first_is_returned() -> None:
    state = ScanState[tuple[int, str]](lambda row: row[0])
    assert sorted(state.accept([(1, "a"), (2, "b"), (1, "c")])) == [(1, "a"), (2, "b")]
    assert state.duplicates == 1


@pytest.mark.parametrize(("useless", "allowed"), [(2, True), (3, True), (4, False)])
def test_the_number_of_pages_without_new_rows_is_limited(useless: int, allowed: bool) -> None:  # noqa: FBT001 - a column
    state = ScanState[int](lambda row: row)
    state.accept([1])
    for _ in range(useless):
        state.accept([1])
    if allowed:
        state.check_progress(1, 2)
        return
    with pytest.raises(ListingInconsistent, match="no new rows in 4 pages, after 1 rows: the list repeats itself"):
        state.check_progress(1, 2)


def test_a_step_back_counts_as_a_page_without_new_rows() -> None:
    state = ScanState[int](lambda row: row)
    state.steps_back = 2
    with pytest.raises(ListingInconsistent, match="no new rows in 2 pages"):
        state.check_progress(1, 2)


def test_a_link_scan_requests_no_page_while_another_is_read() -> None:
    scan = LinkScan(Call("GET", "/list", lambda _: Page[int](())), ScanState[int](lambda row: row))
    assert [call.path for call in scan.next_calls()] == ["/list"]
    assert scan.next_calls(pages_in_use=1) == ()
