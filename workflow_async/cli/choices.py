"""Options whose values come from a table."""

from collections.abc import Iterable
from typing import Any

import typer


def choice_option(*names: str, choices: Iterable[str], **settings: Any) -> Any:
    """Return a typer option that accepts only the given values. Without choices, it accepts any text."""
    allowed = tuple(choices)

    def check(value: str | None) -> str | None:
        if allowed and value is not None and value not in allowed:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(map(repr, allowed))}.")
        return value

    def complete(incomplete: str) -> list[str]:
        return [value for value in allowed if value.startswith(incomplete)]

    metavar = f"<{'|'.join(allowed)}>" if allowed else None
    return typer.Option(*names, metavar=metavar, callback=check, autocompletion=complete, **settings)
