"""Builds the requests about the errors of a workflow. Pure.

The External API has neither the errors nor an answer to a hold. The private API of Opencast's admin interface has both,
from Opencast 6 on. See tests/contract/opencast.md, section 2.6.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar

from workflow_async._core.call import Call, Replay, Reply, Signature, path_segment
from workflow_async._decode.json import json_rows, json_tree
from workflow_async._decode.records import list_of, structure
from workflow_async.errors import DecodeError, InvalidArgument, ResponseMismatch
from workflow_async.opencast.incidents import Incident, incident_converter
from workflow_async.opencast.responses import STARTUP_PAGES

T = TypeVar("T")

WORKFLOW = "/admin-ng/event/{}/workflows/{}"
TEMPLATE = WORKFLOW.format("{event_id}", "{id}")
NAME = "workflows.errors"

HoldAnswer = Literal["retry", "fail"]
"""What is to become of the operation that failed: run it again, or let it stay failed."""
ACTIONS: dict[str, str] = {"retry": "RETRY", "fail": "NONE"}
"""The server's word for each answer. Only words in capital letters have an effect. Others hold the workflow again."""

MESSAGES = re.compile(r"Cannot find |Workflow not found: |Workflow [0-9]+ is not associated |Action ")
"""How messages of this API begin."""
SIGNATURE = Signature(MESSAGES, STARTUP_PAGES, frozenset({400, 404}), redirects_to_login=True)
CONVERTER = incident_converter()


def list_incidents(event_id: str, workflow_id: int) -> Call[tuple[Incident, ...]]:
    """Return the call for the incidents of a workflow, without details."""
    path = f"{_path(event_id, workflow_id)}/errors.json"
    return _get(path, f"{TEMPLATE}/errors.json", partial(_read_incidents, workflow_id))


def get_incident(event_id: str, workflow_id: int, incident_id: int) -> Call[Incident]:
    """Return the call for one incident with its details."""
    path = f"{_path(event_id, workflow_id)}/errors/{incident_id}.json"
    return _get(path, f"{TEMPLATE}/errors/{{incident_id}}.json", partial(_read_incident, workflow_id, incident_id))


def answer_hold(event_id: str, workflow_id: int, answer: HoldAnswer) -> Call[None]:
    """Return the call that answers a hold."""
    return Call(
        "PUT",
        f"{_path(event_id, workflow_id)}/action/{ACTIONS[answer]}",
        lambda _: None,
        replay=Replay.ONCE,
        signature=SIGNATURE,
        name="workflows.answer",
        template=f"{TEMPLATE}/action/{{action}}",
    )


def checked_answer(answer: HoldAnswer) -> HoldAnswer:
    """Return the answer. Raise `InvalidArgument` for any other word."""
    if not isinstance(answer, str) or answer not in ACTIONS:
        raise InvalidArgument("answer", 'must be "retry" (run the operation again) or "fail" (let it stay failed)')
    return answer


def _path(event_id: str, workflow_id: int) -> str:
    return WORKFLOW.format(path_segment("event_id", event_id, allowed=";"), workflow_id)


def _get(path: str, template: str, read: Callable[[Reply], T]) -> Call[T]:
    return Call("GET", path, read, signature=SIGNATURE, name=NAME, template=template)


def _read_incidents(workflow_id: int, reply: Reply) -> tuple[Incident, ...]:
    rows = json_rows(reply.body)
    if rows is None:
        raise DecodeError("expected a list @ $")
    return tuple(structure(CONVERTER, [_with_workflow(workflow_id, row) for row in rows], list_of(Incident)))


def _read_incident(workflow_id: int, id: int, reply: Reply) -> Incident:
    incident = structure(CONVERTER, _with_workflow(workflow_id, json_tree(reply.body)), Incident)
    if incident.id != id:
        raise ResponseMismatch(f"incident {id}", f"incident {incident.id}")
    return incident


def _with_workflow(workflow_id: int, tree: Any) -> Any:
    return {**tree, "workflow_id": workflow_id} if isinstance(tree, dict) else tree
