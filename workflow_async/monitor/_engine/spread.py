"""Spreads checks evenly over an interval. Pure."""

from collections.abc import Collection, Iterable

GOLDEN_RATIO = 0.618033988749895
"""Its multiples modulo 1 form a low-discrepancy sequence, used instead of random jitter."""


def spread(ids: Collection[int], jitter: float) -> Iterable[tuple[int, float]]:
    """Yield each id with its place in the interval, from 0 to 1.

    The places are even, and vary by `jitter` like the delays that follow. Without that, the rounds would overlap.
    """
    for position, id in enumerate(ids):
        yield id, position / len(ids) * (1 + jitter * (2 * (position * GOLDEN_RATIO % 1) - 1))
