"""Defines a call as a value: the request, and how to read its response. Pure."""

import enum
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Literal, TypeVar, get_args
from urllib.parse import quote

from attrs import field, frozen

from workflow_async._core.excerpts import is_html, redacted_beginning, shortened_repr
from workflow_async.errors import BODY_CUT, CallError, DecodeError, InvalidArgument

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Params = tuple[tuple[str, str], ...]
OnUnreadable = Literal["raise", "skip"]
"""What to do about unreadable rows: raise one error after all other rows, or leave the rows out."""

MAX_ID = 2**63 - 1
DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
MAX_SEGMENT = 255


class Replay(enum.Enum):
    """What sending a request twice would do."""

    SAFE = "safe"
    """Nothing. The request may be retried."""
    DELETE = "delete"
    """Nothing, but the second response may be 404, which is a success too."""
    ONCE = "once"
    """Harm. The request is not sent again, except after a 401, which the server sends before it acts."""


@frozen
class Reply:
    """A complete response: status, headers by lower-case name, and the decompressed body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The beginning of the body as text, without surrounding white space."""
        return self.body[:BODY_CUT].decode("utf-8", "replace").strip()

    @property
    def is_page(self) -> bool:
        """True if the body is an HTML page, whatever its Content-Type."""
        return is_html(self.body)


NO_MATCH = re.compile(r"(?!)")
"""Matches no text."""


@frozen
class Signature:
    """How to recognise an error response of one API, from its documentation and its source.

    `provenance.author` uses a signature to distinguish the API from a proxy and from a server that is starting.
    """

    api_text: re.Pattern[str] = NO_MATCH
    """Matches the beginning of texts that only the API writes."""
    container_text: re.Pattern[str] = NO_MATCH
    """Matches the beginning of texts that the servlet container writes while the API is not there."""
    always_with_text: frozenset[int] = frozenset()
    """Statuses that the API always sends with a text.

    Something else sent a response with such a status and no text, or with an HTML page.
    """
    redirects_to_login: bool = False
    """True if the API asks for credentials by a redirect to `/login.html`."""


@frozen
class Call(Generic[T_co]):
    """A request, and how to read its response."""

    method: str
    path: str
    read: Callable[[Reply], T_co] = field(repr=False, eq=False)
    params: Params = ()
    body: bytes | None = field(default=None, repr=False)
    content_type: str | None = None
    accept: str = "application/json"
    replay: Replay = Replay.SAFE
    success: frozenset[int] = frozenset({200})
    refusals: Mapping[int, Callable[[Reply], CallError]] = field(factory=dict, repr=False, eq=False)
    """The errors for statuses that have another meaning here than for other calls."""
    signature: Signature = Signature()
    """How to recognise an error response of the API itself."""
    sensitive: bool = False
    """True if the response may hold credentials. Errors keep nothing of such a response."""
    retries_unavailable: bool = True
    """True if the call waits for an unavailable server, as `Retry.patience` says.

    Polls and batches wait themselves.
    """
    obeys_retry_after: bool = True
    """False to raise an error with a `Retry-After` immediately. The caller then pauses all its calls."""
    may_send: Callable[[], bool] | None = field(default=None, repr=False, eq=False)
    """Returns False once the request may no longer be sent. None if it may always be sent."""
    name: str = ""
    """The method of a client that sends it, such as `workflows.get`."""
    template: str = ""
    """The path without values, such as `/api/workflows/{id}`. "" if the path has no values."""

    @property
    def route(self) -> str:
        """The path without values. The same for all calls of a kind."""
        return self.template or self.path

    def read_reply(self, reply: Reply) -> T_co:
        """Return the content of a response.

        A `DecodeError` keeps the beginning of the body, unless the call is sensitive.
        """
        try:
            return self.read(reply)
        except DecodeError as error:
            if not self.sensitive:
                error.body = redacted_beginning(reply.body)
            raise


@frozen
class UnreadableRow:
    """An unreadable row of a list, as in `ListingReport.unreadable`."""

    faults: tuple[str, ...]
    """What is wrong, each with its path in the page."""
    row: Any = field(repr=False, hash=False)
    """The row as received: a tree of dicts, lists and texts."""
    page: int = 0
    """The number of its page, from 1."""
    offset: int | None = None
    """The position in the list, from 0, if the server could not send the row. `row` is None then."""

    @property
    def id(self) -> str:
        """A key that distinguishes the row from others. The same row may come in two pages."""
        return f"unreadable {self.text}" if self.offset is None else f"unreadable row {self.offset}"

    @property
    def text(self) -> str:
        """The row as text, shortened if it is long or deep."""
        return shortened_repr(self.row)


@frozen
class Page(Generic[T_co]):
    """One page of a listing, with the call for the next page, or None at the end."""

    items: tuple[T_co, ...]
    """The rows.

    The page that a call returns has an `UnreadableRow` in the place of each unreadable row. A `Listing` removes it.
    """
    next: "Call[Page[T_co]] | None" = None
    total: int | None = None


def checked_on_unreadable(value: OnUnreadable) -> OnUnreadable:
    """Return the option. Raise `InvalidArgument` for another word."""
    if value not in get_args(OnUnreadable):
        raise InvalidArgument("unreadable", f"must be one of {', '.join(get_args(OnUnreadable))}")
    return value


def parse_id(argument: str, value: int | str) -> int:
    """Return an id as int. Raise `InvalidArgument` for anything else."""
    if isinstance(value, str) and DIGITS.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_ID:
        raise InvalidArgument(argument, "must be a whole number from 0 to 2**63 - 1, such as 1603")
    return value


def checked_values(argument: str, values: Iterable[T]) -> tuple[T, ...]:
    """Return the values as a tuple. Raise `InvalidArgument` for a single text and for what is not iterable."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidArgument(argument, "must be a list or another iterable of values")
    return tuple(values)


def parse_ids(argument: str, values: Iterable[int | str]) -> tuple[int, ...]:
    """Return ids as ints. Raise `InvalidArgument` for anything else."""
    return tuple(parse_id(argument, value) for value in checked_values(argument, values))


def checked_encodable(argument: str, value: str) -> str:
    """Return a text that can be sent. Raise `InvalidArgument` for a lone surrogate."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(argument, "must not contain lone surrogates, which no encoding can carry") from None
    return value


def path_segment(argument: str, value: str, *, allowed: str = "") -> str:
    """Return a text as one segment of a path. Raise `InvalidArgument` if a server could take it for another path.

    Args:
        argument: the name of the argument, for the error.
        value: the text.
        allowed: forbidden characters that ids of this kind may contain. They are percent-encoded like all others.
    """
    if not isinstance(value, str) or value in {"", ".", ".."} or len(value) > MAX_SEGMENT or not value.isprintable():
        raise InvalidArgument(argument, f"must be 1 to {MAX_SEGMENT} printable characters, and neither '.' nor '..'")
    forbidden = [char for char in "/\\;%?#" if char not in allowed]
    if any(char in value for char in forbidden):
        raise InvalidArgument(
            argument, f"must not contain any of {' '.join(forbidden)}, which servers treat as parts of the path"
        )
    return quote(value, safe="")


ParameterValue = str | bool | int | float
"""A value of a configuration or a parameter."""


def stringify(argument: str, values: Mapping[str, ParameterValue]) -> dict[str, str]:
    """Return the values as texts, as both systems expect them: True as "true".

    Raise `InvalidArgument` for values of other types.
    """
    if not isinstance(values, Mapping):
        raise InvalidArgument(argument, "must be a dict or another mapping of texts to values")
    return {
        _checked_key(argument, key): _value_text(f"{argument}[{key!r:.60}]", value) for key, value in values.items()
    }


def _checked_key(argument: str, key: str) -> str:
    if not isinstance(key, str):
        raise InvalidArgument(argument, "must have texts as keys")
    return checked_encodable(argument, str.__str__(key))


def _value_text(argument: str, value: ParameterValue) -> str:
    """Return the text of a value by its basic type. A subclass, such as an enum, may print itself otherwise."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return checked_encodable(argument, str.__str__(value))
    if isinstance(value, int):
        return _parse_digits(argument, value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidArgument(argument, "must be a finite number")
        return float.__repr__(value)
    raise InvalidArgument(argument, "must be a text, a number, True or False")


def _parse_digits(argument: str, value: int) -> str:
    try:
        return int.__repr__(value)
    except ValueError:
        raise InvalidArgument(
            argument, "must be a number of fewer digits: Python converts no more than 4,300"
        ) from None
