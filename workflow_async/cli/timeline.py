"""The operations of a workflow as bars on its span of time. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import frozen

FULL, OPEN = "\N{FULL BLOCK}", "\N{MEDIUM SHADE}"
MINUTE = 60
FINE = 10
"""Seconds below which tenths matter."""


@frozen
class Span:
    """Something that took time: when it began, and when it ended if it has."""

    name: str
    state: str
    start: datetime | None = None
    end: datetime | None = None
    over: bool = True


@frozen
class Bar:
    """A span as a stretch of cells: so many blank, then so many filled."""

    span: Span
    blank: int
    filled: int
    lasted: timedelta | None
    """None for what has not begun, or whose times contradict each other (a retry overwrites the start only)."""

    def draw(self) -> str:
        """The cells; shaded while it goes on."""
        return " " * self.blank + (FULL if self.span.over else OPEN) * self.filled


def bars(spans: Sequence[Span], width: int, now: datetime) -> list[Bar]:
    """Every span on the stretch from the first start to the last end, or to now while one goes on."""
    begun = [(span.start, _end(span, now)) for span in spans if span.start is not None]
    if not begun:
        return [Bar(span, 0, 0, None) for span in spans]
    first, last = min(start for start, _ in begun), max(max(stretch) for stretch in begun)
    return [_bar(span, first, last - first, width, now) for span in spans]


def stretch(spans: Sequence[Span], now: datetime) -> timedelta | None:
    """How long the whole took so far; None if nothing of it has begun."""
    begun = [(span.start, _end(span, now)) for span in spans if span.start is not None]
    return max(max(pair) for pair in begun) - min(start for start, _ in begun) if begun else None


def words(lasted: timedelta | None) -> str:
    """A duration for people, such as 0.4 s, 12 s, 3:07 or 2:03:07."""
    if lasted is None:
        return ""
    seconds = lasted.total_seconds()
    if seconds < MINUTE:
        return f"{seconds:.1f} s" if seconds < FINE else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), MINUTE)
    hours, minutes = divmod(minutes, MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clock(moment: datetime | None) -> str:
    """An instant for people, in the time of this machine."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment is not None else ""


def _end(span: Span, now: datetime) -> datetime:
    start = span.start or now
    if span.end is not None:
        return span.end
    return start if span.over else max(start, now)


def _bar(span: Span, first: datetime, whole: timedelta, width: int, now: datetime) -> Bar:
    if span.start is None:
        return Bar(span, 0, 0, None)
    end = _end(span, now)
    blank = min(width - 1, _cells(span.start - first, whole, width))
    filled = max(1, _cells(end - first, whole, width) - blank)
    known = end >= span.start and (span.end is not None or not span.over)
    return Bar(span, blank, min(filled, width - blank), end - span.start if known else None)


def _cells(part: timedelta, whole: timedelta, width: int) -> int:
    return round(part / whole * width) if whole else 0
