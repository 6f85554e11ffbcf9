"""The schema of a record for pydantic, which is imported only when it asks for the schema. Pure."""

import enum
import types
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import attrs

from workflow_async._records.tree import keys_of

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

SOURCE = "workflow_async"
"""The key of the metadata that holds the annotated type, such as `Change[Workflow]`."""
SCALARS = {str: "str", int: "int", float: "float", bool: "bool", types.NoneType: "none", datetime: "datetime"}
"""The types that `to_dict` writes as a JSON scalar, with pydantic's names."""
UNIONS, LISTS, OBJECTS = {Union, types.UnionType}, {tuple, list, frozenset}, {Mapping, dict}
"""The types that are made of other types, as `typing.get_origin` returns them."""


def record_schema(kind: type[Any], source: Any, to_dict: Callable[[Any], Any]) -> "CoreSchema":
    """Return a schema that accepts instances of the record and serializes them with `to_dict`."""
    from pydantic_core import core_schema as core

    return core.is_instance_schema(
        kind,
        ref=_reference(kind, *get_args(source)),
        metadata={SOURCE: source},
        serialization=core.plain_serializer_function_ser_schema(to_dict),
    )


def dict_schema(core_schema: Mapping[str, Any]) -> "CoreSchema":
    """Return the schema of the dict that `to_dict` returns, for a schema that `record_schema` returned.

    Pydantic makes a JSON schema of it. Nothing is validated with it.
    """
    schema: Any = json_schema(core_schema["metadata"][SOURCE], {})
    schema.pop("ref")  # pydantic makes a definition of the record's own schema
    return cast("CoreSchema", schema)


def json_schema(hint: Any, arguments: Mapping[Any, Any]) -> "CoreSchema":
    """Return the schema of what `to_dict` makes of values of a type. `arguments` are those of the type variables."""
    from pydantic_core import core_schema as core

    hint = arguments.get(hint, hint)
    kind = get_origin(hint) or hint
    if kind in SCALARS:
        return cast("CoreSchema", {"type": SCALARS[kind]})
    if kind is Literal:
        return core.literal_schema([*get_args(hint)])
    if kind not in UNIONS | LISTS | OBJECTS:
        return _class_schema(hint, kind, arguments)
    members = [json_schema(member, arguments) for member in get_args(hint) if member is not ...]
    if kind in UNIONS:
        return core.union_schema([*members])
    return core.dict_schema(*members) if kind in OBJECTS else core.list_schema(*members)


def _class_schema(hint: Any, kind: Any, arguments: Mapping[Any, Any]) -> "CoreSchema":
    """Return the schema of a class. Enums and records become named definitions."""
    from pydantic_core import core_schema as core

    if not isinstance(kind, type):
        return core.any_schema()
    if issubclass(kind, enum.Enum):
        return core.enum_schema(kind, [*kind], ref=_reference(kind))
    if issubclass(kind, Exception):
        return core.str_schema()
    if not attrs.has(kind):
        return core.any_schema()
    given = [arguments.get(argument, argument) for argument in get_args(hint)]
    own = dict(zip(getattr(kind, "__parameters__", ()), given, strict=False))
    fields = {key: core.typed_dict_field(json_schema(hint, own)) for key, hint in types_of(kind).items()}
    return core.typed_dict_schema(fields, cls=kind, ref=_reference(kind, *given))


def types_of(kind: Any) -> Mapping[str, Any]:
    """Return the keys of a record's dict with the types that the values have in the record."""
    hints = get_type_hints(kind)
    members = {key: getattr(kind, name) for key, name in keys_of(kind).items()}
    return {
        key: get_type_hints(member.fget)["return"] if isinstance(member, property) else hints[member.__name__]
        for key, member in members.items()
    }


def _reference(kind: Any, *arguments: Any) -> str:
    """Return the full name of a definition in pydantic's form. Pydantic shortens it where no other has that name."""
    names = [_reference(each) if isinstance(each, type) else str(each) for each in arguments]
    return f"{kind.__module__}.{kind.__qualname__}:{id(kind)}" + (f"[{','.join(names)}]" if names else "")
