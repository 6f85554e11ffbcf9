"""The grammar of `filter` and `sort`, and both for the workflow list of Opencast 11."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from operator import attrgetter, itemgetter
from typing import TypeVar

from attrs import frozen

from workflow_async.sandbox.engine import FakeWorkflow
from workflow_async.sandbox.opencast.definitions import Definition, current_definition_id
from workflow_async.sandbox.opencast.event import Event
from workflow_async.sandbox.opencast.json import STATES, WORKFLOW_STATES, instant

T = TypeVar("T")
_SOLR = "org.apache.solr.client.solrj.SolrServerException: "
UNSORTABLE = f"{_SOLR}{_SOLR}org.apache.solr.common.SolrException: can not sort on undefined field: mediapackageid_sort"


class BadCriterionError(ValueError):
    """An invalid filter or sort, with the text of the response. No text means an empty body."""


class BrokenSortError(Exception):
    """A sort that the server accepts and then fails to do."""


@frozen
class Document:
    """A workflow as it is indexed."""

    run: FakeWorkflow
    event: Event
    state: str
    operation: str
    definition: str
    """The definition id of the error handler after the handler has taken over."""

    @classmethod
    def of(cls, run: FakeWorkflow, event: Event, definition: Definition | None) -> "Document":
        """Index a workflow as it is now."""
        current = run.current
        operation = current.step.name if current is not None and run.active else "none"
        return cls(run.copy(), event, STATES[run.status], operation, current_definition_id(run, definition))


Test = Callable[[Document], bool]


def split_filter(raw: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values of a filter. Parts without a colon or a value are ignored."""
    for piece in raw.split(","):
        name, _, value = piece.partition(":")
        if value:
            yield name, value


def workflow_filter(raw: str) -> Test:
    """Return the test for a filter of workflows. Raise `BadCriterionError` for an invalid filter."""
    multi_value: dict[str, list[str]] = {}
    single_value: dict[str, Test] = {}
    for name, value in split_filter(raw):
        if name in _MULTI_VALUE:
            multi_value.setdefault(name, []).append(_MULTI_VALUE[name](value))
        elif name in _SINGLE_VALUE:
            single_value[name] = _SINGLE_VALUE[name](value)
        else:
            raise BadCriterionError(f"Unknown filter criterion in request: {name}")
    tests = [*single_value.values(), *(_is_any_of(name, values) for name, values in multi_value.items())]
    return lambda document: all(test(document) for test in tests)


def _state(value: str) -> str:
    if value.lower() not in WORKFLOW_STATES:
        raise BadCriterionError(f"Invalid workflow state '{value}'")
    return value.lower()


_MULTI_VALUE: Mapping[str, Callable[[str], str]] = {
    "state": _state,
    "state_not": _state,
    "current_operation": str.lower,
    "current_operation_not": str.lower,
}


def _is_any_of(name: str, values: list[str]) -> Test:
    read = attrgetter("state" if name.startswith("state") else "operation")
    wanted = not name.endswith("_not")
    return lambda document: (read(document).lower() in values) is wanted


def _equals(path: str) -> Callable[[str], Test]:
    read = attrgetter(path)
    return lambda value: lambda document: bool(read(document) == value)


def _contains(path: str) -> Callable[[str], Test]:
    read = attrgetter(path)

    def test(value: str) -> Test:
        found = contains_pattern(value)
        return lambda document: found(read(document))

    return test


def contains_pattern(value: str) -> Callable[[str], bool]:
    """Return a test for texts that contain the value in any case. `*` and `?` are wildcards."""
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split("([*?])", value))
    pattern = re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
    return lambda text: pattern.search(text) is not None


def _has_definition(value: str) -> Test:
    return lambda document: document.definition.lower() == value.lower()


def _text(value: str) -> Test:
    found = contains_pattern(value)
    return lambda document: any(found(text) for text in _texts(document))


def _texts(document: Document) -> Iterable[str]:
    event = document.event
    yield from (str(document.run.id), document.state, document.operation, instant(event.indexed_date))
    yield from (event.identifier, event.series, event.series_title, event.title, event.license, event.language)
    yield from (event.creator, event.contributor, event.subject, document.run.creator)


def _created(value: str) -> Test:
    first, last = parse_period(value)
    return lambda document: first <= document.event.indexed_date <= last


def parse_period(value: str, name: str = "event_created") -> tuple[float, float]:
    """Return the two ends of `FROM/TO`, parsed as leniently as by the server.

    Month 13 is the next January, the order of the ends is not checked, and text after the seconds is ignored.
    """
    ends = value.rstrip("/").split("/")
    if len(ends) != len(("from", "to")):
        raise BadCriterionError(f"Filter '{name}' could not be parsed: The date range string is malformed")
    first, last = (_parse_instant(name, which, text) for which, text in zip(("from", "to"), ends, strict=True))
    return first, last


_INSTANT = re.compile(r"([0-9]{1,9})-([0-9]{1,9})-([0-9]{1,9})[^T]*T([0-9]{1,9}):([0-9]{1,9}):([0-9]{1,9})[^T]*")
_EPOCH = date(1970, 1, 1).toordinal()
_CYCLE = 400 * 12
"""The number of months after which the calendar repeats."""
_CYCLE_DAYS = 146_097


def _parse_instant(name: str, which: str, text: str) -> float:
    read = _INSTANT.fullmatch(text)
    if read is None:
        raise BadCriterionError(f"Filter '{name}' could not be parsed: Unable to parse {which} date parameter")
    years, months, days, *clock = map(int, read.groups())
    hours, minutes, seconds = clock
    return (_first_day(12 * years + months - 1) + days - 1) * 86_400 + hours * 3600 + minutes * 60 + seconds


def _first_day(months: int) -> int:
    """Return the first day of a month, in days since 1970. Months are counted from the year 0."""
    cycles, month = divmod(months, _CYCLE)
    return date(400 + month // 12, 1 + month % 12, 1).toordinal() + (cycles - 1) * _CYCLE_DAYS - _EPOCH


_SINGLE_VALUE: Mapping[str, Callable[[str], Test]] = {
    "workflow_definition_identifier": _has_definition,
    "event_identifier": _equals("event.identifier"),
    "series_identifier": _equals("event.series"),
    "event_title": _contains("event.title"),
    "event_creator": _contains("event.creator"),
    "event_contributor": _contains("event.contributor"),
    "event_language": _contains("event.language"),
    "event_license": _contains("event.license"),
    "event_subject": _contains("event.subject"),
    "series_title": _contains("event.series_title"),
    "event_created": _created,
    "textFilter": _text,
}
_SORT_KEYS = {
    "event_title": "event.title",
    "event_created": "event.indexed_date",
    "event_creator": "event.creator",
    "event_contributor": "event.contributor",
    "event_language": "event.language",
    "event_license": "event.license",
    "event_subject": "event.subject",
    "series_identifier": "event.series",
    "series_title": "event.series_title",
    "workflow_definition_identifier": "definition",
}
_ORDERS = {"asc": False, "ascending": False, "desc": True, "descending": True}


def parse_sort(raw: str, allowed: Iterable[str], criterion_name: str = "search") -> list[tuple[str, bool]]:
    """Return the names of a sort, with True for a descending order. `criterion_name` is a word of the error message."""
    return [_sort_criterion(piece, allowed, criterion_name) for piece in raw.split(",")] if raw.strip() else []


def _sort_criterion(piece: str, allowed: Iterable[str], criterion_name: str) -> tuple[str, bool]:
    name, _, order = piece.partition(":")
    if order.lower() not in _ORDERS:
        raise BadCriterionError
    if name.strip() not in allowed:
        raise BadCriterionError(f"Unknown {criterion_name} criterion in request: {name.strip()}")
    return name.strip(), _ORDERS[order.lower()]


def sort_documents(documents: Iterable[Document], raw: str) -> list[Document]:
    """Sort the documents of a list. Only the last criterion counts."""
    criterion = (parse_sort(raw, [*_SORT_KEYS, "event_identifier"]) or [("event_created", False)])[-1]
    name, descends = criterion
    if name == "event_identifier":
        raise BrokenSortError(UNSORTABLE)
    created = sorted(documents, key=attrgetter("event.indexed_date"), reverse=descends or name != "event_created")
    return (
        created if name == "event_created" else sort_by_text(created, attrgetter(_SORT_KEYS[name]), descends=descends)
    )


def sort_by_text(items: Iterable[T], key: Callable[[T], str], *, descends: bool) -> list[T]:
    """Sort items by a text. Items without a text are last."""
    keyed = [(key(item).lower(), item) for item in items]
    named = sorted((pair for pair in keyed if pair[0]), key=itemgetter(0), reverse=descends)
    return [item for _, item in named] + [item for text, item in keyed if not text]
