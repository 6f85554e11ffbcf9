"""Builds the requests that count workflows. Pure.

The External API has no count. `/workflow/count` counts by state from Opencast 6 on. Up to Opencast 11
`/workflow/instances.json` has a total for all filters. Both are internal and need ROLE_ADMIN. See
tests/contract/opencast.md, section 1.7.
"""

from collections.abc import Callable
from functools import partial

from workflow_async._core.call import DIGITS, Call, Params, Reply
from workflow_async._decode.json import json_tree
from workflow_async._decode.values import TypeMismatch, parse_int
from workflow_async.errors import (
    CallError,
    CountNotSupported,
    DecodeError,
    InvalidArgument,
    UnexpectedContent,
)
from workflow_async.opencast.filters import States
from workflow_async.opencast.params import checked_text
from workflow_async.opencast.query import WorkflowQuery
from workflow_async.opencast.responses import API

COUNT = "/workflow/count"
INSTANCES = "/workflow/instances.json"
NAME = "workflows.count"
ONE_ROW: Params = (("count", "1"), ("compact", "true"))
"""The smallest page. The server takes 0 for its default of 20."""
TOTAL_PATH = "$.workflows.totalCount"


def count_calls(
    state: States | None, definition_id: str | None, current_operation: str | None
) -> tuple[Call[int], ...]:
    """Return the calls whose results add up to the count.

    Raises:
        InvalidArgument: a filter cannot be sent.
    """
    states = () if state is None else _state_words(state)
    given = {"definition_id": definition_id, "current_operation": current_operation}
    values = {name: checked_text(name, value) for name, value in given.items() if value is not None}
    if values.get("current_operation", "").startswith("-"):
        raise InvalidArgument("current_operation", "must not begin with -, which the server reads as a negation")
    if values:
        return (_total_call(states, values),)
    return tuple(_count_call((("state", word),)) for word in states) or (_count_call(()),)


def _state_words(state: States) -> tuple[str, ...]:
    """Return the states in the server's spelling, each once. The endpoint refuses other spellings with 400."""
    return tuple(dict.fromkeys(word.upper() for word in WorkflowQuery.of(state=state).values["state"]))


def _count_call(params: Params) -> Call[int]:
    """Return the call for the number of workflows, in one state or in all."""
    refusals = _refusals(())
    return Call("GET", COUNT, _read_number, params, accept="text/plain", refusals=refusals, signature=API, name=NAME)


def _total_call(states: tuple[str, ...], values: dict[str, str]) -> Call[int]:
    """Return the call for a page with one row and a total. Opencast 12 and later do not serve its path."""
    names = {"definition_id": "workflowdefinition", "current_operation": "op"}
    filters = (*(("state", word) for word in states), *((names[name], value) for name, value in values.items()))
    refusals = _refusals(tuple(values))
    return Call("GET", INSTANCES, _read_total, (*filters, *ONE_ROW), refusals=refusals, signature=API, name=NAME)


def _refusals(filters: tuple[str, ...]) -> dict[int, Callable[[Reply], CallError]]:
    missing = partial(_not_supported, filters)
    return {404: missing, 405: missing}


def _not_supported(filters: tuple[str, ...], reply: Reply) -> CountNotSupported:
    return CountNotSupported(filters, f"its response has status {reply.status}")


def _read_number(reply: Reply) -> int:
    text = reply.text
    if reply.is_page:
        raise UnexpectedContent("expected a number, got a page of markup @ $")
    if not DIGITS.fullmatch(text):
        raise DecodeError("expected a whole number @ $")
    return int(text)


def _read_total(reply: Reply) -> int:
    tree = json_tree(reply.body)
    workflows = tree.get("workflows") if isinstance(tree, dict) else None
    if not isinstance(workflows, dict) or "totalCount" not in workflows:
        raise DecodeError(f"required field missing @ {TOTAL_PATH}")
    try:
        total = parse_int(workflows["totalCount"])
    except TypeMismatch as error:
        raise DecodeError(f"{error} @ {TOTAL_PATH}") from None
    if total < 0:
        raise DecodeError(f"expected a count, got {total} @ {TOTAL_PATH}")
    return total
