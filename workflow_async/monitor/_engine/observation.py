"""What is known of one watched workflow, and what the result of a check changes about it. Pure."""

from datetime import datetime
from typing import Any, Generic, TypeVar

from attrs import evolve, frozen

from workflow_async._core.call import Replay
from workflow_async._core.retry import retryable
from workflow_async.errors import CallError, ForeignResponse, NotFound
from workflow_async.monitor._engine.backoff import Outage, announced_pause
from workflow_async.monitor._engine.operations import has_operations, operation_changes, operation_states
from workflow_async.monitor.events import Change, PollingFailed, Replaced, Vanished
from workflow_async.phase import Phase, Workflow
from workflow_async.settings import Poll

W = TypeVar("W", bound=Workflow)

GONE_CHECKS = 3
GONE_SECONDS = 120.0
"""A workflow has vanished after 3 checks in a row that were answered 404, over 120 seconds."""
NEVER_INTERVALS = 4
"""A workflow that was never seen has vanished after 3 such checks over 4 intervals: most likely the id is wrong."""
OUTAGE_CHECKS = 3
"""Failed checks in a row before an outage counts, however long no check was made."""

EARLIER_PHASES = {Phase.RUNNING: (Phase.WAITING,), Phase.PARKED: (Phase.WAITING, Phase.RUNNING)}
"""The phases that usually come before a phase."""

Identity = tuple[str | None, ...]
"""What never changes of a workflow, such as its event. None stands for what a record does not say."""


@frozen(kw_only=True)
class Observation(Generic[W]):
    """What is known of one workflow. Instants are seconds of the client's clock."""

    id: int
    since: float
    """When it was first watched."""
    workflow: W | None = None
    """The last record."""
    got_at: float | None = None
    """When the last GET was answered with a record."""
    listed_at: float | None = None
    """When a list last showed a change."""
    changed_at: float | None = None
    unchanged: int = 0
    """Checks in a row that showed no change."""
    changes: int = 0
    misses: int = 0
    """Checks in a row that were answered 404."""
    missing_since: float | None = None
    failing_since: float | None = None
    failures: int = 0
    """Checks in a row that failed otherwise."""
    announced: float = 0.0
    """Seconds of pauses that the server had announced to this client before the first of these failures."""
    foreign: int = 0
    """Responses in a row that the API did not write. Counted until the workflow is seen."""
    foreign_since: float | None = None
    expected: bool = False
    """True if a start was answered with it or this client saw it before, so that it exists or has existed."""
    identity: Identity = ()
    """What is known of what never changes. `()` before the first record."""
    stalled: bool = False
    """True if `Stalled` was emitted for the current step."""
    ending: bool = False
    """True if the last check showed the end, but not all that the last record should hold. The next GET reads that."""
    over: bool = False
    """True if the workflow has an outcome. Later checks change nothing."""


def reset_failures(observation: Observation[W], **changes: Any) -> Observation[W]:
    """Reset the counts of failed checks, and set `changes`."""
    return evolve(
        observation,
        misses=0,
        missing_since=None,
        failing_since=None,
        failures=0,
        foreign=0,
        foreign_since=None,
        **changes,
    )


def apply_record(
    observation: Observation[W],
    workflow: W,
    now: float,
    seen_at: datetime,
    *,
    operations: bool = True,
    identity: Identity = (),
    is_change: bool = False,
) -> tuple[Observation[W], Change[W] | Replaced[W] | None]:
    """Apply a check that succeeded. Return what is known after it, and the event if there is one.

    Args:
        observation: what was known before.
        workflow: the record.
        now: an instant of the client's clock.
        seen_at: the wall clock's time.
        operations: True if a change of an operation is a change of the workflow.
        identity: what the record says of what never changes.
        is_change: True if the record counts as a change even if it equals the known record. It does so for another
            pause after an answered pause.
    """
    if observation.over:
        return observation, None
    if conflicting(observation.identity, identity):
        return _replaced(observation, workflow)
    known, merged_identity = observation.workflow, merged(observation.identity, identity)
    if known is not None and not is_change and same(known, workflow, operations=operations):
        unchanged = observation.unchanged + 1
        return reset_failures(observation, workflow=workflow, unchanged=unchanged, identity=merged_identity), None
    change = Change(
        workflow=workflow,
        was=known.phase if known is not None else None,
        now=workflow.phase,
        seen_at=seen_at,
        operations=operation_changes(known, workflow) if operations else (),
    )
    changed = {"workflow": workflow, "changes": observation.changes + 1, "changed_at": now, "unchanged": 0}
    return reset_failures(
        observation, **changed, stalled=False, identity=merged_identity, over=workflow.phase.final
    ), change


def _replaced(observation: Observation[W], found: W) -> tuple[Observation[W], Replaced[W]]:
    """Return the outcome `Replaced`, and an observation that knows nothing of the old workflow."""
    changes = observation.changes + 1
    outcome = Replaced(id=observation.id, workflow=observation.workflow, found=found)
    forgotten = {"workflow": None, "identity": (), "expected": False, "got_at": None, "listed_at": None}
    fresh = {"changed_at": None, "unchanged": 0, "stalled": False, "ending": False}
    return reset_failures(observation, **forgotten, **fresh, changes=changes, over=True), outcome


def conflicting(known: Identity, found: Identity) -> bool:
    """Return True if two records are of different workflows: both say something, and it differs."""
    return known != found and any(
        a is not None and b is not None and a != b for a, b in zip(known, found, strict=False)
    )


def goes_back(observation: Observation[Any], row: Workflow) -> bool:
    """Return True if the row of a list shows a phase that usually comes before the known phase.

    A resume looks like that, and so does a list that lags or an old page from a cache. Only a GET shows which it is.
    """
    known = observation.workflow
    return known is not None and row.phase in EARLIER_PHASES.get(known.phase, ())


def merged(known: Identity, found: Identity) -> Identity:
    """Complete what is known with what a record adds. What was known first stays."""
    if known == found or not known:
        return found
    return tuple(b if a is None else a for a, b in zip(known, found, strict=False)) or known


def apply_error(
    observation: Observation[W], error: CallError, now: float, poll: Poll, announced: float = 0.0
) -> tuple[Observation[W], Vanished[W] | PollingFailed[W] | None]:
    """Apply a check that failed. Return what is known after it, and the outcome if further checks are useless.

    Args:
        observation: what was known before.
        error: why the check failed.
        now: an instant of an `OutageClock`.
        poll: how often the workflow is checked, and how long an outage may last.
        announced: seconds of pauses that the server has announced to this client so far. Up to a day of them does not
            count as an outage.
    """
    if isinstance(error, NotFound):
        return _not_found(observation, error, now, poll)
    failing = _failing(observation, error, now, announced)
    lost = (
        _outage_too_long(failing, error, now, poll, announced)
        or not is_transient(observation, error)
        or _never_seen(failing, now, poll)
    )
    return failing, PollingFailed(id=observation.id, error=error, workflow=observation.workflow) if lost else None


def _not_found(
    observation: Observation[W], error: NotFound, now: float, poll: Poll
) -> tuple[Observation[W], Vanished[W] | None]:
    since = now if observation.missing_since is None else observation.missing_since
    missing = evolve(reset_failures(observation), misses=observation.misses + 1, missing_since=since)
    seconds = GONE_SECONDS if was_seen(observation) else NEVER_INTERVALS * poll.interval
    gone = missing.misses >= GONE_CHECKS and now - since >= seconds
    return missing, Vanished(id=observation.id, error=error, workflow=observation.workflow) if gone else None


def _failing(observation: Observation[W], error: CallError, now: float, announced: float) -> Observation[W]:
    """Return the observation with one more failed check in a row."""
    first = observation.failing_since is None
    foreign = isinstance(error, ForeignResponse) and not was_seen(observation)
    foreign_since = now if observation.foreign_since is None else observation.foreign_since
    return evolve(
        reset_failures(observation),
        failing_since=now if first else observation.failing_since,
        announced=announced if first else observation.announced,
        failures=observation.failures + 1,
        foreign=observation.foreign + 1 if foreign else 0,
        foreign_since=foreign_since if foreign else None,
    )


def _outage_too_long(observation: Observation[W], error: CallError, now: float, poll: Poll, announced: float) -> bool:
    """Return True if an outage has lasted longer than `poll.outage`. A pause that this error announces is added."""
    if observation.failing_since is None or observation.failures < OUTAGE_CHECKS:
        return False
    lasted = Outage(observation.failing_since, observation.announced).seconds(now, announced)
    return lasted >= poll.outage + announced_pause(error)


def _never_seen(observation: Observation[W], now: float, poll: Poll) -> bool:
    """Return True if a workflow was never seen and only foreign responses came, over 4 intervals."""
    if observation.foreign < GONE_CHECKS or observation.foreign_since is None:
        return False
    return now - observation.foreign_since >= NEVER_INTERVALS * poll.interval


def was_seen(observation: Observation[W]) -> bool:
    """Return True if the workflow was seen, or a start was answered with it."""
    return observation.workflow is not None or observation.expected


def is_transient(observation: Observation[W], error: CallError) -> bool:
    """Return True if another check may succeed. If the workflow was seen before, even a refusal may pass."""
    return was_seen(observation) or retryable(error, Replay.SAFE)


def same(before: Workflow, after: Workflow, *, operations: bool = True) -> bool:
    """Return True if two records show the same state, as far as the later one shows it.

    With `operations`, the states of the operations are compared too.
    """
    if before.state_text != after.state_text:
        return False
    if has_operations(after):
        return not operations or operation_states(after) in {None, operation_states(before)}
    step = after.step
    return step is None or step == before.step
