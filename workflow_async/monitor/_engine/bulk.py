"""Decides which workflows a bulk check may stand for. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from workflow_async.monitor._engine.observation import Observation
from workflow_async.phase import Phase

BULK_SIZE = 50
"""Workflows of one bulk check. More would not fit into a URL."""
MIN_BULK = 3
"""The smallest bulk check. A smaller one saves no request, because GETs may have to follow it."""
BULK_EARLY = 0.25
"""Share of an interval by which a check may be early to join a bulk check."""
GET_EVERY = 10
"""Every 10th check is a GET even if bulk checks show no change: the server's index has been wrong before."""
BULK_PHASES = frozenset({Phase.WAITING, Phase.RUNNING})


def fits_bulk_check(observation: Observation[Any]) -> bool:
    """Return True if a bulk check can show whether a workflow has changed."""
    workflow = observation.workflow
    if workflow is None or workflow.phase not in BULK_PHASES or observation.misses:
        return False
    return (observation.unchanged + 1) % GET_EVERY != 0


def bulk_checks(ids: Sequence[int]) -> Iterable[tuple[int, ...]]:
    """Return the ids in groups of one bulk check each."""
    return (tuple(ids[at : at + BULK_SIZE]) for at in range(0, len(ids), BULK_SIZE))
