"""What is known of one watched workflow, and what a check makes of it. Pure."""

from datetime import datetime
from typing import Any, Generic, TypeVar

from attrs import evolve, frozen

from workflow_async._core.call import Replay
from workflow_async._core.retry import retryable
from workflow_async.errors import CallError, ForeignResponse, NotFound
from workflow_async.monitor._engine.backoff import Outage, announced_pause
from workflow_async.monitor._engine.operations import has_operations, operation_changes, operation_states
from workflow_async.monitor.events import Change, PollingFailed, Replaced, Vanished
from workflow_async.phase import Workflow
from workflow_async.settings import Poll

W = TypeVar("W", bound=Workflow)

GONE_CHECKS = 3
GONE_SECONDS = 120.0
"""A workflow has vanished after so many 404s in a row, over so many seconds, and nothing else between them."""
NEVER_INTERVALS = 4
"""For one that was never seen, over so many intervals of its pace: most likely the id or the base URL is wrong."""
OUTAGE_CHECKS = 3
"""Failed looks in a row before an outage counts as one, however long there was no look."""

Identity = tuple[str | None, ...]
"""What never changes of a workflow, such as its event. None stands for what a record does not say."""


@frozen(kw_only=True)
class Observation(Generic[W]):
    """What is known of one workflow; instants are seconds of the client's clock."""

    id: int
    since: float
    """When it was first watched."""
    workflow: W | None = None
    got_at: float | None = None
    """When it was last got by its id."""
    listed_at: float | None = None
    """When a list last showed something new of it."""
    changed_at: float | None = None
    unchanged: int = 0
    """Looks in a row that showed nothing new."""
    changes: int = 0
    misses: int = 0
    """404s in a row."""
    missing_since: float | None = None
    failing_since: float | None = None
    failures: int = 0
    """Failed looks in a row, 404s aside."""
    announced: float = 0.0
    """Seconds of pauses that the server had announced to this client before the first of these failures."""
    foreign: int = 0
    """Responses in a row that the API did not write. Counted until the workflow is seen."""
    foreign_since: float | None = None
    expected: bool = False
    """True if a start was answered with it or this client saw it before: it exists, or has existed."""
    identity: Identity = ()
    """What is known of what never changes. `()` before the first record."""
    stalled: bool = False
    ending: bool = False
    """A look showed its end without all that its record should hold: the next one gets that."""
    over: bool = False
    """It has ended, and everyone was told: nothing that a look may say later counts."""


def reset_failures(sight: Observation[W], **news: Any) -> Observation[W]:
    """Reset what failed checks have counted, and set `news`."""
    return evolve(
        sight, misses=0, missing_since=None, failing_since=None, failures=0, foreign=0, foreign_since=None, **news
    )


def apply_record(
    sight: Observation[W],
    workflow: W,
    now: float,
    seen_at: datetime,
    *,
    operations: bool = True,
    identity: Identity = (),
    anew: bool = False,
) -> tuple[Observation[W], Change[W] | Replaced[W] | None]:
    """Take a check that succeeded. Return what is known after it, and the event if something is new.

    `operations` compares them too. `identity` is what the record says of what never changes. With `anew` the record
    counts as a change even if it looks the same: another pause after an answered pause.
    """
    if sight.over:
        return sight, None
    if conflicting(sight.identity, identity):
        return _replaced(sight, workflow)
    known = merged(sight.identity, identity)
    if sight.workflow is not None and not anew and same(sight.workflow, workflow, operations=operations):
        return reset_failures(sight, workflow=workflow, unchanged=sight.unchanged + 1, identity=known), None
    change = Change(
        workflow=workflow,
        was=sight.workflow.phase if sight.workflow is not None else None,
        now=workflow.phase,
        seen_at=seen_at,
        operations=operation_changes(sight.workflow, workflow) if operations else (),
    )
    fresh = {"workflow": workflow, "changes": sight.changes + 1, "changed_at": now, "unchanged": 0, "stalled": False}
    return reset_failures(sight, **fresh, identity=known, over=workflow.phase.final), change


def _replaced(sight: Observation[W], found: W) -> tuple[Observation[W], Replaced[W]]:
    """End with `Replaced`. What is left knows nothing of the old workflow, so a new watch begins with the new one."""
    changes = sight.changes + 1
    outcome = Replaced(id=sight.id, workflow=sight.workflow, found=found)
    forgotten = {"workflow": None, "identity": (), "expected": False, "got_at": None, "listed_at": None}
    fresh = {"changed_at": None, "unchanged": 0, "stalled": False, "ending": False}
    return reset_failures(sight, **forgotten, **fresh, changes=changes, over=True), outcome


def conflicting(known: Identity, found: Identity) -> bool:
    """True if two records are of different workflows: both say something, and not the same."""
    return known != found and any(
        a is not None and b is not None and a != b for a, b in zip(known, found, strict=False)
    )


def merged(known: Identity, found: Identity) -> Identity:
    """Complete what is known with what a record adds. What was known first stays."""
    if known == found or not known:
        return found
    return tuple(b if a is None else a for a, b in zip(known, found, strict=False)) or known


def apply_error(
    sight: Observation[W], error: CallError, now: float, poll: Poll, announced: float = 0.0
) -> tuple[Observation[W], Vanished[W] | PollingFailed[W] | None]:
    """Take a check that failed. Return what is known after it, and the outcome if there is no use in going on.

    `now` is an instant of a clock that does not leap. `announced` counts the seconds of pauses that the server has
    announced to this client so far: they do not count as an outage, up to a day of them.
    """
    if isinstance(error, NotFound):
        return _not_found(sight, error, now, poll)
    failing = _failing(sight, error, now, announced)
    lost = (
        _lasting(failing, error, now, poll, announced)
        or not is_transient(sight, error)
        or _never_seen(failing, now, poll)
    )
    return failing, PollingFailed(id=sight.id, error=error, workflow=sight.workflow) if lost else None


def _not_found(
    sight: Observation[W], error: NotFound, now: float, poll: Poll
) -> tuple[Observation[W], Vanished[W] | None]:
    since = now if sight.missing_since is None else sight.missing_since
    missing = evolve(reset_failures(sight), misses=sight.misses + 1, missing_since=since)
    enough = GONE_SECONDS if was_seen(sight) else NEVER_INTERVALS * poll.interval
    gone = missing.misses >= GONE_CHECKS and now - since >= enough
    return missing, Vanished(id=sight.id, error=error, workflow=sight.workflow) if gone else None


def _failing(sight: Observation[W], error: CallError, now: float, announced: float) -> Observation[W]:
    """The same with one more failed check in the row."""
    first = sight.failing_since is None
    foreign = isinstance(error, ForeignResponse) and not was_seen(sight)
    return evolve(
        reset_failures(sight),
        failing_since=now if first else sight.failing_since,
        announced=announced if first else sight.announced,
        failures=sight.failures + 1,
        foreign=sight.foreign + 1 if foreign else 0,
        foreign_since=(now if sight.foreign_since is None else sight.foreign_since) if foreign else None,
    )


def _lasting(sight: Observation[W], error: CallError, now: float, poll: Poll, announced: float) -> bool:
    """True if the outage is longer than is endured. What the server announces now has to pass first."""
    if sight.failing_since is None or sight.failures < OUTAGE_CHECKS:
        return False
    lasted = Outage(sight.failing_since, sight.announced).seconds(now, announced)
    return lasted >= poll.outage + announced_pause(error)


def _never_seen(sight: Observation[W], now: float, poll: Poll) -> bool:
    """True if a workflow that was never seen has met nothing but foreign responses for long enough."""
    if sight.foreign < GONE_CHECKS or sight.foreign_since is None:
        return False
    return now - sight.foreign_since >= NEVER_INTERVALS * poll.interval


def was_seen(sight: Observation[W]) -> bool:
    """True if the workflow was seen, or a start was answered with it."""
    return sight.workflow is not None or sight.expected


def is_transient(sight: Observation[W], error: CallError) -> bool:
    """True if there is use in another check. A refusal may pass too if the workflow was seen before."""
    return was_seen(sight) or retryable(error, Replay.SAFE)


def same(before: Workflow, after: Workflow, *, operations: bool = True) -> bool:
    """Whether two looks at a workflow show the same, as far as the later one tells; `operations` count where wanted."""
    if before.state_text != after.state_text:
        return False
    if has_operations(after):
        return not operations or operation_states(after) in {None, operation_states(before)}
    step = after.step
    return step is None or step == before.step
