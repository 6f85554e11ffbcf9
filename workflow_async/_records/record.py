"""The base class of every public record: as JSON types, and as a type that pydantic knows. Pure."""

from typing import Any

from workflow_async._records.schema import dict_schema, record_schema
from workflow_async._records.tree import Tree, tree


class Record:
    """The base class of the records. It has no fields of its own."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Tree]:
        """Return the record as JSON types. `--json` prints the same, except for the short lines of changes.

        The keys are the field names without a trailing underscore. `phase` stands beside `state`. Events, outcomes and
        the results of a batch also have `id` and `succeeded` where those are properties. Datetimes are ISO 8601 in UTC
        with milliseconds, such as `2026-03-04T12:00:00.000Z`. Enums are their values, tuples are lists, and errors are
        their messages.
        """
        members: dict[str, Tree] = tree(self)
        return members

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, _: Any) -> Any:
        """Return the schema that pydantic validates and serializes with. Only pydantic calls it."""
        return record_schema(cls, source, cls.to_dict)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        """Return the JSON schema of `to_dict`. Only pydantic calls it."""
        return handler(dict_schema(core_schema))
