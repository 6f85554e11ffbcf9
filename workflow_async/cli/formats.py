"""The values of `-o`, and records as text in each of these formats. Pure."""

import enum
import importlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from workflow_async._records.tree import Tree
from workflow_async.cli.exit_codes import UsageError
from workflow_async.monitor import Change

PANEL = "Output"
"""The heading of the output options in the help."""


class Format(enum.Enum):
    """The values of `-o`. All but the first two write records instead of a table."""

    TABLE = "table"
    WIDE = "wide"
    CSV = "csv"
    YAML = "yaml"
    JSON = "json"
    IDS = "ids"


FormatOption = Annotated[
    Format,
    typer.Option("--output", "-o", help="wide: a table that cuts nothing. ids: only the ids.", rich_help_panel=PANEL),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Write lines of JSON, as -o json does.", rich_help_panel=PANEL)
]
WideOption = Annotated[bool, typer.Option("--wide", help="Cut nothing, as -o wide does.", rich_help_panel=PANEL)]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="Columns of the table, or fields of the record, such as id,title.",
        rich_help_panel=PANEL,
    ),
]


def chosen_format(format: Format, *, as_json: bool, wide: bool) -> Format:
    """Return the format that `-o`, `--json` and `--wide` ask for. Raise `UsageError` if they contradict."""
    asked = {format} - {Format.TABLE} | ({Format.JSON} if as_json else set()) | ({Format.WIDE} if wide else set())
    if len(asked) > 1:
        raise UsageError(f"give one of {', '.join(sorted(f'-o {each.value}' for each in asked))}")
    return next(iter(asked), Format.TABLE)


def column_names(text: str | None) -> tuple[str, ...]:
    """Return the names in a value of `--columns`. Raise `UsageError` for an empty name."""
    names = () if text is None else tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise UsageError("--columns needs names with commas between them, such as id,title")
    return names


def id_text(value: object) -> str | None:
    """Return the id of a record or of an object for JSON. None for a change, and for a record without an id."""
    if isinstance(value, Change):
        return None
    id = value.get("id") if isinstance(value, Mapping) else getattr(value, "id", None)
    return None if id is None else str(id)


def cell_text(value: Tree) -> str:
    """Return a value of a record for one cell. An object or a list is JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def field_of(record: Mapping[str, Any], name: str) -> Any:
    """Return a field of a record. Raise `UsageError` with the names that exist if there is no such field."""
    if name not in record:
        raise UsageError(f"there is no column {name}: the record has {', '.join(record)}")
    return record[name]


def fields_of(record: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the named fields of a record, or the record if there are no names."""
    return {name: field_of(record, name) for name in names} or dict(record)


def yaml_text(record: Mapping[str, Any]) -> str:
    """Return a record as one document of a YAML stream."""
    yaml: Any = importlib.import_module("yaml")  # it has no types
    return f"---\n{yaml.safe_dump(dict(record), sort_keys=False, allow_unicode=False)}".rstrip()
