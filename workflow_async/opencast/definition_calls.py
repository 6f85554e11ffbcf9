"""Builds the requests about workflow definitions. Pure. See tests/contract/opencast.md, section 3."""

from functools import partial

from workflow_async._core.call import Call, Page, Params, Reply, path_segment
from workflow_async._decode.json import json_tree
from workflow_async._decode.records import read_page, structure
from workflow_async.errors import ResponseMismatch
from workflow_async.opencast.converter import with_documented_keys
from workflow_async.opencast.definition_records import Definition
from workflow_async.opencast.params import nonempty
from workflow_async.opencast.responses import API, BY_ID, CONVERTER, rows_of, with_requested, with_requested_fields

DEFINITIONS = "/api/workflow-definitions"


def list_definitions(
    *, filter: str, sort: str, include: Params, limit: int | None, offset: int = 0
) -> Call[Page[Definition]]:
    """Return the call for the definitions. The server returns all of them in one response."""
    rows = {"limit": "" if limit is None else str(limit), "offset": str(offset or "")}
    params = (*nonempty(filter=filter, sort=sort, **rows), *include)
    return Call(
        "GET",
        DEFINITIONS,
        lambda reply: Page(_read_definitions(include, reply)),
        params,
        signature=API,
        name="definitions.list",
    )


def get_definition(definition_id: str, include: Params = ()) -> Call[Definition]:
    """Return the call for one definition."""
    path = f"{DEFINITIONS}/{path_segment('definition_id', definition_id)}"
    read, template = partial(_read_definition, include, definition_id), f"{DEFINITIONS}/{{id}}"
    return Call("GET", path, read, include, signature=BY_ID, name="definitions.get", template=template)


def _read_definition(include: Params, id: str, reply: Reply) -> Definition:
    tree = with_documented_keys(with_requested_fields(include, json_tree(reply.body)))
    definition = structure(CONVERTER, tree, Definition)
    if definition.id != id:
        raise ResponseMismatch(f"definition {id}", f"definition {definition.id}")
    return definition


def _read_definitions(include: Params, reply: Reply) -> tuple[Definition, ...]:
    trees = (with_documented_keys(tree) for tree in with_requested(include, rows_of(reply)))
    return read_page(CONVERTER, trees, Definition)
