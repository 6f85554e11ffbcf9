"""Checks filters of lists, and refuses values that the server's queries cannot carry. Pure.

Several words are sent as one list with commas, so a word with a comma would count as two. See
tests/contract/preservica.md, sections 1 and 2.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, TypedDict

from workflow_async._core.auth import LONE_SURROGATE
from workflow_async._core.call import Params, checked_values, parse_id
from workflow_async.errors import InvalidArgument
from workflow_async.preservica.records import Context, State

Texts = str | Iterable[str]
States = State | str | Iterable[State | str]

WorkflowType = Literal["Ingest", "Access", "Transformation", "DataManagement"]
MonitorStatus = Literal["Pending", "Running", "Succeeded", "Failed", "Suspended", "Recoverable"]
MonitorCategory = Literal["Ingest", "Export", "DataManagement", "Automated"]
MessageStatus = Literal["Debug", "Info", "Warning", "Error"]

TYPES = ("Ingest", "Access", "Transformation", "DataManagement")
MONITOR_STATUSES = ("Pending", "Running", "Succeeded", "Failed", "Suspended", "Recoverable")
MONITOR_CATEGORIES = ("Ingest", "Export", "DataManagement", "Automated")
MESSAGE_STATUSES = ("Debug", "Info", "Warning", "Error")

QUERY_STATES = (
    State.ABORTED,
    State.ACTIVE,
    State.COMPLETED,
    State.FINISHED_MIXED_OUTCOME,
    State.PENDING,
    State.SUSPENDED,
    State.UNKNOWN,
    State.FAILED,
)
"""The states that a query can name."""
EVERY_STATE = tuple(str(state.value) for state in QUERY_STATES)
"""The words that a query for every state names."""


class WorkflowFilters(TypedDict, total=False):
    """Filters of workflows. Different filters are ANDed. None counts as not given."""

    state: States | None
    """In this state, or in one of these."""
    type: WorkflowType | None
    """Of contexts of this type."""
    context: Context | int | str | None
    """Of this context, or of the context with this id."""
    creator: str | None
    """Started by this user."""
    since: datetime | None
    """Started then or later. Must be aware."""
    until: datetime | None
    """Started then or earlier. Must be aware."""


def given_params(**params: str | None) -> Params:
    """Return the parameters that have a value."""
    return tuple((name, value) for name, value in params.items() if value is not None)


def checked_filled(argument: str, value: str) -> str:
    """Return the text. Raise `InvalidArgument` if it is blank or cannot be encoded."""
    if not isinstance(value, str) or not value.strip() or LONE_SURROGATE.search(value):
        del value  # it may be a password, and a traceback may print local variables
        raise InvalidArgument(argument, "must be a text that is not blank and can be encoded")
    return value


def checked_text(argument: str, value: str) -> str:
    """Return the text. Raise `InvalidArgument` if the server could read it as several."""
    if "," in checked_filled(argument, value):
        raise InvalidArgument(argument, "must not contain a comma, because the server may split there")
    return value


def checked_texts(argument: str, value: Texts) -> tuple[str, ...]:
    """Return one text or several texts as a tuple. Raise `InvalidArgument` for a blank text and for none."""
    texts = (value,) if isinstance(value, str) else checked_values(argument, value)
    if not texts:
        raise InvalidArgument(argument, "must name at least one: with none the server would return everything")
    return tuple(checked_filled(argument, text) for text in texts)


def one_of(argument: str, options: tuple[str, ...], value: str) -> str:
    """Return a word in the server's spelling. Case is ignored."""
    spellings = {option.lower(): option for option in options}
    if not isinstance(value, str) or value.lower() not in spellings:
        raise InvalidArgument(argument, f"must be one of {', '.join(options)}")
    return spellings[value.lower()]


def comma_list(argument: str, options: tuple[str, ...], value: Texts) -> str:
    """Return words in the server's spelling as its list with commas."""
    return ",".join(one_of(argument, options, text) for text in checked_texts(argument, value))


def checked_states(value: States) -> tuple[str, ...]:
    """Return one state or several states in the server's spelling. Raise `InvalidArgument` for other words."""
    states = (value,) if isinstance(value, str | State) else checked_values("state", value)
    if not states:
        raise InvalidArgument("state", "must name at least one: with none the server would return everything")
    return tuple(_query_state(state) for state in states)


def _query_state(value: State | str) -> str:
    state = State.named(value) if isinstance(value, str) else value
    if state not in QUERY_STATES:
        raise InvalidArgument("state", f"must be one of {', '.join(state.value for state in QUERY_STATES)}")
    return str(state.value)


def context_id(value: Context | int | str) -> str:
    """Return the id of a context. Raise `InvalidArgument` for a name, by which the server cannot filter."""
    if isinstance(value, Context):
        return checked_text("context", value.id)
    if isinstance(value, str) and not is_digits(value):
        raise InvalidArgument("context", "must be a Context or its id: the server does not filter by a context's name")
    return str(parse_id("context", value))


def is_digits(text: str) -> bool:
    """Return True if a text is a whole number."""
    return text.isascii() and text.isdigit()


def period(since: datetime | None, until: datetime | None) -> tuple[str | None, str | None]:
    """Return two instants as the server reads them, both included."""
    first, last = format_instant("since", since), format_instant("until", until, up=True)
    if since is not None and until is not None and since > until:
        raise InvalidArgument("until", "must not be before since")
    return first, last


def format_instant(argument: str, value: datetime | None, *, up: bool = False) -> str | None:
    """Return an aware datetime in UTC and in whole milliseconds, such as 2025-11-18T00:00:00.000Z."""
    if value is None:
        return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidArgument(argument, "must be an aware datetime: give it a tzinfo, such as datetime.UTC")
    excess = value.microsecond % 1000
    try:
        rounded = value.astimezone(UTC) + timedelta(microseconds=(1000 - excess if up and excess else -excess))
    except OverflowError:
        raise InvalidArgument(argument, "must lie between the years 1 and 9999 in UTC") from None
    return rounded.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
