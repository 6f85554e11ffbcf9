"""The JSON of Opencast's External API."""

from datetime import UTC, datetime
from typing import Any

from workflow_async.sandbox.engine import REPAIR_STEP, FakeStep, FakeWorkflow, Status, Step, StepResult
from workflow_async.sandbox.opencast.definitions import OPERATIONS, Definition, Operation, current_definition_id
from workflow_async.sandbox.opencast.releases import ReleaseRules

Tree = dict[str, Any]

STATES = {
    Status.WAITING: "instantiated",
    Status.RUNNING: "running",
    Status.FAILING: "failing",
    Status.PARKED: "paused",
    Status.SUCCEEDED: "succeeded",
    Status.PARTIAL: "succeeded",
    Status.FAILED: "failed",
    Status.STOPPED: "stopped",
    Status.SKIPPED: "skipped",
}
WORKFLOW_STATES = frozenset(STATES.values()) - {"skipped"}
HOST = "https://worker.example.org"
RETRY_STRATEGIES = {StepResult.STUCK: "hold", StepResult.RETRIED: "retry"}
_REPORTED = frozenset({Status.SUCCEEDED, Status.PARKED, Status.SKIPPED})


def instant(at: float | None) -> str:
    """Return an instant as the External API writes it: UTC, without trailing zeros, or "" for None."""
    if at is None:
        return ""
    text = datetime.fromtimestamp(round(at, 3), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "Z"


def workflow_tree(
    run: FakeWorkflow, definition: Definition | None, rules: ReleaseRules, *, operations: bool, configuration: bool
) -> Tree:
    """Return a workflow instance. It is the same in a list, after a POST and by its id."""
    tree: Tree = {
        "identifier": run.id,
        "title": definition.title if definition else "",
        "description": definition.description if definition else "",
        "workflow_definition_identifier": current_definition_id(run, definition),
        "event_identifier": run.subject,
        "creator": run.creator,
        "state": STATES[run.status],
    }
    if rules.gson and not run.creator:
        del tree["creator"]
    if operations:
        tree["operations"] = [operation_tree(s, definition, rules) for s in run.steps]
    if configuration:
        _add_configuration(tree, run.parameters, rules)
    return tree


def operation_tree(step: FakeStep, definition: Definition | None, rules: ReleaseRules) -> Tree:
    """Return an operation of an instance."""
    known = OPERATIONS.get(step.step.name, Operation())
    tree: Tree = {
        "identifier": step.id if step.id is not None else "",
        **_operation_head(step.step, known),
        "state": operation_state(step),
        "start": instant(step.started),
        "completion": instant(step.finished),
        "time_in_queue": time_in_queue(step, rules),
        "host": HOST if step.id is not None else "",
        **failure_policy(step.step, definition),
        "failed_attempts": step.failures,
    }
    if rules.unless:
        tree["unless"] = known.exception
    if rules.gson and step.id is None:
        del tree["identifier"]
    _add_configuration(tree, known.configuration, rules)
    return {key: value for key, value in tree.items() if value is not None}


def operation_state(step: FakeStep) -> str:
    """Return the state of an operation. A failed operation that runs again is in the state `retry`."""
    return "retry" if step.status is Status.WAITING and step.attempts else STATES[step.status]


def definition_tree(
    definition: Definition, rules: ReleaseRules, *, operations: bool, panel: bool, panel_json: bool
) -> Tree:
    """Return a workflow definition."""
    tree: Tree = {
        "identifier": definition.identifier,
        "title": definition.title,
        "description": definition.description,
        "tags": list(definition.tags),
    }
    if panel:
        tree["configuration_panel"] = definition.panel
    if panel_json and rules.panel_json:
        tree["configuration_panel_json"] = definition.panel_json
    if operations:
        tree["operations"] = [_operation_definition(step, definition, rules) for step in definition.steps]
    return tree


def _operation_definition(step: Step, definition: Definition, rules: ReleaseRules) -> Tree:
    known = OPERATIONS.get(step.name, Operation())
    tree = {**_operation_head(step, known), "unless": known.exception, **failure_policy(step, definition)}
    _add_configuration(tree, known.configuration, rules)
    return tree


def _operation_head(step: Step, known: Operation) -> Tree:
    return {"operation": step.name, "description": known.description, "if": known.condition}


def failure_policy(step: Step, definition: Definition | None) -> Tree:
    """Return the fields about the failure of an operation."""
    strategy = RETRY_STRATEGIES.get(step.result, "none")
    return {
        "fail_workflow_on_error": step.name != REPAIR_STEP,
        "error_handler_workflow": definition.handler if definition and step.handlers else "",
        "retry_strategy": strategy,
        "max_attempts": 1 if strategy == "none" else step.max_attempts,
    }


def time_in_queue(step: FakeStep, rules: ReleaseRules) -> int | None:
    """Return the queue time of an operation, which is only known after it succeeded, was skipped or was parked."""
    if step.id is not None and step.status in _REPORTED:
        return step.id * 37 % 3000
    return 0 if rules.gson else None


def _add_configuration(tree: Tree, configuration: Any, rules: ReleaseRules) -> None:
    if configuration or rules.gson:
        tree["configuration"] = dict(configuration)
