"""Scans of known calls."""

from collections import deque
from typing import Any

from workflow_async._core.call import Call, Page
from workflow_async._listing.scan import ScanState
from workflow_async._listing.sequence import BatchScan


def scan(calls: int, *, limit: int | None = None, at_once: int = 2) -> BatchScan[int]:
    state: ScanState[int] = ScanState(lambda item: item, limit)
    known: deque[Any] = deque(Call("GET", f"/{n}", lambda _: None) for n in range(calls))
    return BatchScan(known, state, at_once)


def test_no_more_calls_than_allowed_are_in_flight() -> None:
    batches = scan(5)
    assert [call.path for call in batches.next_calls()] == ["/0", "/1"]
    assert batches.next_calls() == []
    assert batches.accept(Page((1, 2))) == (1, 2)
    assert batches.next_calls(pages_in_use=1) == []
    assert [call.path for call in batches.next_calls()] == ["/2"]


def test_the_scan_is_done_after_the_last_result_or_at_the_limit() -> None:
    batches, limited = scan(2), scan(2, limit=1)
    batches.next_calls()
    limited.next_calls()
    assert [batches.accept(Page((1,))), batches.done, batches.accept(Page((1, 2))), batches.done] == [
        (1,),
        False,
        (2,),
        True,
    ]
    assert (limited.accept(Page((1, 2))), limited.done) == ((1,), True)
