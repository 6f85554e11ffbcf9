"""Every request the workflow service is sent, as a value that reads its answer (contract: preservica.md 1). Pure."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from workflow_async._core.call import Call, Page, ParameterValue, Params, Replay, Reply, parse_id, stringify
from workflow_async._core.status import REJECTIONS
from workflow_async._decode.values import TypeMismatch, parse_int
from workflow_async._decode.xml import xml_bytes, xml_list, xml_tree
from workflow_async._decode.xml_rows import RowBlock
from workflow_async.errors import DecodeError, InvalidArgument, ResponseMismatch
from workflow_async.preservica.converter import element, leaf, page_of
from workflow_async.preservica.filters import filled
from workflow_async.preservica.records import Context, Started, Tally, Workflow

NAMESPACE = "http://workflow.preservica.com"
CONTEXTS = "/sdb/rest/workflow/contexts"
INSTANCES = "/sdb/rest/workflow/instances"
VERSION = "/api/entity/versiondetails/version"
XML = "application/xml"
CREATED = frozenset({200, 201, 202})
ACCEPTED = frozenset({200, 202})


def list_contexts(query: Params) -> Call[Page[Context]]:
    """The active contexts, all in one answer: the server has no pages of them."""
    return Call("GET", CONTEXTS, _contexts, query, accept=XML)


def list_workflows(query: Params, *, size: int, start: int = 0) -> Call[Page[Workflow]]:
    """A page of workflows, from the row number `start` on."""
    asked = (*query, ("start", str(start)), ("max", str(size)))
    following = partial(list_workflows, query, size=size)
    return Call("GET", INSTANCES, partial(_workflow_page, following, start), asked, accept=XML)


def get_workflow(id: int) -> Call[Workflow]:
    """One workflow, with its errors."""
    return Call("GET", f"{INSTANCES}/{id}", partial(_workflow, id), (("includeErrors", "true"),), accept=XML)


def start_workflow(
    context_id: str | None,
    context_name: str | None,
    parameters: Mapping[str, ParameterValue] | None,
    correlation_id: str,
) -> Call[Started]:
    """Start a workflow of a context, which is named by its id, its name, or both."""
    asked: list[tuple[str, str | list[tuple[str, str]]]] = []
    if context_id is not None:
        asked.append(("WorkflowContextId", filled("context", context_id)))
    if context_name is not None:
        asked.append(("WorkflowContextName", filled("context", context_name)))
    asked += [
        ("Parameter", [("Key", key), ("Value", value)])
        for key, value in stringify("parameters", parameters or {}).items()
    ]
    asked.append(("CorrelationId", filled("correlation_id", correlation_id)))
    return Call(
        "POST",
        INSTANCES,
        partial(_started, correlation_id),
        body=xml_bytes("StartWorkflowRequest", NAMESPACE, asked),
        content_type="application/xml;charset=UTF-8",
        accept=XML,
        replay=Replay.ONCE,
        success=CREATED,
        refusals=REJECTIONS,
    )


def terminate_workflows(ids: Sequence[int | str]) -> Call[Tally]:
    """Ask for these workflows to end, which they do later."""
    return _on_many("terminate", ids, _terminated)


def retry_workflows(ids: Sequence[int | str]) -> Call[Tally]:
    """Let these failed or suspended workflows try again."""
    return _on_many("retry", ids, _retried)


def get_version() -> Call[None]:
    """Ask for the version of the server, which every user may read: what answers otherwise is no Preservica."""
    return Call("GET", VERSION, _version, accept=XML)


def _version(reply: Reply) -> None:
    if b"CurrentVersion" not in reply.body:
        raise DecodeError("expected a CurrentVersion element @ /")


def _on_many(verb: str, ids: Sequence[int | str], read: Callable[[Reply], Tally]) -> Call[Tally]:
    if not ids:
        raise InvalidArgument("workflow_ids", f"must name the workflows to {verb}: the server may take none for all")
    if any(isinstance(id, Collection) and not isinstance(id, str | bytes) for id in ids):
        raise InvalidArgument("workflow_ids", f"must be given one by one, such as {verb}(7, 8) or {verb}(*ids)")
    named = ",".join(str(parse_id("workflow_ids", id)) for id in ids)
    asked = (("workflowInstanceIds", named),)
    path = f"{INSTANCES}/{verb}"
    return Call("POST", path, read, asked, accept=XML, replay=Replay.ONCE, success=ACCEPTED)


def _document(reply: Reply, listed: str | None = None) -> dict[str, Any]:
    """The children of a document's root, whose own name is known of no answer; with `RowBlock` of this name."""
    tree = xml_tree(reply.body) if listed is None else xml_list(reply.body, listed)
    if isinstance(tree, dict):
        return tree
    if tree.strip():
        raise DecodeError("expected elements, got a text @ /")
    return {}


def _rows(tree: dict[str, Any], name: str) -> RowBlock:
    """The rows of a list; an answer with other children than rows and counts is no list."""
    others = [child for child in tree if not child.startswith(("@", "#")) and not child.endswith("Count")]
    if name not in tree and others:
        raise DecodeError(f"expected {name} elements, got {', '.join(others[:3])} @ /")
    found: RowBlock = tree.get(name, RowBlock())
    return found


def _count(tree: dict[str, Any], name: str) -> int | None:
    text = (leaf(tree.get(name)) or "").strip()
    if not text:
        return None
    try:
        return parse_int(text)
    except TypeMismatch as error:
        fault = str(error)
    raise DecodeError(f"{fault} @ /{name}")


def _contexts(reply: Reply) -> Page[Context]:
    tree = _document(reply, "WorkflowContext")
    return Page(page_of(_rows(tree, "WorkflowContext"), Context))


def _workflow_page(following: Callable[..., Call[Page[Workflow]]], start: int, reply: Reply) -> Page[Workflow]:
    tree = _document(reply, "WorkflowInstance")
    items = page_of(_rows(tree, "WorkflowInstance"), Workflow)
    total = _count(tree, "TotalCount")
    end = start + len(items)
    over = not items or (total is not None and end >= total)
    return Page(items, None if over else following(start=end), total)


def _workflow(id: int, reply: Reply) -> Workflow:
    workflow = element(_document(reply), Workflow)
    if workflow.id != id:
        raise ResponseMismatch(f"workflow {id}", f"workflow {workflow.id}")
    return workflow


def _started(correlation_id: str, reply: Reply) -> Started:
    """The server has said yes: an answer that says less than it could is no failure."""
    tree = _document(reply) if reply.body.strip() else {}
    try:
        workflow = element(tree, Workflow)
    except DecodeError:
        if tree and "Id" not in tree:
            raise  # a document about something else: a portal's, a proxy's
        return Started(id=_id(tree), correlation_id=correlation_id)
    return Started(id=workflow.id, correlation_id=correlation_id, workflow=workflow)


def _id(tree: dict[str, Any]) -> int | None:
    try:
        return _count(tree, "Id")
    except DecodeError:
        return None


def _terminated(reply: Reply) -> Tally:
    """Nobody has written down what the body is, if there is one: only numbers that say otherwise count."""
    return _tally(_document(reply)) if reply.body.lstrip().startswith(b"<") else Tally()


def _retried(reply: Reply) -> Tally:
    tree = _document(reply) if reply.body.strip() else {}
    if "SuccessfulNumber" not in tree and "FailedNumber" not in tree:
        raise DecodeError("required field missing @ /SuccessfulNumber")
    return _tally(tree)


def _tally(tree: dict[str, Any]) -> Tally:
    return Tally(_count(tree, "SuccessfulNumber") or 0, _count(tree, "FailedNumber") or 0)
