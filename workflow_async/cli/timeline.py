"""Draws the operations of a workflow as bars on a common time axis."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import frozen

FULL_CELL, SHADED_CELL, QUEUE_CELL = "\N{FULL BLOCK}", "\N{MEDIUM SHADE}", "\N{LIGHT SHADE}"
CLOCK_TIME = "%H:%M:%S"
MIDDLE_FROM = 36
"""The width in cells from which an axis also names the time in its middle."""
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
    queued: timedelta | None = None
    """The time in the queue, which ends at the start. None if not known."""
    reason: str = ""
    """Why it has failed. "" if it has not."""

    @property
    def queued_at(self) -> datetime | None:
        """When it entered the queue, or its start if that is not known. None if it has not started."""
        return self.start - (self.queued or timedelta()) if self.start is not None else None


@frozen
class Bar:
    """A span as cells: first blank ones, then those of the queue, then filled ones."""

    span: Span
    blank: int
    filled: int
    duration: timedelta | None
    """None if the span has not started, or its end is before its start. A retry overwrites only the start."""
    waiting: int = 0
    """The cells of the time in the queue."""

    def draw(self) -> str:
        """Return the cells. They are shaded if the span has not ended, and lightly for the time in the queue."""
        filled = (FULL_CELL if self.span.done else SHADED_CELL) * self.filled
        return " " * self.blank + QUEUE_CELL * self.waiting + filled


def bars(spans: Sequence[Span], width: int, now: datetime) -> list[Bar]:
    """Return a bar for each span.

    The time axis goes from the first start, or the queue before it, to the last end, or to `now` if a span has not
    ended.
    """
    first, last = time_axis(spans, now)
    return [_bar(span, first, last - first, width, now) for span in spans]


def time_axis(spans: Sequence[Span], now: datetime) -> tuple[datetime, datetime]:
    """Return the first and the last instant of the time axis. Both are `now` if no span has started."""
    begun = [span.queued_at for span in spans if span.queued_at is not None]
    ends = [max(span.start, _end(span, now)) for span in spans if span.start is not None]
    return min(begun, default=now), max(ends, default=now)


def axis_text(first: datetime, last: datetime, width: int) -> str:
    """Return the clock times of an axis at its begin, its end, and its middle if there is room."""
    begin, middle, end = (
        instant.astimezone().strftime(CLOCK_TIME) for instant in (first, first + (last - first) / 2, last)
    )
    if width < 2 * len(begin) + 1:
        return begin
    between = f"{middle:^{width - 2 * len(begin)}}" if width >= MIDDLE_FROM else " " * (width - 2 * len(begin))
    return f"{begin}{between}{end}"


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


def format_seconds(seconds: float | None) -> str:
    """Return a number of seconds as text, as `format_duration` does. "" for None."""
    return "" if seconds is None else format_duration(timedelta(seconds=seconds))


def format_instant(instant: datetime | None) -> str:
    """Return an instant as text, in this machine's time zone."""
    return instant.astimezone().strftime("%Y-%m-%d %H:%M:%S") if instant is not None else ""


def _end(span: Span, now: datetime) -> datetime:
    start = span.start or now
    if span.end is not None:
        return span.end
    return start if span.done else max(start, now)


def _bar(span: Span, first: datetime, total: timedelta, width: int, now: datetime) -> Bar:
    if span.start is None or span.queued_at is None:
        return Bar(span, 0, 0, None)
    end = _end(span, now)
    begin = min(width - 1, _cells(span.start - first, total, width))
    blank = min(begin, _cells(span.queued_at - first, total, width))
    filled = max(1, _cells(end - first, total, width) - begin)
    known = end >= span.start and (span.end is not None or not span.done)
    return Bar(span, blank, min(filled, width - begin), end - span.start if known else None, begin - blank)


def _cells(part: timedelta, total: timedelta, width: int) -> int:
    return round(part / total * width) if total else 0
