"""Trees onto frozen records, strictly: no value is coerced, every fault names its path. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from typing import Any, TypeVar

import attrs
import cattrs
from attrs import frozen
from cattrs.gen import make_dict_structure_fn

from workflow_async._reader import Field, Known, OrNone, reader, rows_reader, table_reader
from workflow_async.errors import DecodeError

T = TypeVar("T")

Override = Any
"""What `cattrs.override` gives; its type is not exported."""

EXTRA = "#extra"
"""Under this key a record's `extra` field finds what the record has no field for."""

ODD = object()
EXACT = (str, int, float, bool)
SECONDS = len("2018-08-08T08:46:57Z")
DIGITS = 19
WHOLE = re.compile(rf"-?[0-9]{{1,{DIGITS}}}", re.ASCII)
from_iso = datetime.fromisoformat
INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{0,9}))?(Z|[+-]\d\d:?\d\d)", re.ASCII)


class Unfit(ValueError):
    """A value of another type than the contract allows; says which type, never the value."""


def converter() -> cattrs.Converter:
    """A converter that takes text for text, numbers for numbers, truth for truth, and nothing else."""
    strict = cattrs.Converter(detailed_validation=True)
    for kind in EXACT:
        strict.register_structure_hook(kind, _exactly(kind))
    strict.register_structure_hook(datetime, lambda value, _: instant(value))
    return strict


class Records:
    """The records of a system; how they are read is made when the first one is, for that takes milliseconds."""

    def __init__(self, teach: Callable[[cattrs.Converter], None]) -> None:
        self._teach = teach

    @cached_property
    def converter(self) -> cattrs.Converter:
        """What reads them."""
        strict = converter()
        self._teach(strict)
        return strict

    def structure(self, tree: Any, kind: Any) -> Any:
        """The tree as a record."""
        return self.converter.structure(tree, kind)


def record(
    strict: cattrs.Converter,
    kind: type[Any],
    *,
    shaped: Callable[[Any], Any] = lambda value: value,
    **overrides: Override,
) -> None:
    """Teach a converter one record: its renames and hooks; unknown keys go to the record's `extra`.

    `shaped` makes of a known key's value what its hook should see, or ODD where it belongs to `extra` as it is.
    """
    fields = [_field(strict, field, overrides.get(field.name)) for field in attrs.fields(kind) if field.name != "extra"]
    keys = {field.key for field in fields}
    extra = len(fields) < len(attrs.fields(kind))
    if extra:
        overrides["extra"] = cattrs.override(rename=EXTRA, struct_hook=lambda value, _: value)
    structure = make_dict_structure_fn(kind, strict, **overrides)

    def careful(tree: Any, _: Any) -> Any:
        if not isinstance(tree, dict):
            raise Unfit(f"expected an object, got {_name(tree)}")
        read = {key: shaped(value) for key, value in tree.items() if key in keys}
        known = {key: value for key, value in read.items() if value is not ODD}
        extra = {key: value for key, value in tree.items() if key not in known}
        return structure({**known, EXTRA: extra}, kind)

    strict.register_structure_hook(kind, reader(kind, fields, careful, extra=extra))
    many: Any = list[kind]  # type: ignore[valid-type]  # it is a type, at run time
    one, each = strict.get_structure_hook(kind), strict.get_structure_hook(many)
    read_many = rows_reader(cache(partial(table_reader, kind, fields, extra=extra)), one, each)
    strict.register_structure_hook_func(lambda asked: asked == many, read_many)


def structured(strict: Records | cattrs.Converter, tree: Any, kind: type[T]) -> T:
    """The tree as a record; raises `DecodeError` with the path of every fault, such as `$[3].title`."""
    try:
        found: T = strict.structure(tree, kind)
    except (cattrs.BaseValidationError, Unfit) as error:
        faults = cattrs.transform_error(error, format_exception=_fault)
    else:
        return found
    raise DecodeError(*faults)


def instant(value: Any) -> datetime:
    """An ISO 8601 instant with 0 to 9 fraction digits and a zone, as an aware datetime in UTC."""
    if value.__class__ is str:
        marks = value[4:20:3]
        if (marks == "--T::." and value[23:] == "Z") or (marks == "--T::Z" and len(value) == SECONDS):
            try:
                return from_iso(value)
            except ValueError:
                pass
    return any_instant(value)


def any_instant(value: Any) -> datetime:
    """The same by a pattern, for what comes in another than the two usual shapes, or is none."""
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
    if value.__class__ is str and value.isascii() and value.isdigit() and len(value) <= DIGITS:
        return int(value)
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
    for item in value.values():
        if item.__class__ is not str:
            return {key: text(item) for key, item in value.items()}
    return value


PLAIN: dict[Any, type] = {text: str, whole: int, truth: bool}
"""What these readers take as it is."""


def or_none(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """Read a value that may be absent, null or ""."""
    return OrNone(read)


def known(read: Callable[[Any], T], words: Iterable[str]) -> Callable[[Any], T]:
    """Read a value that most often is one of these words."""
    return Known(read, {word: read(word) for word in words})


@frozen
class _By:
    """A reader as cattrs calls it."""

    read: Callable[[Any], Any]

    def __call__(self, value: Any, _: Any) -> Any:
        return self.read(value)


def by(read: Callable[[Any], Any], rename: str | None = None) -> Override:
    """A field that is read by this function, and has another name on the wire."""
    return cattrs.override(rename=rename, struct_hook=_By(read))


def listed(strict: cattrs.Converter, kind: type[Any], rename: str | None = None) -> Override:
    """A list field as a tuple; null is the empty one."""
    many: Any = list[kind]  # type: ignore[valid-type]  # it is a type, at run time
    one, each = strict.get_structure_hook(kind), strict.get_structure_hook(many)

    def read(value: Any) -> tuple[Any, ...]:
        if value is not None and not isinstance(value, list):
            raise Unfit(f"expected a list, got {_name(value)}")
        try:
            return tuple([one(item, kind) for item in value or ()])
        except Exception:  # noqa: BLE001 - whatever it was: read again by what names its place
            return tuple(each(value, many))

    return by(read, rename)


def _field(strict: cattrs.Converter, field: "attrs.Attribute[Any]", override: Override) -> Field:
    """What the fast reader needs to know of a field."""
    key = (override and override.rename) or field.name
    if override and override.struct_hook:
        read = override.struct_hook.read
        plain = PLAIN.get(read.read if isinstance(read, OrNone) else read)
    else:
        hook = strict.get_structure_hook(field.type)
        read = partial(_typed, hook, field.type)
        plain = field.type if field.type in EXACT else None
    return Field(field.name, key, read, plain, field.default)


def _typed(hook: Callable[[Any, Any], Any], kind: Any, value: Any) -> Any:
    return hook(value, kind)


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
