"""Opencast's JSON onto its records: renames, and what absent, null and "" mean (contract: opencast.md 4.2, 4.3, 8)."""

import cattrs

from workflow_async._decode.records import Records, by, constant, listed, record
from workflow_async._decode.values import instant, known, or_none, text, texts, truth, whole
from workflow_async.opencast.records import (
    Definition,
    Event,
    Me,
    Operation,
    OperationDefinition,
    OperationState,
    State,
    Version,
    Workflow,
)

STATE = known(lambda value: State.read(text(value)), [state.value for state in State])
OPERATION_STATE = known(lambda value: OperationState.read(text(value)), [state.value for state in OperationState])


def opencast_converter() -> Records:
    """The converter of this system."""
    return Records(_teach)


def _teach(strict: cattrs.Converter) -> None:
    _operations(strict)
    record(
        strict,
        Workflow,
        id=by(whole, "identifier"),
        state=by(STATE),
        state_text=by(text, "state"),
        title=by(text),
        description=by(text),
        definition=by(text, "workflow_definition_identifier"),
        event=by(text, "event_identifier"),
        creator=by(or_none(text)),
        created=constant(),
        # Read at once, faults and all. Left as they came until somebody looks, a page of 20 operations each would cost
        # little more than parsing it does, not two to three times that; but a fault would come to light anywhere,
        # later, and a record would hold the whole of what was parsed.
        operations=listed(strict, Operation),
        configuration=by(texts),
    )
    record(
        strict,
        Definition,
        id=cattrs.override(rename="identifier"),
        title=by(text),
        description=by(text),
        tags=listed(strict, str),
        configuration_panel=by(text),
        configuration_panel_json=by(text),
        operations=listed(strict, OperationDefinition),
    )
    _surroundings(strict)


def _operations(strict: cattrs.Converter) -> None:
    shared = {
        "description": by(text),
        "if_": by(text, "if"),
        "unless": by(text),
        "fail_workflow_on_error": by(truth, unread=None),
        "error_handler_workflow": by(text),
        "retry_strategy": by(text),
        "max_attempts": by(whole, unread=None),
        "configuration": by(texts),
    }
    record(strict, OperationDefinition, **shared)
    record(
        strict,
        Operation,
        **shared,
        id=by(or_none(whole), "identifier"),
        state=by(OPERATION_STATE),
        state_text=by(text, "state"),
        start=by(or_none(instant)),
        completion=by(or_none(instant)),
        time_in_queue=by(or_none(whole)),
        host=by(text),
        failed_attempts=by(whole, unread=None),
    )


def _surroundings(strict: cattrs.Converter) -> None:
    record(
        strict,
        Event,
        id=cattrs.override(rename="identifier"),
        title=by(text),
        status=by(text),
        # None would say that the event has no workflow.
        processing_state=by(or_none(STATE), unread=State.UNKNOWN),
        created=by(or_none(instant)),
        series=by(text, "is_part_of"),
    )
    record(strict, Version, versions=listed(strict, str))
    record(strict, Me, name=by(text), email=by(text), provider=by(text), userrole=by(text))
