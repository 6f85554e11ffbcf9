"""Builds every request of the workflow service as a value that reads its own response. Pure.

See tests/contract/preservica.md, section 1.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from workflow_async._core.call import Call, Page, ParameterValue, Params, Replay, Reply, parse_id, stringify
from workflow_async._core.status import REJECTIONS
from workflow_async._decode.values import TypeMismatch, parse_int
from workflow_async._decode.xml import xml_bytes, xml_list, xml_tree
from workflow_async._decode.xml_rows import RowBlock
from workflow_async.errors import DecodeError, InvalidArgument, ResponseMismatch
from workflow_async.preservica.converter import element_text, read_element, read_records
from workflow_async.preservica.filters import checked_filled
from workflow_async.preservica.records import AcceptedCounts, Context, Started, Workflow

NAMESPACE = "http://workflow.preservica.com"
CONTEXTS = "/sdb/rest/workflow/contexts"
INSTANCES = "/sdb/rest/workflow/instances"
VERSION = "/api/entity/versiondetails/version"
XML = "application/xml"
START_STATUSES = frozenset({200, 201, 202})
ROW = "WorkflowInstance"
"""The element of a workflow in a list."""
ONE_ROW: Params = (("start", "0"), ("max", "1"))
CHANGE_STATUSES = frozenset({200, 202})


def list_contexts(query: Params) -> Call[Page[Context]]:
    """Return the call for the active contexts. The server returns all of them in one response."""
    return Call("GET", CONTEXTS, _read_contexts, query, accept=XML, name="contexts.list")


def list_workflows(query: Params, *, size: int, start: int = 0) -> Call[Page[Workflow]]:
    """Return the call for a page of workflows that begins at row number `start`."""
    params = (*query, ("start", str(start)), ("max", str(size)))
    next_page = partial(list_workflows, query, size=size)
    read = partial(_read_workflow_page, next_page, start)
    return Call("GET", INSTANCES, read, params, accept=XML, name="workflows.list")


def including(**flags: bool) -> Params:
    """Return the `include…` parameters whose flag is true. The server's defaults are not documented."""
    return tuple((f"include{_camel_case(name)}", "true") for name, flag in flags.items() if flag)


def count_workflows(query: Params) -> Call[int]:
    """Return the call for the number of workflows: a page with one row and the total."""
    return Call("GET", INSTANCES, _read_total, (*query, *ONE_ROW), accept=XML, name="workflows.count")


def list_mark(query: Params) -> Call[tuple[int, int | None]]:
    """Return the call for the length of a list and the id of its first row. The id is None if the list is empty."""
    return Call("GET", INSTANCES, _read_mark, (*query, *ONE_ROW), accept=XML, name="workflows.list")


def get_workflow(id: int) -> Call[Workflow]:
    """Return the call for one workflow with its errors."""
    path, template = f"{INSTANCES}/{id}", f"{INSTANCES}/{{id}}"
    params = (("includeErrors", "true"),)
    return Call("GET", path, partial(_read_workflow, id), params, accept=XML, name="workflows.get", template=template)


def start_workflow(
    context_id: str | None,
    context_name: str | None,
    parameters: Mapping[str, ParameterValue] | None,
    correlation_id: str,
) -> Call[Started]:
    """Return the call that starts a workflow of a context. The context is named by its id, its name, or both."""
    children: list[tuple[str, str | list[tuple[str, str]]]] = []
    if context_id is not None:
        children.append(("WorkflowContextId", checked_filled("context", context_id)))
    if context_name is not None:
        children.append(("WorkflowContextName", checked_filled("context", context_name)))
    children += [
        ("Parameter", [("Key", key), ("Value", value)])
        for key, value in stringify("parameters", parameters or {}).items()
    ]
    children.append(("CorrelationId", checked_filled("correlation_id", correlation_id)))
    return Call(
        "POST",
        INSTANCES,
        partial(_read_started, correlation_id),
        body=xml_bytes("StartWorkflowRequest", NAMESPACE, children),
        content_type="application/xml;charset=UTF-8",
        accept=XML,
        replay=Replay.ONCE,
        success=START_STATUSES,
        refusals=REJECTIONS,
        name="workflows.start",
    )


def terminate_workflows(ids: Sequence[int | str]) -> Call[AcceptedCounts]:
    """Return the call that requests the end of these workflows. They end later."""
    return _change_many("terminate", ids, _read_terminated)


def retry_workflows(ids: Sequence[int | str]) -> Call[AcceptedCounts]:
    """Return the call that retries these failed or suspended workflows."""
    return _change_many("retry", ids, _read_retried)


def get_version() -> Call[None]:
    """Return the call for the version of the server, which every user may read.

    A server that responds without a version is not a Preservica.
    """
    return Call("GET", VERSION, _read_version, accept=XML, name="version")


def _read_version(reply: Reply) -> None:
    if b"CurrentVersion" not in reply.body:
        raise DecodeError("expected a CurrentVersion element @ /")


def _camel_case(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _change_many(verb: str, ids: Sequence[int | str], read: Callable[[Reply], AcceptedCounts]) -> Call[AcceptedCounts]:
    if not ids:
        why = f"must name the workflows to {verb}, because the server may apply an empty list to all"
        raise InvalidArgument("workflow_ids", why)
    if any(isinstance(id, Collection) and not isinstance(id, str | bytes) for id in ids):
        raise InvalidArgument("workflow_ids", f"must be given one by one, such as {verb}(7, 8) or {verb}(*ids)")
    named_ids = ",".join(str(parse_id("workflow_ids", id)) for id in ids)
    params = (("workflowInstanceIds", named_ids),)
    return Call(
        "POST",
        f"{INSTANCES}/{verb}",
        read,
        params,
        accept=XML,
        replay=Replay.ONCE,
        success=CHANGE_STATUSES,
        name=f"workflows.{verb}",
    )


def _read_root(reply: Reply, rows: str | None = None) -> dict[str, Any]:
    """Return the children of the root element. With `rows`, elements of that name are collected as rows.

    The name of the root is not checked, because it is not documented.
    """
    tree = xml_tree(reply.body) if rows is None else xml_list(reply.body, rows)
    if isinstance(tree, dict):
        return tree
    if tree.strip():
        raise DecodeError("expected elements, got a text @ /")
    return {}


def _rows(tree: dict[str, Any], name: str) -> RowBlock:
    """Return the rows of a list. A response with children other than rows and counts is not a list."""
    others = [child for child in tree if not child.startswith(("@", "#")) and not child.endswith("Count")]
    if name not in tree and others:
        raise DecodeError(f"expected {name} elements, got {', '.join(others[:3])} @ /")
    rows: RowBlock = tree.get(name, RowBlock())
    return rows


def _read_count(tree: Mapping[str, Any], name: str) -> int | None:
    text = (element_text(tree.get(name)) or "").strip()
    if not text:
        return None
    try:
        return parse_int(text)
    except TypeMismatch as error:
        reason = str(error)
    raise DecodeError(f"{reason} @ /{name}")


def total_count(tree: Mapping[str, Any]) -> int | None:
    """Return the total of a list. None if the list does not have it."""
    return _read_count(tree, "TotalCount")


def _read_contexts(reply: Reply) -> Page[Context]:
    tree = _read_root(reply, "WorkflowContext")
    return Page(read_records(_rows(tree, "WorkflowContext"), Context))


def _read_workflow_page(next_page: Callable[..., Call[Page[Workflow]]], start: int, reply: Reply) -> Page[Workflow]:
    tree = _read_root(reply, ROW)
    items = read_records(_rows(tree, ROW), Workflow)
    total = total_count(tree)
    end = start + len(items)
    is_last = not items or (total is not None and end >= total)
    return Page(items, None if is_last else next_page(start=end), total)


def _read_total(reply: Reply) -> int:
    tree = _read_root(reply, ROW)
    _rows(tree, ROW)
    total = total_count(tree)
    if total is None:
        raise DecodeError("required field missing, so count the rows of workflows.list() instead @ /TotalCount")
    if total < 0:
        raise DecodeError(f"expected a count, got {total} @ /TotalCount")
    return total


def _read_mark(reply: Reply) -> tuple[int, int | None]:
    rows = read_records(_rows(_read_root(reply, ROW), ROW), Workflow)
    return _read_total(reply), rows[0].id if rows else None


def _read_workflow(id: int, reply: Reply) -> Workflow:
    workflow = read_element(_read_root(reply), Workflow)
    if workflow.id != id:
        raise ResponseMismatch(f"workflow {id}", f"workflow {workflow.id}")
    return workflow


def _read_started(correlation_id: str, reply: Reply) -> Started:
    """Return the start. The server has accepted it, so a response that says less than it could is not an error."""
    tree = _read_root(reply) if reply.body.strip() else {}
    try:
        workflow = read_element(tree, Workflow)
    except DecodeError:
        if tree and "Id" not in tree:
            raise  # a document about something else, such as a page of a proxy
        return Started(id=_read_id(tree), correlation_id=correlation_id)
    return Started(id=workflow.id, correlation_id=correlation_id, workflow=workflow)


def _read_id(tree: dict[str, Any]) -> int | None:
    try:
        return _read_count(tree, "Id")
    except DecodeError:
        return None


def _read_terminated(reply: Reply) -> AcceptedCounts:
    """Return the counts. The body is not documented, so only numbers that tell of a failure count."""
    return _read_counts(_read_root(reply)) if reply.body.lstrip().startswith(b"<") else AcceptedCounts()


def _read_retried(reply: Reply) -> AcceptedCounts:
    tree = _read_root(reply) if reply.body.strip() else {}
    if "SuccessfulNumber" not in tree and "FailedNumber" not in tree:
        raise DecodeError("required field missing @ /SuccessfulNumber")
    return _read_counts(tree)


def _read_counts(tree: dict[str, Any]) -> AcceptedCounts:
    return AcceptedCounts(_read_count(tree, "SuccessfulNumber") or 0, _read_count(tree, "FailedNumber") or 0)
