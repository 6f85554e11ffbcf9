"""What is known of one watched workflow, and what a look makes of it. Pure."""

from datetime import datetime
from typing import Any, Generic, TypeVar

from attrs import evolve, frozen

from workflow_async._call import Replay
from workflow_async._retry import retryable
from workflow_async.errors import CallError, NotFound, Unauthorized
from workflow_async.monitor.outcomes import Change, OperationChange, Unobserved, Vanished
from workflow_async.phase import Workflow
from workflow_async.settings import Poll

W = TypeVar("W", bound=Workflow)

GONE_LOOKS = 3
GONE_SECONDS = 120.0
"""A workflow has vanished after so many 404s in a row, over so many seconds, and nothing else between them."""
NEVER_INTERVALS = 4
"""For one that was never seen, over so many intervals of its pace: most likely the id is wrong."""
OUTAGE_LOOKS = 3
"""Failed looks in a row before an outage counts as one, however long there was no look."""


@frozen(kw_only=True)
class Sight(Generic[W]):
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
    stalled: bool = False
    ending: bool = False
    """A look showed its end without all that its record should hold: the next one gets that."""
    over: bool = False
    """It has ended, and everyone was told: nothing that a look may say later counts."""


def unharmed(sight: Sight[W], **news: Any) -> Sight[W]:
    """The same after a look that did not fail, with what else is new."""
    return evolve(sight, misses=0, missing_since=None, failing_since=None, failures=0, **news)


def seen(
    sight: Sight[W], workflow: W, now: float, seen_at: datetime, *, operations: bool = True, anew: bool = False
) -> tuple[Sight[W], Change[W] | None]:
    """A look that succeeded: what is known from here on, and what is new about it, with `operations` of them too.

    With `anew` it counts as a change even if it looks the same: another pause after an answered pause.
    """
    if sight.over:
        return sight, None
    if sight.workflow is not None and not anew and alike(sight.workflow, workflow, operations=operations):
        return unharmed(sight, workflow=workflow, unchanged=sight.unchanged + 1), None
    change = Change(
        workflow=workflow,
        was=sight.workflow.phase if sight.workflow is not None else None,
        now=workflow.phase,
        seen_at=seen_at,
        operations=operation_changes(sight.workflow, workflow) if operations else (),
        key=f"{workflow.id}/{sight.changes + 1}",
    )
    fresh = {"workflow": workflow, "changes": sight.changes + 1, "changed_at": now, "unchanged": 0, "stalled": False}
    return unharmed(sight, **fresh, over=workflow.phase.final), change


def missed(
    sight: Sight[W], error: CallError, now: float, poll: Poll
) -> tuple[Sight[W], Vanished[W] | Unobserved[W] | None]:
    """A look that failed: what is known from here on, and the outcome if there is no use in looking again."""
    if isinstance(error, NotFound):
        since = now if sight.missing_since is None else sight.missing_since
        missing = evolve(unharmed(sight), misses=sight.misses + 1, missing_since=since)
        enough = GONE_SECONDS if sight.workflow is not None else NEVER_INTERVALS * poll.interval
        gone = missing.misses >= GONE_LOOKS and now - since >= enough
        return missing, Vanished(id=sight.id, error=error, workflow=sight.workflow) if gone else None
    since = now if sight.failing_since is None else sight.failing_since
    failing = evolve(unharmed(sight), failing_since=since, failures=sight.failures + 1)
    lasting = failing.failures >= OUTAGE_LOOKS and now - since >= poll.outage
    lost = lasting or not may_pass(sight, error)
    return failing, Unobserved(id=sight.id, error=error, workflow=sight.workflow) if lost else None


def may_pass(sight: Sight[W], error: CallError) -> bool:
    """Whether there is use in looking again: a 401 may pass too, for one that was let in before."""
    return retryable(error, Replay.SAFE) or (isinstance(error, Unauthorized) and sight.workflow is not None)


def alike(before: Workflow, after: Workflow, *, operations: bool = True) -> bool:
    """Whether two looks at a workflow show the same, as far as the later one tells; `operations` count where wanted."""
    if before.state_text != after.state_text:
        return False
    if hasattr(after, "operations"):
        return not operations or _states(after) in {None, _states(before)}
    step = after.step
    return step is None or step == before.step


def operation_changes(before: Workflow | None, after: Workflow) -> tuple[OperationChange, ...]:
    """Every transition of an operation between two looks, as far as the later one tells; none where it shows none.

    An operation that has ended must have run, even if no look saw it run: that transition is told too.
    """
    old, new = _operations(before), _operations(after)
    known = dict(enumerate(old))
    found: list[OperationChange] = []
    for place, operation in enumerate(new):
        last = known.get(place)
        was = last.state_text if last is not None and last.operation == operation.operation else None
        if was != operation.state_text:
            found += _transitions(operation, place, was)
    return tuple(found)


ENDED = frozenset({"succeeded", "failed"})


def _transitions(operation: Any, place: int, was: str | None) -> list[OperationChange]:
    name, now = operation.operation, operation.state_text
    steps = []
    if now in ENDED and was != "running" and operation.start is not None:
        steps.append(OperationChange(operation=name, position=place, was=was, now="running", at=operation.start))
        was = "running"
    at = operation.completion if now in ENDED else operation.start
    steps.append(OperationChange(operation=name, position=place, was=was, now=now, at=at))
    return steps


def _operations(workflow: Workflow | None) -> tuple[Any, ...]:
    """The operations a record shows; only Opencast's have any."""
    return getattr(workflow, "operations", None) or ()


def _states(workflow: Workflow) -> tuple[str, ...] | None:
    operations = getattr(workflow, "operations", None)
    return None if operations is None else tuple(operation.state_text for operation in operations)
