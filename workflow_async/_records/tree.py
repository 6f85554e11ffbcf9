"""Converts records to values that JSON can represent. Pure."""

import enum
import inspect
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import attrs

Tree = Any
"""None, a bool, a number, a str, or a list or dict of these."""

PROPERTIES = ("id", "phase", "succeeded")
"""Properties that a record's dict holds after its fields."""


def tree(value: object) -> Tree:
    """Return a value for JSON.

    Records become dicts with the keys of `keys_of`. Enums become their values, datetimes texts in UTC, tuples and sets
    lists. Everything else that JSON does not have, such as an error, becomes its text.
    """
    kind: Any = type(value)
    if attrs.has(kind):
        return {key: tree(getattr(value, name)) for key, name in keys_of(kind).items()}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, Mapping):
        return {str(key): tree(member) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [tree(member) for member in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def utc_text(value: datetime) -> str:
    """Return an instant in UTC as ISO 8601, to the millisecond."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def keys_of(kind: type[Any]) -> Mapping[str, str]:
    """Return the keys of a record's dict, each with the attribute that holds its value.

    The keys are the names of the fields without a trailing underscore, then those of `PROPERTIES` that the record has.
    A field that is not compared says something about the response only, and has no key.
    """
    keys = {field.name.strip("_"): field.name for field in attrs.fields(kind) if field.eq}
    derived = [name for name in PROPERTIES if isinstance(inspect.getattr_static(kind, name, None), property)]
    return keys | {name: name for name in derived}
