"""A reader written out for one record: as strict as cattrs in detail, several times as fast, mute about paths. Pure.

It reads what is as it should be. Whatever it stumbles over it leaves to the reference reader, which names every fault.
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
    """One field of a record: its key on the wire, and how its value is read."""

    name: str
    key: str | None
    """None if it never comes on the wire."""
    read: Callable[[Any], Any]
    exact_type: type | None
    """Values of exactly this class are taken as they are."""
    default: Any
    fallback: Any = attrs.NOTHING
    """What it holds if its value does not read. NOTHING stands for its default."""


def compile_reader(kind: type[Any], fields: Sequence[Field], reference: Hook, *, extra: bool) -> Hook:
    """A structure hook that makes the same records as `reference`, and calls it for everything else."""
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
    """Return the function `read` that generated source defines."""
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
            pass  # as many keys, and others
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
"""Most objects hold every known key and nothing else, which is read at a third less than what has to be asked for."""


def _unknown_keys(tree: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    """What has none of these keys."""
    return {key: value for key, value in tree.items() if key not in keys}


def _mutable_subclass(kind: type[Any]) -> type[Any]:
    """The same record before it freezes: the constructor of a frozen slotted class takes five times as long."""
    attributes = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(kind.__name__, (kind,), attributes)


def _statements(key: str, fields: list[Field], scope: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The statements that read one key into the fields that share it: where it is there, and where it may be absent."""
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
    """The expression that reads a value."""
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
    """The condition under which a value is taken as it is; of texts that may be none, the empty one is not."""
    scope[f"type_{field.name}"] = field.exact_type
    filled = " and value" if field.exact_type is str and isinstance(field.read, OrNone) else ""
    return f"value.__class__ is type_{field.name}{filled}"


def _default_expression(field: Field, scope: dict[str, Any]) -> str:
    """The expression of a value that is not there."""
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
    """Makes the same records of rows that are alike, column by column; raises whatever it stumbles over."""
    names = [field.name for field in fields] + ["extra"] * extra
    keys = {field.key for field in fields}
    scope: dict[str, Any] = {"kind": kind, "mutable": _mutable_subclass(kind), "new": object.__new__}
    value_names = [f"value_{place}" for place in range(len(names))]
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
    """A structure hook for lists that may be `RowBlock`, which are read as their trees would be, and faster.

    What reads those that are alike is made when the first come.
    """

    def read(value: Any, list_type: Any) -> Any:
        if not isinstance(value, RowBlock):
            return read_list(value, list_type)
        try:
            return value.merge(table_reader()(value.uniform), lambda tree: read_item(tree, None))
        except Exception:  # noqa: BLE001 - whatever it was: read again by what names its place
            return read_list(value.trees(), list_type)

    return read


def _column_values(field: Field, block: ColumnBlock) -> Iterable[Any]:
    """The values of a column, none of whose texts is empty."""
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
    """The values where there is no such child; raises `KeyError` if there has to be."""
    if field.default is attrs.NOTHING:
        raise KeyError(field.key)
    factory = default_factory(field.default)
    return [field.default] * count if factory is None else [factory() for _ in range(count)]
