"""The JSON of `/workflow`, which Jettison makes of XML. Texts that look like numbers or booleans become such.

See tests/contract/opencast.md, section 1.7, and https://github.com/jettison-json/jettison (`DefaultConverter`).
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from workflow_async.sandbox.engine import FakeStep, FakeWorkflow, StepResult
from workflow_async.sandbox.opencast.definitions import OPERATIONS, Definition, Operation, current_definition_id
from workflow_async.sandbox.opencast.event import Event
from workflow_async.sandbox.opencast.json import STATES, Tree, failure_policy, instant, operation_state, time_in_queue
from workflow_async.sandbox.opencast.releases import ReleaseRules

ORGANIZATION = "mh_default_org"
_INTEGER = re.compile("0|-?[1-9][0-9]*")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_LONG = range(-(2**63), 2**63)


def typed(text: str) -> Any:
    """Return the value that Jettison makes of a text: a number or boolean if the JVM writes it in the same way."""
    if text in {"true", "false"}:
        return text == "true"
    if _INTEGER.fullmatch(text) and len(text) <= len(str(_LONG.start)) and int(text) in _LONG:
        return int(text)
    if _DECIMAL.fullmatch(text) and java_double(float(text)) == text:
        return int(float(text)) if text.endswith(".0") else float(text)
    return text


def java_double(value: float) -> str:
    """Return a number between 10^-3 and 10^7 as `Double.toString` writes it. Return "" for any other but 0."""
    return repr(value) if value == 0 or 1e-3 <= abs(value) < 1e7 else ""  # noqa: PLR2004  # Double.toString's own bounds


def wrapped(name: str, elements: Iterable[Any]) -> Any:
    """Return repeated elements of XML: one as itself, several as an array, none as ""."""
    items = list(elements)
    if not items:
        return ""
    return {name: items if len(items) > 1 else items[0]}


def workflow(
    run: FakeWorkflow, event: Event, definition: Definition | None, rules: ReleaseRules, offset: float
) -> Tree:
    """Return a workflow instance. `offset` is the server's local time minus UTC, in hours."""
    texts = {
        "template": current_definition_id(run, definition),
        "title": definition.title if definition else "",
        "description": definition.description if definition else "",
    }
    return {
        "id": run.id,
        "state": STATES[run.status].upper(),
        **_typed_fields(texts),
        **({"parent": {"nil": True}} if rules.listing else {}),
        **_typed_fields({"creator-id": run.creator, "organization-id": ORGANIZATION}),
        **({} if rules.listing else _dates(run, offset)),
        "mediapackage": _media_package(event),
        "operations": wrapped("operation", [_operation(step, definition, rules) for step in run.steps]),
        "configurations": _configurations(run.parameters),
        **({} if rules.listing else _typed_fields({"mediaPackageId": event.identifier, "seriesId": event.series})),
    }


def _typed_fields(texts: Mapping[str, str]) -> Tree:
    """Return the fields that are not empty, with typed values."""
    return {name: typed(text) for name, text in texts.items() if text}


def _dates(run: FakeWorkflow, offset: float) -> Tree:
    dates = {"dateCreated": run.created, "dateCompleted": run.finished}
    return {name: local(at, offset) for name, at in dates.items() if at is not None}


def local(at: float, offset: float) -> str:
    """Return an instant in the server's local time, with its offset."""
    moment = datetime.fromtimestamp(round(at, 3), timezone(timedelta(hours=offset)))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _media_package(event: Event) -> Tree:
    people = [typed(name) for name in event.creator.split("; ") if name]
    texts = {
        "id": event.identifier,
        "start": instant(event.created),
        "title": event.title,
        "series": event.series,
        "seriestitle": event.series_title,
    }
    parts = dict.fromkeys(("media", "metadata", "attachments", "publications"), "")
    return {**_typed_fields(texts), **({"creators": wrapped("creator", people)} if people else {}), **parts}


def _operation(step: FakeStep, definition: Definition | None, rules: ReleaseRules) -> Tree:
    known = OPERATIONS.get(step.step.name, Operation())
    policies = failure_policy(step.step, definition)
    parked = step.id is not None and step.step.result is StepResult.HELD
    return {
        **_operation_ids(step, rules),
        "state": operation_state(step).upper(),
        **_typed_fields({"description": known.description}),
        "fail-on-error": policies["fail_workflow_on_error"],
        **_typed_fields({"if": known.condition, "exception-handler-workflow": policies["error_handler_workflow"]}),
        **({"abortable": True, "continuable": True} if parked else {}),
        "max-attempts": policies["max_attempts"],
        "failed-attempts": step.failures,
        "retry-strategy": policies["retry_strategy"],
        "configurations": _configurations(known.configuration),
        **_times(step, rules),
        **({"execution-history": ""} if rules.listing else {}),
    }


def _operation_ids(step: FakeStep, rules: ReleaseRules) -> Tree:
    name, job = typed(step.step.name), step.id
    if rules.listing:
        return {"id": name} if job is None else {"id": name, "job": job}
    return {"template": name} if job is None else {"id": job, "template": name, "job": job}


def _times(step: FakeStep, rules: ReleaseRules) -> Tree:
    times = {"started": step.started, "completed": step.finished}
    queue_time = None if step.id is None else time_in_queue(step, rules)
    known = {name: round(at * 1000) for name, at in times.items() if at is not None}
    return known if queue_time is None else {**known, "time-in-queue": queue_time}


def _configurations(configuration: Mapping[str, str]) -> Any:
    """Return the key-value pairs. A text beside an attribute is not converted."""
    return wrapped("configuration", [{"key": typed(key), "$": value} for key, value in configuration.items()])
