"""Durations in seconds, as records show them. Pure."""

from datetime import datetime


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from the start to the end. None if one is not known, or the end is before the start."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()
