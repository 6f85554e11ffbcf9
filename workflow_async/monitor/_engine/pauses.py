"""Remembers the pauses that a resume of this client has answered, so that they are not reported again. Pure."""

from collections.abc import Hashable

from attrs import define, field, frozen

from workflow_async.monitor._engine.operations import ENDED_STATES, operations_of
from workflow_async.phase import Phase, Workflow

MAX_REMEMBERED = 10_000
"""Answered pauses that a client remembers. The oldest is forgotten first."""


@frozen
class Pause:
    """The operation in which a workflow is paused. Two records show the same pause if these are equal."""

    position: int
    """Position of the operation in the workflow, from 0. The number of operations if all have ended."""
    operation: tuple[Hashable, ...] = ()
    """Id, name, state and start of the operation. If it pauses again after a resume, its start differs."""


def pause_of(workflow: Workflow) -> Pause | None:
    """Return the pause that a record shows. None if the workflow is not paused or the record has no operations."""
    operations = operations_of(workflow)
    if workflow.phase is not Phase.PARKED or operations is None:
        return None
    for position, operation in enumerate(operations):
        if operation.state_text not in ENDED_STATES:
            return Pause(position, (operation.id, operation.operation, operation.state_text, operation.start))
    return Pause(len(operations))


@define
class AnsweredPauses:
    """The answered pause of each workflow, until a GET shows that the workflow has left it."""

    _pauses: dict[int, Pause] = field(factory=dict, init=False)

    def note(self, workflow_id: int, pause: Pause) -> None:
        """Remember that a resume answers this pause."""
        self._pauses.pop(workflow_id, None)
        self._pauses[workflow_id] = pause
        if len(self._pauses) > MAX_REMEMBERED:
            del self._pauses[next(iter(self._pauses))]

    def forget(self, workflow_id: int) -> None:
        """Forget the answered pause: the workflow has left it, or the resume was refused."""
        self._pauses.pop(workflow_id, None)

    def covers(self, workflow: Workflow) -> bool:
        """Return True if the record shows the answered pause."""
        pause = self._pauses.get(workflow.id)
        return pause is not None and pause_of(workflow) == pause

    def unclear(self, workflow: Workflow) -> bool:
        """Return True if a pause was answered and the record shows a pause, which may be the same or a later pause."""
        return workflow.phase is Phase.PARKED and workflow.id in self._pauses
