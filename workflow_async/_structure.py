"""Trees onto frozen records, strictly: no value is coerced, every fault names its path. Pure."""

from collections.abc import Callable
from datetime import datetime
from functools import cache, cached_property, partial
from typing import Any, TypeVar

import attrs
import cattrs
from attrs import frozen
from cattrs.gen import make_dict_structure_fn

from workflow_async._reader import Field, reader, rows_reader, table_reader
from workflow_async._values import PLAIN, OrNone, Unfit, instant, named
from workflow_async.errors import DecodeError

T = TypeVar("T")

Override = Any
"""What `cattrs.override` gives; its type is not exported."""

EXTRA = "#extra"
"""Under this key a record's `extra` field finds what the record has no field for."""

ODD = object()
EXACT = (str, int, float, bool)


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
            raise Unfit(f"expected an object, got {named(tree)}")
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
            raise Unfit(f"expected a list, got {named(value)}")
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
            raise Unfit(f"expected {named(kind())}, got {named(value)}")
        return value

    return hook


def _fault(error: BaseException, _: Any) -> str:
    if isinstance(error, Unfit):
        return str(error)
    if isinstance(error, KeyError):
        return "required field missing"
    return f"does not fit ({type(error).__name__})"
