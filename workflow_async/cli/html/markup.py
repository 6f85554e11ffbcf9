"""Makes texts safe for HTML, and writes times and durations. Pure."""

import html
from datetime import UTC, datetime

from workflow_async.cli.exit_codes import printable_text

MAX_TEXT = 240
"""Characters of a message in the page. Longer ones are cut."""
MINUTE, HOUR = 60, 3600
DAY_STEP = 4 * HOUR
"""Steps of this many seconds need the day."""


def safe(text: object) -> str:
    """Return a text as HTML, without control characters."""
    return html.escape(printable_text(str(text)))


def shortened(text: str, most: int = MAX_TEXT) -> str:
    """Return a text as HTML, cut at `most` characters."""
    return safe(text if len(text) <= most else f"{text[: most - 1]}…")


def step_text(seconds: int) -> str:
    """Return a round number of seconds as text, such as `5 s`, `minute` or `2 hours`."""
    if seconds < MINUTE:
        return f"{seconds} s"
    count, noun = (seconds // HOUR, "hour") if seconds >= HOUR else (seconds // MINUTE, "minute")
    return noun if count == 1 else plural(count, noun)


def clock_text(moment: datetime, step: int) -> str:
    """Return a time in UTC, as exact as steps of this many seconds need."""
    form = "%H:%M:%S" if step < MINUTE else "%H:%M" if step < DAY_STEP else "%d %b %H:%M"
    return moment.astimezone(UTC).strftime(form)


def full_time(moment: datetime) -> str:
    """Return a day and a time in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, such as `1 start` or `2,000 starts`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
