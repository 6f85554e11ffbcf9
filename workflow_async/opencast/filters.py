"""The filter and sort grammar of the External API, and what it cannot carry (contract: opencast.md 1.2, 1.3). Pure.

The server splits a filter at every comma, has no escape, and silently skips a term without a value, so that a comma in
a title filters by something else and an empty value returns everything. Such values are refused here.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypedDict, cast, get_args

from workflow_async.errors import InvalidArgument
from workflow_async.opencast.records import State, Workflow

Words = str | Iterable[str]
States = State | str | Iterable[State | str]

EventSort = Literal[
    "event_title:asc", "event_title:desc", "event_created:asc", "event_created:desc",
    "event_creator:asc", "event_creator:desc", "event_contributor:asc", "event_contributor:desc",
    "event_language:asc", "event_language:desc", "event_license:asc", "event_license:desc",
    "event_subject:asc", "event_subject:desc", "series_identifier:asc", "series_identifier:desc",
    "series_title:asc", "series_title:desc",
    "workflow_definition_identifier:asc", "workflow_definition_identifier:desc",
]  # fmt: skip
"""One key and its direction; without a sort the server goes by event date, oldest first."""

DefinitionSort = Literal[
    "identifier:asc", "identifier:desc", "title:asc", "title:desc", "displayorder:asc", "displayorder:desc"
]  # fmt: skip

WORKFLOW_SORTS = frozenset(key.partition(":")[0] for key in get_args(EventSort))
SEVERAL = frozenset({"state", "state_not", "current_operation", "current_operation_not"})
DEFINITION_SORTS = frozenset(key.partition(":")[0] for key in get_args(DefinitionSort))


class WorkflowFilters(TypedDict, total=False):
    """What workflows can be filtered by; different names are ANDed.

    Several `state` or `current_operation` are ORed; several `state_not` or `current_operation_not` are ANDed (none of
    them). Text filters of the event and the series match any part, in any case; identifiers match whole.
    """

    state: States
    state_not: States
    current_operation: Words
    current_operation_not: Words
    workflow_definition_identifier: str
    event_identifier: str
    event_title: str
    event_created: tuple[datetime, datetime]
    """From and to, both included; both aware."""
    event_creator: str
    event_contributor: str
    event_language: str
    event_license: str
    event_subject: str
    series_identifier: str
    series_title: str
    text_filter: str
    """Any part of the workflow's and the event's fields."""


def workflow_filter(filters: WorkflowFilters) -> str:
    """The `filter` parameter for these filters; raises `InvalidArgument` for what the grammar cannot carry."""
    unknown = filters.keys() - WorkflowFilters.__annotations__.keys()
    if unknown:
        raise InvalidArgument(min(unknown), "is no filter of workflows; see WorkflowFilters for those there are")
    for name in ("state", "current_operation"):
        if name in filters and f"{name}_not" in filters:
            raise InvalidArgument(f"{name}_not", f"must not be mixed with {name}: the server's answer is arbitrary")
    return ",".join(term for name, value in filters.items() for term in _terms(name, value))


def settled(filters: WorkflowFilters) -> WorkflowFilters:
    """The same filters, to be read more than once."""
    several = {name: tuple(_several(name, value)) for name, value in filters.items() if name in SEVERAL}
    return cast("WorkflowFilters", {**filters, **several})


def without(filters: WorkflowFilters, *names: str) -> WorkflowFilters:
    """The other filters."""
    return cast("WorkflowFilters", {name: value for name, value in filters.items() if name not in names})


def in_state(filters: WorkflowFilters) -> Callable[[Workflow], bool] | None:
    """What the filters of the state let through; None if there are none."""
    for name, wanted in (("state", True), ("state_not", False)):
        if name in filters:
            words = frozenset(_state(name, word) for word in _several(name, filters.get(name)))
            return lambda workflow: (workflow.state.value in words) is wanted
    return None


def definition_filter(tags: Words) -> str:
    """The `filter` parameter for tags; a definition must have all of them."""
    return ",".join(term("tag", tag) for tag in _several("tag", tags))


def term(name: str, value: str) -> str:
    """One term of a filter."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidArgument(
            name, "must be a text that is not empty: the server skips an empty filter and returns everything"
        )
    if "," in value:
        raise InvalidArgument(
            name,
            "must not contain a comma, where the server cuts it: filter by a part without one, and again on your side",
        )
    if not value.isprintable():
        raise InvalidArgument(name, "must not contain control characters")
    return f"{name}:{value}"


def workflow_sort(sort: str) -> str:
    """The `sort` parameter of workflows."""
    if sort.partition(":")[0] == "event_identifier":
        raise InvalidArgument("sort", "by event_identifier is answered with 500 by every server: sort on your side")
    return _sort(sort, WORKFLOW_SORTS)


def definition_sort(sort: str) -> str:
    """The `sort` parameter of definitions."""
    return _sort(sort, DEFINITION_SORTS)


def period(argument: str, value: tuple[datetime, datetime]) -> str:
    """Two aware instants as the server reads them: UTC, whole seconds, both included."""
    first, last = value
    if first.tzinfo is None or last.tzinfo is None:
        raise InvalidArgument(argument, "must be two aware datetimes: give them a tzinfo, such as datetime.UTC")
    if last < first:
        raise InvalidArgument(argument, "must not end before it begins")
    widened = last + timedelta(microseconds=-last.microsecond % 1_000_000)
    return f"{_second(first)}/{_second(widened)}"


def _sort(sort: str, names: frozenset[str]) -> str:
    name, _, order = sort.partition(":")
    if "," in sort:
        raise InvalidArgument("sort", "must be one key: of several the server uses an arbitrary one")
    if name not in names:
        raise InvalidArgument("sort", f"must be by one of {', '.join(sorted(names))}")
    if order.lower() not in {"asc", "desc"}:
        raise InvalidArgument("sort", f"must say in which order: {name}:asc or {name}:desc")
    return f"{name}:{order.upper()}"


def _terms(name: str, value: Any) -> list[str]:
    if name in {"state", "state_not"}:
        return [term(name, _state(name, word)) for word in _several(name, value)]
    if name in {"current_operation", "current_operation_not"}:
        return [term(name, word) for word in _several(name, value)]
    if name == "event_created":
        return [term(name, period(name, value))]
    return [term("textFilter" if name == "text_filter" else name, value)]


def _several(name: str, value: Any) -> list[Any]:
    words = [value] if isinstance(value, str | State) else list(value)
    if not words:
        raise InvalidArgument(name, "must name at least one: with none the server would return everything")
    return words


def _state(name: str, word: State | str) -> str:
    state = word if isinstance(word, State) else State.read(word)
    if state is State.UNKNOWN:
        raise InvalidArgument(name, f"must be of {', '.join(s.value for s in State if s is not State.UNKNOWN)}")
    return str(state.value)


def _second(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
