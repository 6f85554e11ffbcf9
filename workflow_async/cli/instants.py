"""Reads instants from options: a date, a time, or an age such as 2h. Pure, except for the clock."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
"""The unit that each letter of an age stands for."""


def read_instant(text: str) -> datetime:
    """Return the instant that a text names, in UTC if it names no zone. An age counts back from now."""
    age = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    if age is not None:
        return datetime.now(UTC) - timedelta(**{UNITS[age[2]]: int(age[1])})
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a time, such as 2026-03-04T12:00, nor an age, such as 30m, 2h or 7d"
        ) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def instant_option(**settings: Any) -> Any:
    """Return a typer option whose value is an instant."""
    return typer.Option(metavar="TIME|AGE", parser=read_instant, **settings)
