"""Draws the operations of a workflow as bars on a common time axis."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import frozen

FULL_CELL, SHADED_CELL = "\N{FULL BLOCK}", "\N{MEDIUM SHADE}"
MINUTE = 60
TENTHS_BELOW = 10
"""Durations of fewer seconds are shown with tenths."""


@frozen
class Span:
    """A part of a workflow, with the time of its start, and of its end if it has ended."""

    name: str
    state: str
    start: datetime | None = None
    end: datetime | None = None
    done: bool = True


@frozen
class Bar:
    """A span as cells: first blank ones, then filled ones."""

    span: Span
    blank: int
    filled: int
    duration: timedelta | None
    """None if the span has not started, or its end is before its start. A retry overwrites only the start."""

    def draw(self) -> str:
        """Return the cells. They are shaded if the span has not ended."""
        return " " * self.blank + (FULL_CELL if self.span.done else SHADED_CELL) * self.filled


def bars(spans: Sequence[Span], width: int, now: datetime) -> list[Bar]:
    """Return a bar for each span.

    The time axis goes from the first start to the last end, or to `now` if a span has not ended.
    """
    started = [(span.start, _end(span, now)) for span in spans if span.start is not None]
    if not started:
        return [Bar(span, 0, 0, None) for span in spans]
    first, last = min(start for start, _ in started), max(max(stretch) for stretch in started)
    return [_bar(span, first, last - first, width, now) for span in spans]


def total_duration(spans: Sequence[Span], now: datetime) -> timedelta | None:
    """Return the time from the first start to the last end. None if no span has started."""
    started = [(span.start, _end(span, now)) for span in spans if span.start is not None]
    return max(max(pair) for pair in started) - min(start for start, _ in started) if started else None


def format_duration(duration: timedelta | None) -> str:
    """Return a duration as text, such as 0.4 s, 12 s, 3:07 or 2:03:07."""
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    if seconds < MINUTE:
        return f"{seconds:.1f} s" if seconds < TENTHS_BELOW else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), MINUTE)
    hours, minutes = divmod(minutes, MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_instant(instant: datetime | None) -> str:
    """Return an instant as text, in this machine's time zone."""
    return instant.astimezone().strftime("%Y-%m-%d %H:%M:%S") if instant is not None else ""


def _end(span: Span, now: datetime) -> datetime:
    start = span.start or now
    if span.end is not None:
        return span.end
    return start if span.done else max(start, now)


def _bar(span: Span, first: datetime, total: timedelta, width: int, now: datetime) -> Bar:
    if span.start is None:
        return Bar(span, 0, 0, None)
    end = _end(span, now)
    blank = min(width - 1, _cells(span.start - first, total, width))
    filled = max(1, _cells(end - first, total, width) - blank)
    known = end >= span.start and (span.end is not None or not span.done)
    return Bar(span, blank, min(filled, width - blank), end - span.start if known else None)


def _cells(part: timedelta, total: timedelta, width: int) -> int:
    return round(part / total * width) if total else 0
