from datetime import UTC, datetime, timedelta

import pytest

from workflow_async.cli.timeline import Bar, Span, bars, format_duration, total_duration

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def cells(*spans: Span, now: float = 100, width: int = 10) -> list[str]:
    return [bar.draw() for bar in bars(spans, width, at(now))]


def durations(*spans: Span, now: float = 100) -> list[float | None]:
    took = (bar.duration for bar in bars(spans, 10, at(now)))
    return [None if time is None else time.total_seconds() for time in took]


def test_consecutive_spans_are_consecutive_bars() -> None:
    inspect, encode = Span("inspect", "succeeded", at(0), at(20)), Span("encode", "succeeded", at(20), at(100))
    assert cells(inspect, encode) == ["██", "  ████████"]
    assert durations(inspect, encode) == [20, 80]


def test_a_running_span_is_shaded_up_to_now() -> None:
    assert cells(Span("encode", "running", at(0), done=False), now=7) == ["▒" * 10]
    assert durations(Span("encode", "running", at(0), done=False), now=7) == [7]


def test_a_span_that_has_not_started_has_no_bar() -> None:
    begun, waiting = Span("encode", "succeeded", at(0), at(10)), Span("archive", "instantiated")
    assert cells(begun, waiting) == ["█" * 10, ""]
    assert durations(begun, waiting) == [10, None]


def test_a_workflow_that_has_not_started_has_no_bars() -> None:
    assert bars([Span("encode", "instantiated")], 10, NOON) == [Bar(Span("encode", "instantiated"), 0, 0, None)]
    assert bars([], 10, NOON) == []


def test_the_shortest_bar_is_one_cell_within_the_width() -> None:
    long, short = Span("encode", "succeeded", at(0), at(1000)), Span("cleanup", "succeeded", at(1000), at(1000))
    assert cells(long, short) == ["█" * 10, " " * 9 + "█"]


def test_a_span_of_no_time_is_one_cell() -> None:
    assert cells(Span("noop", "succeeded", at(5), at(5))) == ["█"]


def test_a_span_that_ends_before_its_start_has_no_duration() -> None:
    first, retried = Span("inspect", "succeeded", at(0), at(10)), Span("encode", "failed", at(30), at(20))
    assert durations(first, retried) == [10, None]
    assert all(len(cells) <= 10 for cells in cells(first, retried))


def test_an_ended_span_without_an_end_has_no_duration() -> None:
    assert durations(Span("skip", "skipped", at(0))) == [None]


def test_a_span_that_starts_after_now_has_a_duration_of_0() -> None:
    assert durations(Span("encode", "running", at(10), done=False), now=0) == [0]


def test_the_total_is_from_the_first_start_to_the_last_end() -> None:
    spans = [Span("b", "", at(30), at(50)), Span("a", "", at(0), at(10)), Span("c", "")]
    assert total_duration(spans, NOON) == timedelta(seconds=50)
    assert total_duration([Span("c", "")], NOON) is None


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0.0 s"), (0.44, "0.4 s"), (12.4, "12 s"), (187, "3:07"), (3600, "1:00:00"), (7387.2, "2:03:07")],
)
def test_a_duration_is_formatted_by_its_length(seconds: float, expected: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == expected


def test_no_duration_is_an_empty_text() -> None:
    assert format_duration(None) == ""
