"""Reads workflow ids from arguments or from stdin."""

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from workflow_async._core.call import parse_id
from workflow_async.cli.exit_codes import printable_text


def expand_stdin(arguments: list[str] | None) -> list[str]:
    """Return the arguments, with `-` replaced by the ids on stdin."""
    return [word for given in arguments or () for word in (_lines(sys.stdin) if given == "-" else [given])]


Ids = Annotated[
    list[str],
    typer.Argument(metavar="ID", callback=expand_stdin, help="Use - to read ids or lines of JSON from stdin."),
]
OptionalIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", callback=expand_stdin, help="Use - to read ids or lines of JSON from stdin."),
]


def unique_ids(texts: Iterable[str]) -> list[int]:
    """Return the ids without duplicates. Raise `InvalidArgument` for a text that is not an id."""
    return list(dict.fromkeys(parse_id("ID", word) for word in texts))


def _lines(lines: Iterable[str]) -> list[str]:
    return [_id_in(line.strip()) for line in lines if line.strip()]


def _id_in(line: str) -> str:
    """Return the id in a line of JSON from `list --json`, or the line itself."""
    try:
        record: Any = json.loads(line)
    except ValueError:
        return line
    if isinstance(record, dict) and "id" not in record:
        raise typer.BadParameter(f"no id in this line of stdin: {printable_text(line[:80])}")
    return str(record["id"]) if isinstance(record, dict) else line
