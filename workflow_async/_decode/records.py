"""Maps trees to frozen records strictly. No value is coerced, and every fault names its path. Pure."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache, cached_property, partial
from itertools import count
from types import GenericAlias
from typing import Any, TypeVar, cast

import attrs
import cattrs
from attrs import frozen
from cattrs.gen import make_dict_structure_fn

from workflow_async._core.call import UnreadableRow
from workflow_async._decode.compiled import Field, compile_list_reader, compile_reader, compile_table_reader
from workflow_async._decode.reference import EXTRA_KEY, Reference, optional_fields
from workflow_async._decode.values import EXACT_TYPES, OrNone, TypeMismatch, parse_datetime, type_name
from workflow_async._decode.xml_rows import RowBlock
from workflow_async.errors import DecodeError

T = TypeVar("T")

Override = Any
"""The type of `cattrs.override(...)`, which cattrs does not export."""

MAX_UNREADABLE = 2_000
"""Unreadable rows of one response after which reading stops. Reporting a row takes about 50 microseconds."""
EXACT_SCALARS = (str, int, float, bool)


def strict_converter() -> cattrs.Converter:
    """Return a cattrs converter that never coerces: str, int, float and bool must arrive as exactly that type."""
    converter = cattrs.Converter(detailed_validation=True)
    for kind in EXACT_SCALARS:
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(datetime, lambda value, _: parse_datetime(value))
    return converter


def list_of(kind: type[Any]) -> Any:
    """Return the type `list[kind]`, which type checkers reject for a class that is known at run time only."""
    return GenericAlias(list, (kind,))


class RecordConverter:
    """The converter of one system's records. It is built on first use, because that takes milliseconds."""

    def __init__(self, configure: Callable[[cattrs.Converter], None]) -> None:
        self._configure = configure

    @cached_property
    def cattrs_converter(self) -> cattrs.Converter:
        """The configured cattrs converter."""
        converter = strict_converter()
        self._configure(converter)
        return converter

    def structure(self, tree: Any, kind: Any) -> Any:
        """Return the tree as a record."""
        return self.cattrs_converter.structure(tree, kind)


def register(
    converter: cattrs.Converter,
    kind: type[Any],
    *,
    preprocess: Callable[[Any], Any] = lambda value: value,
    **overrides: Override,
) -> None:
    """Add one record with its renames and hooks to a converter. Unknown keys go to the record's `extra`, if it has one.

    Optional values (those of fields with a default) that cannot be read go there too. A record without `extra` is read
    strictly. `preprocess` converts a known key's value before its hook reads it. If it returns LEAVE_IN_EXTRA, the
    value is not read and stays in `extra`.
    """
    fields = [
        _field(converter, field, overrides.get(field.name)) for field in attrs.fields(kind) if field.name != "extra"
    ]
    extra = len(fields) < len(attrs.fields(kind))
    overrides |= {name: constant_field() for name, one in overrides.items() if isinstance(one, _Constant)}
    if extra:
        overrides["extra"] = cattrs.override(rename=EXTRA_KEY, struct_hook=lambda value, _: value)
    structure = make_dict_structure_fn(kind, converter, **overrides)
    reference = Reference(kind, fields, structure, preprocess, optional_fields(fields) if extra else {})
    converter.register_structure_hook(kind, compile_reader(kind, fields, reference, extra=extra))
    list_type = list_of(kind)
    read_item, read_list = converter.get_structure_hook(kind), converter.get_structure_hook(list_type)
    compiled = compile_list_reader(
        cache(partial(compile_table_reader, kind, fields, extra=extra)), read_item, read_list
    )
    converter.register_structure_hook_func(lambda kind: kind == list_type, compiled)


def structure(converter: RecordConverter | cattrs.Converter, tree: Any, kind: type[T], path: str = "$") -> T:
    """Return a tree as a record.

    Raises `DecodeError` with the place of every fault. A place is the path of the server's keys, starting with `path`,
    such as `$[3].title`.
    """
    try:
        record: T = converter.structure(tree, kind)
    except (cattrs.BaseValidationError, TypeMismatch) as error:
        faults = _faults(error, path)
    else:
        return record
    raise DecodeError(*faults)


def read_page(
    converter: RecordConverter, trees: Iterable[Any] | RowBlock, kind: type[T], path: str = "$"
) -> tuple[T, ...]:
    """Return the rows of a page, read as `read_rows` reads them.

    An `UnreadableRow` among them is typed as a record. Scans need it in its place to count and join rows, and
    `ScanState.accept` removes it before a row reaches the caller.
    """
    return cast("tuple[T, ...]", read_rows(converter, trees, kind, path))


def read_rows(
    converter: RecordConverter,
    trees: Iterable[Any] | RowBlock,
    kind: type[T],
    path: str = "$",
    places: Iterable[int] | None = None,
) -> tuple[T | UnreadableRow, ...]:
    """Return the rows of a list as records. A row that cannot be read becomes an `UnreadableRow` in its place.

    `places` are the rows' places in the list, for faults. None means that the list has no other rows.

    Raises `DecodeError` if more than 2,000 rows cannot be read: such a response is not a list of these records.
    """
    if isinstance(trees, RowBlock):
        try:
            return tuple(converter.structure(trees, list_of(kind)))
        except (cattrs.BaseValidationError, TypeMismatch):
            trees = trees.trees()
    read_row = converter.cattrs_converter.get_structure_hook(kind)
    rows: list[T | UnreadableRow] = []
    unreadable = 0
    for index, tree in zip(count() if places is None else places, trees, strict=False):
        try:
            rows.append(read_row(tree, kind))
        except (cattrs.BaseValidationError, TypeMismatch) as error:
            rows.append(UnreadableRow(_faults(error, f"{path}[{index}]"), tree))
            unreadable += 1
            if unreadable > MAX_UNREADABLE:
                raise DecodeError(f"more than {MAX_UNREADABLE} rows cannot be read @ {path}") from None
    return tuple(rows)


def complete_page(
    converter: RecordConverter,
    known: list[T | None],
    places: Sequence[int],
    trees: Iterable[Any] | RowBlock,
    kind: type[T],
) -> tuple[T, ...]:
    """Return the rows of a page of which all records but those at `places` are known. `trees` are the trees of these.

    They are read as `read_page` reads them, and put into `known`.
    """
    rows = cast("list[Any]", known)
    for index, record in zip(places, read_rows(converter, trees, kind, places=places), strict=True):
        rows[index] = record
    return tuple(rows)


@frozen
class _ReadWith:
    """A one-argument reader with the signature that cattrs calls."""

    read: Callable[[Any], Any]
    fallback: Any = attrs.NOTHING

    def __call__(self, value: Any, _: Any) -> Any:
        return self.read(value)


@frozen
class _Constant:
    """The value of a field that is not read. It stands for the override of that field."""

    value: Any


def read_with(read: Callable[[Any], Any], rename: str | None = None, *, fallback: Any = attrs.NOTHING) -> Override:
    """Declare the function that reads a field, and the field's key if that differs from its name.

    If the value cannot be read, the field holds `fallback`, or its default if there is none.
    """
    return cattrs.override(rename=rename, struct_hook=_ReadWith(read, fallback))


def constant_field(value: Any = attrs.NOTHING) -> Override:
    """Declare a field that is never in a response and always holds this value, or its default."""
    return cattrs.override(omit=True) if value is attrs.NOTHING else _Constant(value)


def list_field(
    converter: cattrs.Converter,
    kind: type[Any],
    rename: str | None = None,
    *,
    unwrap: Callable[[Any], Any] = lambda value: value,
) -> Override:
    """Declare a list field that is read as a tuple. Null becomes (). `unwrap` returns the list inside the value."""
    list_type = list_of(kind)
    read_item, read_list = converter.get_structure_hook(kind), converter.get_structure_hook(list_type)

    def read(value: Any) -> tuple[Any, ...]:
        items = unwrap(value)
        if items is not None and not isinstance(items, list):
            raise TypeMismatch(f"expected a list, got {type_name(items)}")
        try:
            return tuple([read_item(item, kind) for item in items or ()])
        except Exception:  # noqa: BLE001 - the reference reads it again and reports the place of any error
            return tuple(read_list(items, list_type))

    return read_with(read, rename)


def _field(converter: cattrs.Converter, field: "attrs.Attribute[Any]", override: Override) -> Field:
    """Return what the compiled reader needs to know of a field."""
    if isinstance(override, _Constant):
        return Field(field.name, None, str, None, override.value, attrs.NOTHING, is_constant=True)
    key = None if override and override.omit else (override and override.rename) or field.name
    fallback = attrs.NOTHING
    if override and override.struct_hook:
        read, fallback = override.struct_hook.read, override.struct_hook.fallback
        exact_type = EXACT_TYPES.get(read.read if isinstance(read, OrNone) else read)
    else:
        hook = converter.get_structure_hook(field.type)
        read = partial(_structure_as, hook, field.type)
        exact_type = field.type if field.type in EXACT_SCALARS else None
    return Field(field.name, key, read, exact_type, field.default, fallback)


def _structure_as(hook: Callable[[Any, Any], Any], kind: Any, value: Any) -> Any:
    return hook(value, kind)


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeMismatch(f"expected {type_name(kind())}, got {type_name(value)}")
        return value

    return hook


def _faults(error: Exception, path: str) -> tuple[str, ...]:
    """Return every fault with its place. Duplicates are removed: several fields may read one key."""
    return tuple(dict.fromkeys(cattrs.transform_error(error, path, _fault)))


def _fault(error: BaseException, _: Any) -> str:
    if isinstance(error, TypeMismatch):
        return str(error)
    if isinstance(error, KeyError):
        return "required field missing"
    return f"cannot be read ({type(error).__name__})"
