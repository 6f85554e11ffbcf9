"""Client and server each on a core of its own, where the system lets us choose."""

import os

CLIENT, SERVER = 0, 1
"""The places of their cores among those we may use."""


def core(place: int) -> int | None:
    """The number of the core at this place, or None where there is no choice."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return cores[place] if len(cores) > place else None


def pin(number: int | None) -> None:
    """Run on this core from here on."""
    if number is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {number})
