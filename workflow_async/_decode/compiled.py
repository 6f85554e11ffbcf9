"""Compiles a fast reader for one record class. Pure.

The generated reader makes the same records as the cattrs converter, several times faster. It hands any input that it
cannot read to that converter, the reference, which reports every fault with its path.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
from attrs import frozen

from workflow_async._decode.values import CachedReader, OrNone, Stripped
from workflow_async._decode.xml_rows import ColumnBlock, RowBlock

Hook = Callable[[Any, Any], Any]

MISSING = object()


@frozen
class Field:
    """One field of a record: its key in the response, and the function that reads its value."""

    name: str
    key: str | None
    """None if the field is not in the response."""
    read: Callable[[Any], Any]
    exact_type: type | None
    """A value of exactly this class is taken without a call of `read`. None if there is no such class."""
    default: Any
    fallback: Any = attrs.NOTHING
    """The field's value if the response's value cannot be read. NOTHING means the default."""
    is_constant: bool = False
    """True if the field is not read, and `default` may be another value than that of the class."""


def compile_reader(kind: type[Any], fields: Sequence[Field], reference: Hook, *, extra: bool) -> Hook:
    """Return a structure hook that makes the same records as `reference`, and calls it for all other input."""
    scope: dict[str, Any] = {
        "kind": kind,
        "mutable": _mutable_subclass(kind),
        "new": object.__new__,
        "reference": reference,
        "MISSING": MISSING,
        "unknown_keys": _unknown_keys,
    }
    keys = {field.key for field in fields if field.key is not None}
    scope["KEYS"] = frozenset(keys)
    constants = [f"record.{field.name} = {_default_expression(field, scope)}" for field in fields if field.key is None]
    all_keys, some_keys = [*constants], [*constants]
    for key in sorted(keys):
        required, optional = _statements(key, [field for field in fields if field.key == key], scope)
        all_keys += required
        some_keys += optional
    if extra:
        all_keys.append("record.extra = {}")
        some_keys.append("record.extra = {} if len(tree) == known else unknown_keys(tree, KEYS)")
    source = RECORD_SOURCE.format(
        known=len(scope["KEYS"]), all_keys="\n            ".join(all_keys), some_keys="\n        ".join(some_keys)
    )
    read: Hook = _executed(source, f"<reader of {kind.__qualname__}>", scope)
    return read


def _executed(source: str, filename: str, scope: dict[str, Any]) -> Any:
    """Execute generated source and return the function `read` that it defines."""
    exec(compile(source, filename, "exec"), scope)  # noqa: S102 - it holds names and keys of this package only
    return scope["read"]


RECORD_SOURCE = """
def read(tree, _):
    if tree.__class__ is not dict:
        return reference(tree, _)
    known = {known}
    record = new(mutable)
    if len(tree) == known:
        try:
            {all_keys}
            record.__class__ = kind
            return record
        except KeyError:
            pass  # the same number of keys, but other ones
        except Exception:
            return reference(tree, _)
    try:
        get = tree.get
        {some_keys}
        record.__class__ = kind
        return record
    except Exception:
        return reference(tree, _)
"""
"""The first branch reads an object that has every known key and no other, as most objects do.

It takes a third less time than the second one, which looks each key up.
"""


def _unknown_keys(tree: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    """Return the entries whose keys are not among `keys`."""
    return {key: value for key, value in tree.items() if key not in keys}


def _mutable_subclass(kind: type[Any]) -> type[Any]:
    """Return a subclass whose attributes can be set.

    The reader sets the attributes and then changes the class. The constructor of a frozen slotted class takes 2.4 times
    as long.
    """
    attributes = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(kind.__name__, (kind,), attributes)


def _statements(key: str, fields: list[Field], scope: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the statements that read a key into its fields: for a present key, and for one that may be absent."""
    assignments = [f"record.{field.name} = {_value_expression(field, scope)}" for field in fields]
    present = [f"value = tree[{key!r}]", *assignments]
    if any(field.default is attrs.NOTHING for field in fields):
        return present, present
    absent = ["known -= 1", *(f"record.{field.name} = {_default_expression(field, scope)}" for field in fields)]
    condition, fallback = "", assignments
    if len(fields) == 1 and fields[0].exact_type is not None:
        condition, fallback = _is_exact(fields[0], scope), [f"record.{fields[0].name} = read_{fields[0].name}(value)"]
    return present, [
        f"value = get({key!r}, MISSING)",
        *((f"if {condition}: record.{fields[0].name} = value",) if condition else ()),
        f"{'elif' if condition else 'if'} value is MISSING:",
        *(f"    {line}" for line in absent),
        "else:",
        *(f"    {line}" for line in fallback),
    ]


def _value_expression(field: Field, scope: dict[str, Any]) -> str:
    """Return the expression that reads `value`."""
    name, read = field.name, field.read
    scope[f"read_{name}"] = read
    if isinstance(read, Stripped):
        read = scope[f"read_{name}"] = read.read
    if field.exact_type is not None:
        return f"value if {_is_exact(field, scope)} else read_{name}(value)"
    if isinstance(read, CachedReader):
        scope[f"inner_{name}"] = read.results.get
        return f"inner_{name}(value) or read_{name}(value)"
    if isinstance(read, OrNone):
        scope[f"inner_{name}"] = read.read
        return f"inner_{name}(value) if value else None if value in ('', None) else read_{name}(value)"
    return f"read_{name}(value)"


def _is_exact(field: Field, scope: dict[str, Any]) -> str:
    """Return the condition under which `value` is taken without a call. An empty text is excluded if it means None."""
    scope[f"type_{field.name}"] = field.exact_type
    filled = " and value" if field.exact_type is str and isinstance(field.read, OrNone) else ""
    return f"value.__class__ is type_{field.name}{filled}"


def _default_expression(field: Field, scope: dict[str, Any]) -> str:
    """Return the expression of the field's default."""
    name = f"default_{field.name}"
    factory = default_factory(field.default)
    scope[name] = field.default if factory is None else factory
    return name if factory is None else f"{name}()"


def default_factory(default: Any) -> Callable[[], Any] | None:
    """Return the factory of a field's default. None if the default is a value."""
    factory_class: Any = attrs.Factory  # attrs declares this class as a function
    factory: Callable[[], Any] | None = default.factory if isinstance(default, factory_class) else None
    return factory


def compile_table_reader(
    kind: type[Any], fields: Sequence[Field], *, extra: bool
) -> Callable[[ColumnBlock], list[Any]]:
    """Return a function that makes records of uniform rows, column by column. It raises the first error it meets."""
    names = [field.name for field in fields] + ["extra"] * extra
    keys = {field.key for field in fields}
    scope: dict[str, Any] = {"kind": kind, "mutable": _mutable_subclass(kind), "new": object.__new__}
    value_names = [f"value_{index}" for index in range(len(names))]
    assignments = (f"record.{name} = {value}" for name, value in zip(names, value_names, strict=True))
    source = TABLE_SOURCE.format(values=", ".join(value_names), assignments="\n        ".join(assignments))
    make_records: Callable[[Iterable[Any]], list[Any]] = _executed(
        source, f"<reader of many {kind.__qualname__}>", scope
    )

    def read(block: ColumnBlock) -> list[Any]:
        columns = [_column_values(field, block) for field in fields]
        extra_columns = {child: texts for child, texts in block.columns.items() if child not in keys}
        return make_records([*columns, ColumnBlock(extra_columns, block.count).trees()] if extra else columns)

    return read


TABLE_SOURCE = """
def read(columns):
    records = []
    for {values}, in zip(*columns):
        record = new(mutable)
        {assignments}
        record.__class__ = kind
        records.append(record)
    return records
"""


def compile_list_reader(
    table_reader: Callable[[], Callable[[ColumnBlock], list[Any]]], read_item: Hook, read_list: Hook
) -> Hook:
    """Return a structure hook for lists, with a fast path for `RowBlock`. The records are the same on both paths.

    `table_reader` compiles the reader of uniform rows. It is called when the first of them arrive.
    """

    def read(value: Any, list_type: Any) -> Any:
        if not isinstance(value, RowBlock):
            return read_list(value, list_type)
        try:
            return value.merge(table_reader()(value.uniform), lambda tree: read_item(tree, None))
        except Exception:  # noqa: BLE001 - the reference reads it again and reports the place of any error
            return read_list(value.trees(), list_type)

    return read


def _column_values(field: Field, block: ColumnBlock) -> Iterable[Any]:
    """Return a field's values for all rows of a block. A column's texts are never empty."""
    texts: Sequence[Any] | None = None if field.key is None else block.columns.get(field.key)
    if texts is None:
        return _default_values(field, block.count)
    read = field.read.read if isinstance(field.read, Stripped) else field.read
    read = read.read if isinstance(read, OrNone) else read
    if field.exact_type is str and field.default is None:
        return texts
    if None in texts:
        pairs = zip(texts, _default_values(field, block.count), strict=True)
        return [default if text is None else read(text) for text, default in pairs]
    if isinstance(read, CachedReader):
        return [read.results.get(text) or read(text) for text in texts]
    return texts if field.exact_type is str else map(read, texts)


def _default_values(field: Field, count: int) -> list[Any]:
    """Return the field's default for each row. Raise `KeyError` if the field is required."""
    if field.default is attrs.NOTHING:
        raise KeyError(field.key)
    factory = default_factory(field.default)
    return [field.default] * count if factory is None else [factory() for _ in range(count)]
