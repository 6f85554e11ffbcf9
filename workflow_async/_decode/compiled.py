"""A reader written out for one record: as strict as cattrs in detail, several times as fast, mute about paths. Pure.

It reads what is as it should be. Whatever it stumbles over it leaves to the careful reader, which names every fault.
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
    plain: type | None
    """Values of exactly this class are taken as they are."""
    default: Any
    unread: Any = attrs.NOTHING
    """What it holds if its value does not read. NOTHING stands for its default."""


def compile_reader(kind: type[Any], fields: Sequence[Field], careful: Hook, *, extra: bool) -> Hook:
    """A structure hook that makes the same records as `careful`, and calls it for everything else."""
    scope: dict[str, Any] = {
        "kind": kind,
        "twin": _mutable_subclass(kind),
        "new": object.__new__,
        "careful": careful,
        "MISSING": MISSING,
        "besides": _unknown_keys,
    }
    keys = {field.key for field in fields if field.key is not None}
    scope["KEYS"] = frozenset(keys)
    constant = [f"made.{field.name} = {_default(field, scope)}" for field in fields if field.key is None]
    whole, some = [*constant], [*constant]
    for key in sorted(keys):
        found, either = _lines(key, [field for field in fields if field.key == key], scope)
        whole += found
        some += either
    if extra:
        whole.append("made.extra = {}")
        some.append("made.extra = {} if len(tree) == known else besides(tree, KEYS)")
    source = SOURCE.format(known=len(scope["KEYS"]), whole="\n            ".join(whole), some="\n        ".join(some))
    exec(compile(source, f"<reader of {kind.__qualname__}>", "exec"), scope)  # noqa: S102 - names and keys of our own
    written: Hook = scope["read"]
    return written


SOURCE = """
def read(tree, _):
    if tree.__class__ is not dict:
        return careful(tree, _)
    known = {known}
    made = new(twin)
    if len(tree) == known:
        try:
            {whole}
            made.__class__ = kind
            return made
        except KeyError:
            pass  # as many keys, and others
        except Exception:
            return careful(tree, _)
    try:
        get = tree.get
        {some}
        made.__class__ = kind
        return made
    except Exception:
        return careful(tree, _)
"""
"""Most objects hold every known key and nothing else, which is read at a third less than what has to be asked for."""


def _unknown_keys(tree: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    """What has none of these keys."""
    return {key: value for key, value in tree.items() if key not in keys}


def _mutable_subclass(kind: type[Any]) -> type[Any]:
    """The same record before it freezes: the constructor of a frozen slotted class takes five times as long."""
    thawed = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(kind.__name__, (kind,), thawed)


def _lines(key: str, sharing: list[Field], scope: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The statements that read one key into the fields that share it: where it is there, and where it may be absent."""
    found = [f"made.{field.name} = {_value(field, scope)}" for field in sharing]
    present = [f"value = tree[{key!r}]", *found]
    if any(field.default is attrs.NOTHING for field in sharing):
        return present, present
    absent = ["known -= 1", *(f"made.{field.name} = {_default(field, scope)}" for field in sharing)]
    usual, otherwise = "", found
    if len(sharing) == 1 and sharing[0].plain is not None:
        usual, otherwise = _as_it_is(sharing[0], scope), [f"made.{sharing[0].name} = read_{sharing[0].name}(value)"]
    return present, [
        f"value = get({key!r}, MISSING)",
        *((f"if {usual}: made.{sharing[0].name} = value",) if usual else ()),
        f"{'elif' if usual else 'if'} value is MISSING:",
        *(f"    {line}" for line in absent),
        "else:",
        *(f"    {line}" for line in otherwise),
    ]


def _value(field: Field, scope: dict[str, Any]) -> str:
    """The expression that reads a value."""
    name, read = field.name, field.read
    scope[f"read_{name}"] = read
    if isinstance(read, Stripped):
        read = scope[f"read_{name}"] = read.read
    if field.plain is not None:
        return f"value if {_as_it_is(field, scope)} else read_{name}(value)"
    if isinstance(read, CachedReader):
        scope[f"inner_{name}"] = read.answers.get
        return f"inner_{name}(value) or read_{name}(value)"
    if isinstance(read, OrNone):
        scope[f"inner_{name}"] = read.read
        return f"inner_{name}(value) if value else None if value in ('', None) else read_{name}(value)"
    return f"read_{name}(value)"


def _as_it_is(field: Field, scope: dict[str, Any]) -> str:
    """The condition under which a value is taken as it is; of texts that may be none, the empty one is not."""
    scope[f"plain_{field.name}"] = field.plain
    filled = " and value" if field.plain is str and isinstance(field.read, OrNone) else ""
    return f"value.__class__ is plain_{field.name}{filled}"


def _default(field: Field, scope: dict[str, Any]) -> str:
    """The expression of a value that is not there."""
    name = f"default_{field.name}"
    factory = isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]  # a class, whatever its stub says
    scope[name] = field.default.factory if factory else field.default
    return f"{name}()" if factory else name


def compile_table_reader(
    kind: type[Any], fields: Sequence[Field], *, extra: bool
) -> Callable[[ColumnBlock], list[Any]]:
    """Makes the same records of rows that are alike, column by column; raises whatever it stumbles over."""
    names = [field.name for field in fields] + ["extra"] * extra
    keys = {field.key for field in fields}
    scope: dict[str, Any] = {"kind": kind, "twin": _mutable_subclass(kind), "new": object.__new__}
    values = [f"value_{place}" for place in range(len(names))]
    stores = (f"made.{name} = {value}" for name, value in zip(names, values, strict=True))
    source = TABLE_SOURCE.format(values=", ".join(values), stores="\n        ".join(stores))
    exec(compile(source, f"<reader of many {kind.__qualname__}>", "exec"), scope)  # noqa: S102 - names of our own
    written: Callable[[Iterable[Any]], list[Any]] = scope["read"]

    def read(table: ColumnBlock) -> list[Any]:
        columns = [_values(field, table) for field in fields]
        others = {child: texts for child, texts in table.columns.items() if child not in keys}
        return written([*columns, ColumnBlock(others, table.count).trees()] if extra else columns)

    return read


TABLE_SOURCE = """
def read(columns):
    found = []
    for {values}, in zip(*columns):
        made = new(twin)
        {stores}
        made.__class__ = kind
        found.append(made)
    return found
"""


def compile_list_reader(alike: Callable[[], Callable[[ColumnBlock], list[Any]]], one: Hook, each: Hook) -> Hook:
    """A structure hook for lists that may be `RowBlock`, which are read as their trees would be, and faster.

    What reads those that are alike is made when the first come.
    """

    def read(value: Any, many: Any) -> Any:
        if not isinstance(value, RowBlock):
            return each(value, many)
        try:
            return value.woven(alike()(value.alike), lambda tree: one(tree, None))
        except Exception:  # noqa: BLE001 - whatever it was: read again by what names its place
            return each(value.trees(), many)

    return read


def _values(field: Field, table: ColumnBlock) -> Iterable[Any]:
    """The values of a column, none of whose texts is empty."""
    texts: Sequence[Any] | None = None if field.key is None else table.columns.get(field.key)
    if texts is None:
        return _absent(field, table.count)
    read = field.read.read if isinstance(field.read, Stripped) else field.read
    read = read.read if isinstance(read, OrNone) else read
    if field.plain is str and field.default is None:
        return texts
    if None in texts:
        both = zip(texts, _absent(field, table.count), strict=True)
        return [default if text is None else read(text) for text, default in both]
    if isinstance(read, CachedReader):
        return [read.answers.get(text) or read(text) for text in texts]
    return texts if field.plain is str else map(read, texts)


def _absent(field: Field, count: int) -> list[Any]:
    """The values where there is no such child; raises `KeyError` if there has to be."""
    if field.default is attrs.NOTHING:
        raise KeyError(field.key)
    if isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]  # a class, whatever its stub says
        return [field.default.factory() for _ in range(count)]
    return [field.default] * count
