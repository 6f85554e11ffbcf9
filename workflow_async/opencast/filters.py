"""The filter and sort grammar of the External API. Pure.

The server splits a filter at every comma, and there is no escape. It ignores a term without a value. A comma in a title
would therefore change the filter, and an empty value would return everything. Such values raise `InvalidArgument`.

See tests/contract/opencast.md, sections 1.2 and 1.3.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypedDict, get_args
from urllib.parse import quote_plus

from workflow_async._core.call import checked_values
from workflow_async.errors import InvalidArgument
from workflow_async.opencast.records import State

Texts = str | Iterable[str]
States = State | str | Iterable[State | str]

EventSort = Literal[
    "event_title:asc", "event_title:desc", "event_created:asc", "event_created:desc",
    "event_creator:asc", "event_creator:desc", "event_contributor:asc", "event_contributor:desc",
    "event_language:asc", "event_language:desc", "event_license:asc", "event_license:desc",
    "event_subject:asc", "event_subject:desc", "series_id:asc", "series_id:desc",
    "series_title:asc", "series_title:desc",
    "definition_id:asc", "definition_id:desc",
]  # fmt: skip
"""One key and its direction. Without a sort the server orders by event date, oldest first."""

DefinitionSort = Literal[
    "identifier:asc", "identifier:desc", "title:asc", "title:desc", "displayorder:asc", "displayorder:desc"
]  # fmt: skip

WORKFLOW_SORTS = frozenset(key.partition(":")[0] for key in get_args(EventSort))
TEXTS = frozenset(
    {
        "event_title", "event_creator", "event_contributor", "event_language", "event_license", "event_subject",
        "series_title", "text_filter",
    }
)  # fmt: skip
"""Filters that match any part of a text, ignore case, and know wildcards."""
WIRE_NAMES = {
    "definition_id": "workflow_definition_identifier",
    "event_id": "event_identifier",
    "series_id": "series_identifier",
    "text_filter": "textFilter",
}
"""Filters and sort keys that have another name on the wire."""
MAX_FILTER = 7_500
"""Maximum bytes of a filter in the URL. Opencast's Jetty accepts 8,192 bytes for the request line and all headers, and
answers 414 to more.
"""
EXAMPLE = "2018-03-01T00:00:00Z/2018-03-31T23:59:59Z"
DEFINITION_SORTS = frozenset(key.partition(":")[0] for key in get_args(DefinitionSort))


class WorkflowFilters(TypedDict, total=False):
    """Filters of workflows. Different filters are ANDed.

    Several values of `state` or `current_operation` are ORed. Several values of `state_not` or `current_operation_not`
    exclude each of them. Ids must match exactly.

    Text filters match any part of the text and ignore case. The text filters are `event_title`, `event_creator`,
    `event_contributor`, `event_language`, `event_license`, `event_subject`, `series_title` and `text_filter`. In a text
    filter `*` matches any characters and `?` matches one character. The server has no escape for either, so `What is
    love?` also matches "What is love!". See `literal` of `workflows.list`.
    """

    state: States
    state_not: States
    current_operation: Texts
    current_operation_not: Texts
    definition_id: str
    event_id: str
    event_title: str
    event_created: tuple[datetime, datetime] | str
    """First and last date, both included. Either two aware datetimes or a text such as
    `2018-03-01T00:00:00Z/2018-03-31T23:59:59Z`. An event without a date counts as one of 1970-01-01T00:00:00Z.
    """
    event_creator: str
    event_contributor: str
    event_language: str
    event_license: str
    event_subject: str
    series_id: str
    series_title: str
    text_filter: str
    """Any part of the fields of the workflow and of its event."""


def definition_filter(tags: Texts) -> str:
    """Return the `filter` parameter for tags. A definition must have all of them."""
    terms = [term("tag", checked_value("tag", tag)) for tag in several("tag", tags)]
    check_size({"tag": terms})
    return ",".join(terms)


def checked_value(name: str, value: str) -> str:
    """Return the value of one term. Raise `InvalidArgument` if the server would read it differently."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidArgument(
            name, "must be a text that is not empty: the server skips an empty filter and returns everything"
        )
    if "," in value:
        raise InvalidArgument(
            name,
            "must not contain a comma, because the server splits there: filter by another part of it",
        )
    if not value.isprintable():
        raise InvalidArgument(name, "must not contain control characters")
    return value


def term(name: str, value: str) -> str:
    """Return one term of a filter, with the server's name of the filter."""
    return f"{WIRE_NAMES.get(name, name)}:{value}"


def several(name: str, value: Any) -> list[Any]:
    """Return one value or several values as a list. Raise `InvalidArgument` if there are none."""
    values = [value] if isinstance(value, str | State) else list(checked_values(name, value))
    if not values:
        raise InvalidArgument(name, "must name at least one: with none the server would return everything")
    return values


def workflow_sort(sort: str) -> str:
    """Return the `sort` parameter of a list of workflows."""
    if isinstance(sort, list | tuple) or (isinstance(sort, str) and "," in sort):
        why = "must be one key, because of several the server uses an arbitrary one: sort the rows in your code"
        raise InvalidArgument("sort", why)
    if isinstance(sort, str) and sort.partition(":")[0] == "event_id":
        why = "must not be by event_id, which every server answers with 500: sort the rows in your code"
        raise InvalidArgument("sort", why)
    return sort_param(sort, WORKFLOW_SORTS)


def definition_sort(sort: str) -> str:
    """Return the `sort` parameter of a list of definitions, for one key."""
    if isinstance(sort, str) and "," in sort:
        raise InvalidArgument("sort", "must be one key: give several keys as a list")
    return sort_param(sort, DEFINITION_SORTS)


def interval(argument: str, value: tuple[datetime, datetime] | str) -> tuple[datetime, datetime]:
    """Return two aware datetimes, given as such or as a text with a slash. Raise `InvalidArgument` otherwise."""
    instants = _parse_interval(argument, value) if isinstance(value, str) else value
    match instants:
        case (datetime() as first, datetime() as last):
            pass
        case _:
            raise InvalidArgument(argument, f"must be two datetimes, or a text such as {EXAMPLE}")
    if first.utcoffset() is None or last.utcoffset() is None:
        raise InvalidArgument(argument, "must be two aware datetimes: give them a tzinfo, such as datetime.UTC")
    if last < first:
        raise InvalidArgument(argument, "must not end before it begins")
    return first, last


def period(argument: str, value: tuple[datetime, datetime] | str) -> str:
    """Return two aware datetimes as the server reads them: in UTC, in whole seconds, both included."""
    first, last = interval(argument, value)
    try:
        end = last + timedelta(microseconds=-last.microsecond % 1_000_000)
        return f"{_format_instant(first)}/{_format_instant(end)}"
    except OverflowError:
        raise InvalidArgument(argument, "must lie between the years 1 and 9999 in UTC") from None


def _parse_interval(argument: str, text: str) -> tuple[datetime, ...]:
    try:
        return tuple(datetime.fromisoformat(part.strip()) for part in text.split("/"))
    except ValueError:
        why = f"must be two datetimes with a slash between them, such as {EXAMPLE}"
    raise InvalidArgument(argument, why)


def check_size(terms: Mapping[str, Sequence[str]]) -> None:
    """Raise `InvalidArgument` if the filter is larger than servers accept. The error names the longest part."""
    size = len(quote_plus(",".join(term for values in terms.values() for term in values)))
    if size <= MAX_FILTER:
        return
    longest = max(terms, key=lambda name: len(quote_plus(",".join(terms[name]))))
    why = f"makes the filter {size} bytes long, and servers take about {MAX_FILTER}: send less and compare the rows"
    raise InvalidArgument(longest, why)


def split_by_size(ids: Iterable[str], room: int = MAX_FILTER) -> Iterator[Sequence[str]]:
    """Yield each id once, in batches that fit into the filter of one request.

    Args:
        ids: the ids of events.
        room: the maximum bytes of the ids of a batch in a URL.
    """
    batch: list[str] = []
    size = 0
    for id in dict.fromkeys(ids):
        added = len(quote_plus(f"identifier:{id},"))
        if batch and size + added > room:
            yield batch
            batch, size = [], 0
        batch.append(id)
        size += added
    if batch:
        yield batch


def sort_param(sort: str, names: frozenset[str], wire_names: Mapping[str, str] = WIRE_NAMES) -> str:
    """Return the `sort` parameter for one key with its direction.

    Raises:
        InvalidArgument: the key is none of these names, or there is no direction.
    """
    if not isinstance(sort, str):
        raise InvalidArgument("sort", "must be a text such as title:asc")
    name, _, direction = sort.partition(":")
    if name not in names:
        raise InvalidArgument("sort", f"must be by one of {', '.join(sorted(names))}")
    if direction.lower() not in {"asc", "desc"}:
        raise InvalidArgument("sort", f"must name a direction: {name}:asc or {name}:desc")
    return f"{wire_names.get(name, name)}:{direction.upper()}"


def _format_instant(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
