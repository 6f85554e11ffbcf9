"""Trees onto frozen records, strictly: no value is coerced, every fault names its path. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, cached_property, partial
from typing import Any, TypeVar, cast

import attrs
import cattrs
from attrs import frozen
from cattrs.gen import make_dict_structure_fn

from workflow_async._core.call import UnreadableRow
from workflow_async._decode.compiled import Field, compile_list_reader, compile_reader, compile_table_reader
from workflow_async._decode.values import PLAIN, OrNone, TypeMismatch, parse_datetime, type_name
from workflow_async._decode.xml_rows import RowBlock
from workflow_async.errors import DecodeError

T = TypeVar("T")

Override = Any
"""What `cattrs.override` gives; its type is not exported."""

EXTRA = "#extra"
"""Under this key a record's `extra` field finds what the record has no field for."""

MAX_UNREADABLE = 2_000
"""Rows of one answer. Naming each takes some 50 microseconds."""
LEAVE_IN_EXTRA = object()
EXACT = (str, int, float, bool)


def strict_converter() -> cattrs.Converter:
    """A converter that takes text for text, numbers for numbers, truth for truth, and nothing else."""
    strict = cattrs.Converter(detailed_validation=True)
    for kind in EXACT:
        strict.register_structure_hook(kind, _exactly(kind))
    strict.register_structure_hook(datetime, lambda value, _: parse_datetime(value))
    return strict


class RecordConverter:
    """The records of a system; how they are read is made when the first one is, for that takes milliseconds."""

    def __init__(self, teach: Callable[[cattrs.Converter], None]) -> None:
        self._teach = teach

    @cached_property
    def converter(self) -> cattrs.Converter:
        """What reads them."""
        strict = strict_converter()
        self._teach(strict)
        return strict

    def structure(self, tree: Any, kind: Any) -> Any:
        """The tree as a record."""
        return self.converter.structure(tree, kind)


@frozen
class _Reference:
    """The reference reader of one record, by cattrs.

    In a record that has `extra`, an optional value that does not read counts as absent and stands in `extra` as it
    came. A required one that does not read, or is missing, is a fault at the server's key.
    """

    kind: type[Any]
    fields: Sequence[Field]
    structure: Callable[[Any, Any], Any]
    shaped: Callable[[Any], Any]
    optional: Mapping[str, Field]
    """The fields that may be unread, by their keys."""

    def __call__(self, tree: Any, _: Any) -> Any:
        if not isinstance(tree, dict):
            raise TypeMismatch(f"expected an object, got {type_name(tree)}")
        keys = {field.key for field in self.fields}
        shaped = {key: self.shaped(value) for key, value in tree.items() if key in keys}
        known = {key: value for key, value in shaped.items() if value is not LEAVE_IN_EXTRA}
        unread = {key for key in self.optional.keys() & known.keys() if not _reads(self.optional[key], known[key])}
        read = {key: value for key, value in known.items() if key not in unread}
        extra = {key: value for key, value in tree.items() if key not in read}
        found = self._structured({**read, EXTRA: extra})
        fields = [self.optional[key] for key in unread]
        values = {field.name: field.unread for field in fields if field.unread is not attrs.NOTHING}
        return attrs.evolve(found, **values) if values else found

    def _structured(self, tree: dict[str, Any]) -> Any:
        """The record, or its faults by the server's keys instead of the names of attributes."""
        try:
            return self.structure(tree, self.kind)
        except cattrs.ClassValidationError as error:
            keys = {field.name: field.key for field in self.fields}
            for _, note in error.group_exceptions()[0]:
                note.name = keys[note.name] or note.name
            raise


def register(
    strict: cattrs.Converter,
    kind: type[Any],
    *,
    shaped: Callable[[Any], Any] = lambda value: value,
    **overrides: Override,
) -> None:
    """Teach a converter one record: its renames and hooks. Unknown keys go to the record's `extra`, if it has one.

    So do optional values (fields with a default) that do not read. A record without `extra` is read strictly.
    `shaped` makes of a known key's value what its hook should see, or ODD where it belongs to `extra` as it is.
    """
    fields = [_field(strict, field, overrides.get(field.name)) for field in attrs.fields(kind) if field.name != "extra"]
    extra = len(fields) < len(attrs.fields(kind))
    if extra:
        overrides["extra"] = cattrs.override(rename=EXTRA, struct_hook=lambda value, _: value)
    structure = make_dict_structure_fn(kind, strict, **overrides)
    reference = _Reference(kind, fields, structure, shaped, _optional(fields) if extra else {})
    strict.register_structure_hook(kind, compile_reader(kind, fields, reference, extra=extra))
    many: Any = list[kind]  # type: ignore[valid-type]  # it is a type, at run time
    one, each = strict.get_structure_hook(kind), strict.get_structure_hook(many)
    read_many = compile_list_reader(cache(partial(compile_table_reader, kind, fields, extra=extra)), one, each)
    strict.register_structure_hook_func(lambda asked: asked == many, read_many)


def structure(strict: RecordConverter | cattrs.Converter, tree: Any, kind: type[T], at: str = "$") -> T:
    """Read a tree as a record.

    Raises `DecodeError` with the place of every fault: the path of the server's keys from `at` on, such as
    `$[3].title`.
    """
    try:
        found: T = strict.structure(tree, kind)
    except (cattrs.BaseValidationError, TypeMismatch) as error:
        faults = _faults(error, at)
    else:
        return found
    raise DecodeError(*faults)


def read_page(strict: RecordConverter, trees: Iterable[Any] | RowBlock, kind: type[T], at: str = "$") -> tuple[T, ...]:
    """Read the rows of a page as `read_rows` does.

    An `UnreadableRow` among them is typed as a record: scans need it in its place to count and join rows, and
    `Found.take` removes it before a row reaches the caller.
    """
    return cast("tuple[T, ...]", read_rows(strict, trees, kind, at))


def read_rows(
    strict: RecordConverter, trees: Iterable[Any] | RowBlock, kind: type[T], at: str = "$"
) -> tuple[T | UnreadableRow, ...]:
    """Read the rows of a list as records. An `UnreadableRow` stands in the place of a row that cannot be read.

    Raises `DecodeError` for too many of these: such an answer is no list of these records.
    """
    if isinstance(trees, RowBlock):
        try:
            return tuple(strict.structure(trees, list[kind]))  # type: ignore[valid-type]  # it is a type, at run time
        except (cattrs.BaseValidationError, TypeMismatch):
            trees = trees.trees()
    read = strict.converter.get_structure_hook(kind)
    found: list[T | UnreadableRow] = []
    unreadable = 0
    for place, tree in enumerate(trees):
        try:
            found.append(read(tree, kind))
        except (cattrs.BaseValidationError, TypeMismatch) as error:
            found.append(UnreadableRow(_faults(error, f"{at}[{place}]"), tree))
            unreadable += 1
            if unreadable > MAX_UNREADABLE:
                raise DecodeError(f"more than {MAX_UNREADABLE} rows that cannot be read @ {at}") from None
    return tuple(found)


@frozen
class _ReadWith:
    """A reader as cattrs calls it."""

    read: Callable[[Any], Any]
    unread: Any = attrs.NOTHING

    def __call__(self, value: Any, _: Any) -> Any:
        return self.read(value)


def read_with(read: Callable[[Any], Any], rename: str | None = None, *, unread: Any = attrs.NOTHING) -> Override:
    """A field that is read by this function, and has another name on the wire.

    `unread` is what it holds if its value does not read, where that is not its default.
    """
    return cattrs.override(rename=rename, struct_hook=_ReadWith(read, unread))


def constant_field() -> Override:
    """A field that never comes on the wire: it holds its default."""
    return cattrs.override(omit=True)


def list_field(
    strict: cattrs.Converter,
    kind: type[Any],
    rename: str | None = None,
    *,
    unwrapped: Callable[[Any], Any] = lambda value: value,
) -> Override:
    """A list field as a tuple. Null is the empty one. `unwrapped` makes a list of the value on the wire."""
    many: Any = list[kind]  # type: ignore[valid-type]  # it is a type, at run time
    one, each = strict.get_structure_hook(kind), strict.get_structure_hook(many)

    def read(value: Any) -> tuple[Any, ...]:
        found = unwrapped(value)
        if found is not None and not isinstance(found, list):
            raise TypeMismatch(f"expected a list, got {type_name(found)}")
        try:
            return tuple([one(item, kind) for item in found or ()])
        except Exception:  # noqa: BLE001 - whatever it was: read again by what names its place
            return tuple(each(found, many))

    return read_with(read, rename)


def _field(strict: cattrs.Converter, field: "attrs.Attribute[Any]", override: Override) -> Field:
    """What the fast reader needs to know of a field."""
    key = None if override and override.omit else (override and override.rename) or field.name
    unread = attrs.NOTHING
    if override and override.struct_hook:
        read, unread = override.struct_hook.read, override.struct_hook.unread
        plain = PLAIN.get(read.read if isinstance(read, OrNone) else read)
    else:
        hook = strict.get_structure_hook(field.type)
        read = partial(_typed, hook, field.type)
        plain = field.type if field.type in EXACT else None
    return Field(field.name, key, read, plain, field.default, unread)


def _optional(fields: Iterable[Field]) -> Mapping[str, Field]:
    """The fields that may be absent, by their keys. A key that a required field reads too is required."""
    required = {field.key for field in fields if field.default is attrs.NOTHING}
    return {field.key: field for field in fields if field.key is not None and field.key not in required}


def _reads(field: Field, value: Any) -> bool:
    """True if a value is what its field takes."""
    try:
        field.read(value)
    except Exception:  # noqa: BLE001 - whatever it was, the value goes to `extra`
        return False
    return True


def _typed(hook: Callable[[Any, Any], Any], kind: Any, value: Any) -> Any:
    return hook(value, kind)


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeMismatch(f"expected {type_name(kind())}, got {type_name(value)}")
        return value

    return hook


def _faults(error: Exception, at: str) -> tuple[str, ...]:
    """Every fault with its place, each once: several fields may read one key."""
    return tuple(dict.fromkeys(cattrs.transform_error(error, at, _fault)))


def _fault(error: BaseException, _: Any) -> str:
    if isinstance(error, TypeMismatch):
        return str(error)
    if isinstance(error, KeyError):
        return "required field missing"
    return f"does not fit ({type(error).__name__})"
