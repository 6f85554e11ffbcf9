"""Trees onto frozen records, strictly: no value is coerced, every fault names its path. Pure."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn

from workflow_async.errors import DecodeError

T = TypeVar("T")

Override = Any
"""What `cattrs.override` gives; its type is not exported."""

EXTRA = "#extra"
"""Under this key a record's `extra` field finds what the record has no field for."""

WHOLE = re.compile(r"-?[0-9]{1,19}", re.ASCII)
INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{0,9}))?(Z|[+-]\d\d:?\d\d)", re.ASCII)


class Unfit(ValueError):
    """A value of another type than the contract allows; says which type, never the value."""


def converter() -> cattrs.Converter:
    """A converter that takes text for text, numbers for numbers, truth for truth, and nothing else."""
    strict = cattrs.Converter(detailed_validation=True)
    for kind in (str, int, float, bool):
        strict.register_structure_hook(kind, _exactly(kind))
    strict.register_structure_hook(datetime, lambda value, _: instant(value))
    return strict


def record(strict: cattrs.Converter, kind: type[Any], **overrides: Override) -> None:
    """Teach a converter one record: its renames and hooks; unknown keys go to the record's `extra`."""
    fields = {field.name for field in attrs.fields(kind)}
    renames = {name: override.rename or name for name, override in overrides.items()}
    known = {renames.get(name, name) for name in fields - {"extra"}}
    if "extra" in fields:
        overrides["extra"] = cattrs.override(rename=EXTRA, struct_hook=lambda value, _: value)
    structure = make_dict_structure_fn(kind, strict, **overrides)

    def hook(tree: Any, _: Any) -> Any:
        if not isinstance(tree, dict):
            raise Unfit(f"expected an object, got {_name(tree)}")
        return structure({**tree, EXTRA: {key: value for key, value in tree.items() if key not in known}}, kind)

    strict.register_structure_hook(kind, hook)


def structured(strict: cattrs.Converter, tree: Any, kind: type[T]) -> T:
    """The tree as a record; raises `DecodeError` with the path of every fault, such as `$[3].title`."""
    try:
        return strict.structure(tree, kind)
    except (cattrs.BaseValidationError, Unfit) as error:
        faults = cattrs.transform_error(error, format_exception=_fault)
    raise DecodeError(*faults)


def instant(value: Any) -> datetime:
    """An ISO 8601 instant with 0 to 9 fraction digits and a zone, as an aware datetime in UTC."""
    match = INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Unfit(f"expected an instant such as 2018-08-08T08:46:57.3Z, got {_name(value)}")
    whole, fraction, zone = match.groups()
    try:
        return datetime.fromisoformat(f"{whole}.{(fraction or '').ljust(6, '0')[:6]}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unfit("expected an instant that exists") from None


def whole(value: Any) -> int:
    """A whole number, or its digits as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and WHOLE.fullmatch(value):
        return int(value)
    raise Unfit(f"expected a whole number, got {_name(value)}")


def truth(value: Any) -> bool:
    """True or False, or the texts "true" and "false"."""
    found = {True: True, False: False, "true": True, "false": False}.get(value) if _simple(value) else None
    if found is None:
        raise Unfit(f"expected true or false, got {_name(value)}")
    return found


def text(value: Any) -> str:
    """A text; absent (None) is the empty one."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise Unfit(f"expected a text, got {_name(value)}")


def texts(value: Any) -> Mapping[str, str]:
    """An object of texts; absent (None) is the empty one, and so is a null text in it."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unfit(f"expected an object of texts, got {_name(value)}")
    return {key: text(item) for key, item in value.items()}


def or_none(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """Read a value that may be absent, null or ""."""

    def reading(value: Any) -> T | None:
        return None if value is None or value == "" else read(value)

    return reading


def by(read: Callable[[Any], Any], rename: str | None = None) -> Override:
    """A field that is read by this function, and has another name on the wire."""
    return cattrs.override(rename=rename, struct_hook=lambda value, _: read(value))


def listed(strict: cattrs.Converter, kind: type[Any], rename: str | None = None) -> Override:
    """A list field as a tuple; null is the empty one."""

    def hook(value: Any, _: Any) -> tuple[Any, ...]:
        if value is not None and not isinstance(value, list):
            raise Unfit(f"expected a list, got {_name(value)}")
        return tuple(strict.structure(value or [], list[kind]))  # type: ignore[valid-type]  # it is a type, at run time

    return cattrs.override(rename=rename, struct_hook=hook)


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise Unfit(f"expected {_name(kind())}, got {_name(value)}")
        return value

    return hook


def _simple(value: Any) -> bool:
    return isinstance(value, bool | str)


NAMES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}


def _name(value: Any) -> str:
    return "null" if value is None else NAMES.get(type(value), type(value).__name__)


def _fault(error: BaseException, _: Any) -> str:
    if isinstance(error, Unfit):
        return str(error)
    if isinstance(error, KeyError):
        return "required field missing"
    return f"does not fit ({type(error).__name__})"
