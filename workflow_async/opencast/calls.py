"""Builds each request about workflows as a value that reads its own response. Pure.

See tests/contract/opencast.md, sections 1 to 3 and 6.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlencode

from attrs import evolve

from workflow_async._core.call import DIGITS, Call, Page, ParameterValue, Params, Replay, Reply, stringify
from workflow_async._core.status import REJECTIONS, status_error
from workflow_async._decode.json import json_rows, json_tree
from workflow_async._decode.records import read_page, structure
from workflow_async.errors import (
    CallError,
    ConfigurationNotReplaced,
    DecodeError,
    ListingNotSupported,
    ResponseMismatch,
)
from workflow_async.opencast.params import FORM, checked_text, nonempty
from workflow_async.opencast.records import Workflow
from workflow_async.opencast.responses import (
    API,
    BY_ID,
    CONVERTER,
    LISTED,
    page_by_offset,
    with_requested,
    with_requested_fields,
)

WORKFLOWS = "/api/workflows"
WORKFLOW_TEMPLATE = f"{WORKFLOWS}/{{id}}"


def list_workflows(*, filter: str, sort: str, include: Params, size: int, offset: int = 0) -> Call[Page[Workflow]]:
    """Return the call for a page of workflows. Only Opencast 6 to 11 list workflows."""
    next_page = partial(list_workflows, filter=filter, sort=sort, include=include, size=size)
    return Call(
        "GET",
        WORKFLOWS,
        partial(_read_workflow_page, include, size, lambda count: next_page(offset=offset + count)),
        (*nonempty(filter=filter, sort=sort), ("limit", str(size)), ("offset", str(offset)), *include),
        refusals={404: _no_listing, 405: _no_listing},
        signature=API,
        name="workflows.list",
    )


def get_workflow(id: int, include: Params = ()) -> Call[Workflow]:
    """Return the call for one workflow."""
    read = partial(_read_workflow, include, id)
    return Call(
        "GET", f"{WORKFLOWS}/{id}", read, include, signature=BY_ID, name="workflows.get", template=WORKFLOW_TEMPLATE
    )


def start_workflow(
    event_id: str, definition_id: str, configuration: Mapping[str, ParameterValue] | None, include: Params = ()
) -> Call[Workflow]:
    """Return the call that starts a workflow on an event."""
    form = {
        "event_identifier": checked_text("event_id", event_id),
        "workflow_definition_identifier": checked_text("definition_id", definition_id),
        **_configuration_form(configuration),
    }
    return Call(
        "POST",
        WORKFLOWS,
        partial(_read_started, include, event_id),
        include,
        urlencode(form).encode(),
        FORM,
        replay=Replay.ONCE,
        success=frozenset({201}),
        refusals=REJECTIONS,
        signature=BY_ID,
        name="workflows.start",
    )


def change_state(id: int, state: str, include: Params = ()) -> Call[Workflow]:
    """Return the call that requests the state `paused`, `running` or `stopped`."""
    return _put_call(id, {"state": state}, include)


def replace_configuration(id: int, configuration: Mapping[str, ParameterValue], include: Params = ()) -> Call[Workflow]:
    """Return the call that replaces the whole configuration."""
    call = _put_call(id, _configuration_form(configuration), include)
    return evolve(call, refusals={500: _configuration_error})


def delete_workflow(id: int) -> Call[None]:
    """Return the call that deletes a finished workflow."""
    return Call(
        "DELETE",
        f"{WORKFLOWS}/{id}",
        lambda _: None,
        replay=Replay.DELETE,
        success=frozenset({204}),
        signature=BY_ID,
        name="workflows.delete",
        template=WORKFLOW_TEMPLATE,
    )


def _put_call(id: int, form: Mapping[str, str], include: Params) -> Call[Workflow]:
    return Call(
        "PUT",
        f"{WORKFLOWS}/{id}",
        partial(_read_workflow, include, id),
        include,
        urlencode(form).encode(),
        FORM,
        replay=Replay.ONCE,
        signature=BY_ID,
        name="workflows.update",
        template=WORKFLOW_TEMPLATE,
    )


def _configuration_error(reply: Reply) -> CallError:
    """Return the error for a refused configuration. The message of the known bug names no reason."""
    error = status_error(reply)
    known = error.message.endswith("reason: 'null'")
    return ConfigurationNotReplaced(error.status, error.body, error.message) if known else error


def _configuration_form(configuration: Mapping[str, ParameterValue] | None) -> dict[str, str]:
    """Return the form field of a configuration. The server answers values that are not texts with 500."""
    if configuration is None:
        return {}
    return {"configuration": json.dumps(stringify("configuration", configuration))}


def _read_workflow(include: Params, id: int, reply: Reply) -> Workflow:
    workflow = structure(CONVERTER, with_requested_fields(include, json_tree(reply.body)), Workflow)
    if workflow.id != id:
        raise ResponseMismatch(f"workflow {id}", f"workflow {workflow.id}")
    return workflow


def _read_started(include: Params, event: str, reply: Reply) -> Workflow:
    try:
        workflow = structure(CONVERTER, with_requested_fields(include, json_tree(reply.body)), Workflow)
    except DecodeError as error:
        error.located = _id_in_location(reply)
        raise
    if workflow.event_id != event:
        raise ResponseMismatch(f"a workflow on event {event}", f"one on {workflow.event_id}")
    return evolve(workflow, location=reply.headers.get("location"))


def _id_in_location(reply: Reply) -> int | None:
    """Return the id in the Location header. The header is never followed, because it often names another host."""
    segment = re.split("[?#]", reply.headers.get("location", ""), maxsplit=1)[0].rpartition("/")[2]
    return int(segment) if DIGITS.fullmatch(segment) else None


def _read_workflow_page(
    include: Params, size: int, next_page: Callable[[int], Call[Page[Workflow]]], reply: Reply
) -> Page[Workflow]:
    rows = json_rows(reply.body)
    if rows is None:
        raise ListingNotSupported("its response is not a list")
    items = read_page(LISTED, with_requested(include, rows), Workflow)
    return page_by_offset(items, size, next_page)


def _no_listing(reply: Reply) -> ListingNotSupported:
    return ListingNotSupported(f"its response has status {reply.status}")
