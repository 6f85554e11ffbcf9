"""A reader written out for one record: as strict as cattrs in detail, several times as fast, mute about paths. Pure.

It reads what is as it should be. Whatever it stumbles over it leaves to the careful reader, which names every fault.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Generic, TypeVar

import attrs
from attrs import frozen

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]

MISSING = object()


@frozen(eq=False)
class OrNone(Generic[T]):
    """Reads a value that may be absent, null or ""."""

    read: Callable[[Any], T]

    def __call__(self, value: Any) -> T | None:
        return None if value is None or value == "" else self.read(value)


@frozen(eq=False)
class Known(Generic[T]):
    """Reads a word, and has the answers for the usual ones ready."""

    read: Callable[[Any], T]
    answers: Mapping[str, T]

    def __call__(self, value: Any) -> T:
        return self.read(value)


@frozen
class Field:
    """One field of a record: its key on the wire, and how its value is read."""

    name: str
    key: str
    read: Callable[[Any], Any]
    plain: type | None
    """Values of exactly this class are taken as they are."""
    default: Any


def reader(kind: type[Any], fields: Sequence[Field], careful: Hook, *, extra: bool) -> Hook:
    """A structure hook that makes the same records as `careful`, and calls it for everything else."""
    scope: dict[str, Any] = {
        "kind": kind,
        "twin": _twin(kind),
        "new": object.__new__,
        "careful": careful,
        "MISSING": MISSING,
        "KEYS": frozenset(field.key for field in fields),
    }
    body: list[str] = []
    for key, sharing in groupby(sorted(fields, key=lambda field: field.key), key=lambda field: field.key):
        body += _lines(key, list(sharing), scope)
    if extra:
        body.append("made.extra = {} if len(tree) == known else {k: tree[k] for k in tree if k not in KEYS}")
    source = SOURCE.format(known=len(scope["KEYS"]), body="\n        ".join(body))
    exec(compile(source, f"<reader of {kind.__qualname__}>", "exec"), scope)  # noqa: S102 - names and keys of our own
    written: Hook = scope["read"]
    return written


SOURCE = """
def read(tree, _):
    if tree.__class__ is not dict:
        return careful(tree, _)
    try:
        get = tree.get
        known = {known}
        made = new(twin)
        {body}
        made.__class__ = kind
        return made
    except Exception:
        return careful(tree, _)
"""


def _twin(kind: type[Any]) -> type[Any]:
    """The same record before it freezes: the constructor of a frozen slotted class takes five times as long."""
    thawed = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(kind.__name__, (kind,), thawed)


def _lines(key: str, sharing: list[Field], scope: dict[str, Any]) -> list[str]:
    """The statements that read one key into the fields that share it."""
    found = [f"made.{field.name} = {_value(field, scope)}" for field in sharing]
    if any(field.default is attrs.NOTHING for field in sharing):
        return [f"value = tree[{key!r}]", *found]
    absent = [f"made.{field.name} = {_default(field, scope)}" for field in sharing]
    return [
        f"value = get({key!r}, MISSING)",
        "if value is MISSING:",
        *(f"    {line}" for line in ("known -= 1", *absent)),
        "else:",
        *(f"    {line}" for line in found),
    ]


def _value(field: Field, scope: dict[str, Any]) -> str:
    """The expression that reads a value."""
    read, plain, inner = (f"{part}_{field.name}" for part in ("read", "plain", "inner"))
    scope |= {read: field.read, plain: field.plain}
    if isinstance(field.read, Known):
        scope[inner] = field.read.answers
        return f"{inner}.get(value) or {read}(value)"
    if isinstance(field.read, OrNone) and field.plain is None:
        scope[inner] = field.read.read
        return f"{inner}(value) if value else {read}(value)"
    if isinstance(field.read, OrNone):
        return f"value if value.__class__ is {plain} and value else {read}(value)"
    return f"value if value.__class__ is {plain} else {read}(value)" if field.plain else f"{read}(value)"


def _default(field: Field, scope: dict[str, Any]) -> str:
    """The expression of a value that is not there."""
    name = f"default_{field.name}"
    factory = isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]  # a class, whatever its stub says
    scope[name] = field.default.factory if factory else field.default
    return f"{name}()" if factory else name
