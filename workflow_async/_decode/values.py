"""Reads single values strictly: each reader accepts the types that the server's contract allows and no others. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from attrs import frozen

T = TypeVar("T")

MAX_DIGITS = 19
INTEGER = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}", re.ASCII)
SECONDS_LENGTH = len("2018-08-08T08:46:57Z")
NANOSECONDS_LENGTH = len("2018-08-08T08:46:57.123456789Z")
DATETIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{0,9}))?(Z|[+-]\d\d:?\d\d)", re.ASCII)
from_iso = datetime.fromisoformat
join = "".join


class TypeMismatch(ValueError):
    """A value of a type that the contract does not allow. The message names the type and never the value."""


def parse_datetime(value: Any) -> datetime:
    """Return an ISO 8601 date-time as an aware datetime in UTC. It has 0 to 9 fraction digits and a zone."""
    if value.__class__ is str:
        separators = value[4:20:3]
        has_fraction = separators == "--T::." and value[-1] == "Z" and len(value) <= NANOSECONDS_LENGTH
        if has_fraction or (separators == "--T::Z" and len(value) == SECONDS_LENGTH):
            try:
                return from_iso(value)
            except ValueError:
                pass
    return parse_any_datetime(value)


def parse_any_datetime(value: Any) -> datetime:
    """Parse a date-time by a pattern. Raise `TypeMismatch` for anything else.

    `parse_datetime` calls this for every value that is not in one of the two usual formats.
    """
    match = DATETIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise TypeMismatch(f"expected a date-time such as 2018-08-08T08:46:57.3Z, got {type_name(value)}")
    seconds, fraction, zone = match.groups()
    try:
        return datetime.fromisoformat(f"{seconds}.{(fraction or '').ljust(6, '0')[:6]}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise TypeMismatch("expected a date-time that exists") from None


def parse_int(value: Any) -> int:
    """Return an integer, given as a number or as its digits."""
    if value.__class__ is str and value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and INTEGER.fullmatch(value):
        return int(value)
    raise TypeMismatch(f"expected a whole number, got {type_name(value)}")


def parse_bool(value: Any) -> bool:
    """Return a boolean, given as such or as "true" or "false"."""
    hashable = isinstance(value, bool | str)
    parsed = {True: True, False: False, "true": True, "false": False}.get(value) if hashable else None
    if parsed is None:
        raise TypeMismatch(f"expected true or false, got {type_name(value)}")
    return parsed


def parse_str(value: Any) -> str:
    """Return a text. None (an absent value) becomes ""."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise TypeMismatch(f"expected a text, got {type_name(value)}")


def parse_str_map(value: Any) -> Mapping[str, str]:
    """Return an object of texts. None (an absent value) becomes an empty object, and a null in it becomes ""."""
    if value.__class__ is dict:
        try:
            join(value.values())  # succeeds for strings only, and checks all of them in one call
        except TypeError:
            return {key: parse_str(item) for key, item in value.items()}
        texts: Mapping[str, str] = value
        return texts
    if value is None:
        return {}
    raise TypeMismatch(f"expected an object of texts, got {type_name(value)}")


EXACT_TYPES: dict[Any, type] = {parse_str: str, parse_int: int, parse_bool: bool}
"""The class whose values each of these readers returns unchanged."""


@frozen(eq=False)
class OrNone(Generic[T]):
    """A reader of a value that may be absent, null or ""."""

    read: Callable[[Any], T]

    def __call__(self, value: Any) -> T | None:
        return None if value is None or value == "" else self.read(value)


@frozen(eq=False)
class CachedReader(Generic[T]):
    """A reader of a word. The results for the usual words are computed in advance."""

    read: Callable[[Any], T]
    results: Mapping[str, T]

    def __call__(self, value: Any) -> T:
        return self.read(value)


@frozen(eq=False)
class Stripped(Generic[T]):
    """A reader that strips blanks from a text. Most texts have none."""

    read: Callable[[Any], T]

    def __call__(self, value: Any) -> T:
        return self.read(value.strip() if isinstance(value, str) else value)


def or_none(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """Return a reader that maps an absent value, null and "" to None."""
    return OrNone(read)


def cached(read: Callable[[Any], T], words: Iterable[str]) -> Callable[[Any], T]:
    """Return a reader that computes the results for these words in advance."""
    return CachedReader(read, {word: read(word) for word in words})


TYPE_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


def type_name(value: Any) -> str:
    """Return the value's type in the terms of JSON."""
    return "null" if value is None else TYPE_NAMES.get(type(value), type(value).__name__)
