"""Checks of a server: what a system supplies for the command `check`."""

from collections.abc import Awaitable, Callable

from attrs import frozen


@frozen
class Check:
    """A check: its name, and the function that returns what it has found. It raises an error if the check fails."""

    name: str
    run: Callable[[], Awaitable[str]]
