"""Makes records and events for tests. The readers of the clients make them, so none is a record that cannot exist."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from workflow_async import opencast, preservica
from workflow_async._decode.records import structure
from workflow_async.errors import DecodeError, InvalidArgument
from workflow_async.monitor import Change, Finished
from workflow_async.monitor._engine.keys import with_key
from workflow_async.monitor._engine.observation import same
from workflow_async.monitor._engine.operations import operation_changes, operations_of
from workflow_async.opencast import OperationState
from workflow_async.opencast.converter import opencast_converter
from workflow_async.phase import Workflow
from workflow_async.preservica.converter import WORKFLOW, preservica_converter
from workflow_async.settings import check_int

W = TypeVar("W", bound=Workflow)

OpencastState = Literal["instantiated", "running", "paused", "failing", "succeeded", "failed", "stopped"]
PreservicaState = Literal[
    "Pending",
    "Active",
    "Suspending",
    "Suspended",
    "Completed",
    "Finished_Mixed_Outcome",
    "Failed",
    "Aborted",
    "Cancelled",
]
OpencastOperationState = Literal["instantiated", "running", "paused", "succeeded", "failed", "skipped", "retry"]

STARTED = datetime(2026, 1, 1, 9, tzinfo=UTC)
FINISHED = datetime(2026, 1, 1, 10, tzinfo=UTC)
OPERATION_STATES = {
    opencast.State.INSTANTIATED: {OperationState.INSTANTIATED},
    opencast.State.SUCCEEDED: {OperationState.SUCCEEDED, OperationState.FAILED, OperationState.SKIPPED},
}
"""The states that the operations of a workflow can have, for the states of a workflow that say so."""


def opencast_workflow(
    id: int = 1000,
    state: OpencastState = "running",
    *,
    operations: Mapping[str, OpencastOperationState] | None = None,
    definition_id: str = "publish",
    event_id: str | None = None,
    title: str | None = None,
    description: str = "",
    creator: str | None = "admin",
    configuration: Mapping[str, str] | None = None,
) -> opencast.Workflow:
    """Return a workflow of Opencast, as `client.workflows.get` returns it.

    Args:
        id: the id.
        state: the server's word for the state.
        operations: the state of each operation by its name, in order. None if they were not requested.
        definition_id: the id of the definition.
        event_id: the id of the event. The default is made from `id`.
        title: the title. The default is `definition_id`.
        description: the description.
        creator: the name of the user who started it.
        configuration: the configuration. None if it was not requested.

    Raises:
        InvalidArgument: an argument has the wrong type, or no server sends such a workflow.
    """
    check_int("id", id, least=1)
    tree = {
        "identifier": id,
        "state": _checked_state(opencast.State, state, opencast.State.UNKNOWN),
        "title": definition_id if title is None else title,
        "description": description,
        "workflow_definition_identifier": definition_id,
        "event_identifier": f"event-{id}" if event_id is None else event_id,
        "creator": creator,
    }
    if operations is not None:
        tree["operations"] = [_operation(name, word) for name, word in operations.items()]
    if configuration is not None:
        tree["configuration"] = dict(configuration)
    workflow: opencast.Workflow = _read(opencast_converter(), opencast.Workflow, tree, _OPENCAST_ARGUMENTS)
    allowed = OPERATION_STATES.get(workflow.state)
    if allowed is not None and not {operation.state for operation in workflow.operations or ()} <= allowed:
        words = ", ".join(sorted(state.value for state in allowed))
        raise InvalidArgument("operations", f"must all be {words}, because the workflow is {state}")
    return workflow


def preservica_workflow(
    id: int = 1000,
    state: PreservicaState = "Active",
    *,
    started: datetime | None = STARTED,
    finished: datetime | None = FINISHED,
    current_step: str | None = None,
    context_id: str | None = "1",
    context_name: str | None = "Ingest",
    definition_id: str | None = "com.preservica.core.workflow.ingest",
    definition_name: str | None = None,
    correlation_id: str | None = None,
    creator: str | None = None,
    display_state: str | None = None,
    monitor_id: str | None = None,
) -> preservica.Workflow:
    """Return a workflow of Preservica, as `client.workflows.get` returns it.

    A workflow that waits has neither `started` nor `finished`, and one that has not ended has no `finished`. None is an
    element that the server left out.

    Raises:
        InvalidArgument: an argument has the wrong type, or no server sends such a workflow.
    """
    check_int("id", id, least=1)
    word = _checked_state(preservica.State, state, preservica.State.UNKNOWN)
    phase = preservica.State.read(word).phase
    if phase is phase.WAITING:
        started = None if started == STARTED else _refused("started", "must be None, because the workflow is Pending")
    if not phase.final:
        finished = None if finished == FINISHED else _refused("finished", f"must be None while a workflow is {word}")
    if started is not None and finished is not None and finished < started:
        finished = started if finished == FINISHED else _refused("finished", "must not be before started")
    given = {
        "id": id,
        "state": word,
        "started": started,
        "finished": finished,
        "current_step": current_step,
        "context_id": context_id,
        "context_name": context_name,
        "definition_id": definition_id,
        "definition_name": definition_name,
        "correlation_id": correlation_id,
        "creator": creator,
        "display_state": display_state,
        "monitor_id": monitor_id,
    }
    tree = {WORKFLOW[name]: _element(name, value) for name, value in given.items() if value is not None}
    arguments = {tag: name for name, tag in WORKFLOW.items()}
    workflow: preservica.Workflow = _read(preservica_converter(), preservica.Workflow, tree, arguments)
    return workflow


def change(workflow: W, before: W | None = None) -> Change[W]:
    """Return the event of a watch that sees `workflow` after it saw `before`. None if it saw nothing before.

    Raises:
        InvalidArgument: no watch reports that: `before` has another id, has ended, or is the same.
    """
    detailed = operations_of(workflow) is not None
    if before is not None:
        if before.id != workflow.id:
            raise InvalidArgument("before", f"must be a record of workflow {workflow.id}, not of {before.id}")
        if before.phase.final or same(before, workflow, operations=detailed):
            raise InvalidArgument("before", "must be a record that has not ended and that differs from workflow")
    event = Change(
        workflow=workflow,
        was=None if before is None else before.phase,
        now=workflow.phase,
        seen_at=FINISHED,
        operations=operation_changes(before, workflow) if detailed else (),
    )
    system = "opencast" if isinstance(workflow, opencast.Workflow) else "preservica"
    return with_key(event, f"{system}:127.0.0.1", operations=detailed)


def finished(workflow: W) -> Finished[W]:
    """Return the outcome of a wait for a workflow that has ended.

    Raises:
        InvalidArgument: the workflow has not ended.
    """
    if not workflow.phase.final:
        raise InvalidArgument("workflow", f"must have ended, and is {workflow.state_text}")
    return Finished(workflow=workflow)


_OPENCAST_ARGUMENTS = {
    "identifier": "id",
    "workflow_definition_identifier": "definition_id",
    "event_identifier": "event_id",
}
"""The arguments whose keys in the response have another name."""


def _checked_state(states: Any, word: str, unknown: Any) -> str:
    if not isinstance(word, str) or states.read(word) is unknown:
        words = ", ".join(state.value for state in states if state is not unknown)
        raise InvalidArgument("state", f"must be one of {words}")
    return word


def _operation(name: str, word: str) -> dict[str, object]:
    if not isinstance(word, str) or OperationState.read(word) is OperationState.UNKNOWN:
        words = ", ".join(state.value for state in OperationState if state is not OperationState.UNKNOWN)
        raise InvalidArgument("operations", f"must be names with a state, one of {words}")
    return {"operation": name, "state": word}


def _element(name: str, value: object) -> str:
    """Return the text of an element."""
    if name in {"started", "finished"} and isinstance(value, datetime):
        return value.isoformat()
    if name == "id":
        return str(value)
    return value if isinstance(value, str) else _refused(name, "must be a text")


def _refused(argument: str, why: str) -> Any:
    raise InvalidArgument(argument, why)


def _read(converter: Any, kind: type[Any], tree: dict[str, Any], arguments: Mapping[str, str]) -> Any:
    """Return the tree as a record. Raise `InvalidArgument` for a value that the reader does not take."""
    try:
        record = structure(converter, tree, kind)
    except DecodeError as error:
        place = str(error.faults[0]).partition("$.")[2] if error.faults else ""
        key = place.partition("[")[0].partition(".")[0]
        raise InvalidArgument(arguments.get(key, key), "has the wrong type") from None
    for key in record.extra:
        raise InvalidArgument(arguments.get(key, key), "has the wrong type")
    return record
