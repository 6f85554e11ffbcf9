"""Pins the client and the server to a core each, if the system supports it."""

import os

CLIENT, SERVER = 0, 1
"""Their places among the available cores."""


def core(place: int) -> int | None:
    """Return the number of the core at a place, or None if there is none."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return cores[place] if len(cores) > place else None


def pin(number: int | None) -> None:
    """Run this process on a core from now on."""
    if number is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {number})
