"""Packs the JSON tree of a watch into few bytes for each workflow, and unpacks it. Pure.

The values of one key of all cursors stand together, sorted by id, and defaults are left out. Ids and instants are
written as differences. A UUID takes 16 bytes, because it does not compress. The rest is JSON, compressed with zlib.
"""

import json
import re
import struct
import uuid
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from workflow_async._decode.json import json_tree
from workflow_async.errors import DecodeError, InvalidArgument
from workflow_async.monitor.spec.records import TENTHS, in_tenths

Tree = dict[str, Any]
Column = list[Any]

MAGIC = b"wfa\x01"
"""The first bytes of a packed watch. The last of them is the version of the packing."""
HEADER = struct.Struct(">I")
"""The number of compressed bytes. The UUIDs follow them."""
MAX_UNPACKED = 64 * 2**20
"""Largest JSON that is packed and unpacked, in bytes: more than a million workflows."""
UUID_BYTES = 16
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
MARK = "\x00"
"""Stands for a UUID in a text."""

WORKFLOW = "workflow."
"""Begins the names of the columns that hold the record of a workflow."""
RECORD_KEYS = ("phase", "state_text", "step", "operations", "kind")
TABLED = frozenset({"identity", *(WORKFLOW + key for key in RECORD_KEYS)})
"""Columns whose values are written once, with the positions where they stand."""
FROM_CHECK = frozenset({"got_at", "listed_at", "changed_at", "missing_since", "failing_since", "foreign_since"})
"""Instants that are written as the time before the last check."""


def pack(tree: Tree, defaults: Tree, cursor_defaults: Tree) -> bytes:
    """Return the tree of a watch as bytes. Values that equal the default are left out.

    Raises:
        InvalidArgument: it is too large.
    """
    cursors = sorted(tree["cursors"], key=lambda cursor: cursor["id"])
    head = {key: value for key, value in tree.items() if key != "cursors" and value != defaults.get(key)}
    marked, found = _mark_uuids([cursor["identity"] for cursor in cursors])
    columns = dict(_columns(cursors, marked, cursor_defaults))
    text = json.dumps([head, len(cursors), len(found), columns], separators=(",", ":")).encode()
    if len(text) > MAX_UNPACKED:
        raise InvalidArgument("spec", "is too large to be packed: split it")
    packed = zlib.compress(text, 9)
    return MAGIC + HEADER.pack(len(packed)) + packed + b"".join(found)


def unpack(data: bytes, cursor_defaults: Tree) -> Tree:
    """Return the tree that `pack` has packed, without the defaults of the watch.

    Raises:
        InvalidArgument: `pack` has not packed this.
    """
    if not isinstance(data, bytes) or data[: len(MAGIC) - 1] != MAGIC[:-1]:
        raise InvalidArgument("data", "must be bytes that `to_bytes` of a watch has returned")
    if data[: len(MAGIC)] != MAGIC:
        raise InvalidArgument("data", "has another version: read it with the version of the library that wrote it")
    try:
        return _unpacked(data[len(MAGIC) :], cursor_defaults)
    except (DecodeError, KeyError, TypeError, ValueError, IndexError, OverflowError, struct.error, zlib.error) as error:
        raise InvalidArgument("data", "is damaged: `to_bytes` of a watch has not returned it") from error


def _unpacked(body: bytes, cursor_defaults: Tree) -> Tree:
    (size,) = HEADER.unpack_from(body)
    end = HEADER.size + size
    head, count, uuids, columns = json_tree(_inflate(body[HEADER.size : end]))
    if "cursors" in head or type(count) is not int or len(body) - end != uuids * UUID_BYTES:
        raise ValueError("not a packed watch")
    values = {name: _read_column(name, column, count) for name, column in columns.items()}
    if uuids:
        values["identity"] = _unmark_uuids(values["identity"], body[end:])
    _restore_instants(values, count)
    return {**head, "cursors": [_cursor(values, place, cursor_defaults) for place in range(count)]}


def _inflate(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(packed, MAX_UNPACKED)
    if not inflater.eof or inflater.unused_data:
        raise ValueError("incomplete, or too large")
    return text


# Columns


def _columns(cursors: Sequence[Tree], identities: Column, defaults: Tree) -> Iterator[tuple[str, Column]]:
    yield "id", _differences([cursor["id"] for cursor in cursors])
    checks = [_tenths(cursor["checked_at"]) for cursor in cursors]
    for key, default in defaults.items():
        column = [cursor[key] for cursor in cursors]
        if all(value == default for value in column):
            continue
        match key:
            case "since":
                yield key, _differences([_tenths(value) for value in column])
            case "checked_at":
                yield key, _differences(checks)
            case "identity":
                yield key, _table(identities)
            case _ if key in FROM_CHECK:
                yield key, [_before(check, _tenths(value)) for check, value in zip(checks, column, strict=True)]
            case _:
                yield key, column
    if any(cursor["workflow"] for cursor in cursors):
        for key in RECORD_KEYS:
            yield WORKFLOW + key, _table([(cursor["workflow"] or {}).get(key) for cursor in cursors])


def _read_column(name: str, column: Column, count: int) -> Column:
    values = _untable(column) if name in TABLED else list(column)
    if len(values) != count:
        raise ValueError("columns of different lengths")
    return values


def _restore_instants(values: dict[str, Column], count: int) -> None:
    values["id"] = _sums(values["id"])
    for key in ("since", "checked_at"):
        if key in values:
            values[key] = _sums(values[key])
    checks = values.get("checked_at", [None] * count)
    for key in FROM_CHECK & values.keys():
        values[key] = [_before(check, value) for check, value in zip(checks, values[key], strict=True)]
    for key in (FROM_CHECK | {"since", "checked_at"}) & values.keys():
        values[key] = [None if value is None else value / TENTHS for value in values[key]]


def _cursor(values: Mapping[str, Column], place: int, defaults: Tree) -> Tree:
    cursor = {key: values[key][place] if key in values else default for key, default in defaults.items()}
    id = values["id"][place]
    record = {key: values[WORKFLOW + key][place] for key in RECORD_KEYS if WORKFLOW + key in values}
    known = record.get("phase") is not None
    return {"id": id, **cursor, "workflow": {"id": id, **record} if known else None}


def _tenths(value: float | None) -> int | None:
    return None if value is None else in_tenths(value)


def _before(check: int | None, value: int | None) -> int | None:
    """Return how long an instant was before the check. Applied to that, return the instant."""
    return None if value is None else (check or 0) - value


def _differences(values: Sequence[int | None]) -> Column:
    """Return each value less the one before. None counts as the value before."""
    filled = list(accumulate(values, lambda before, value: before if value is None else value, initial=0))
    steps = [after - before for before, after in pairwise(filled)]
    return [None if value is None else step for value, step in zip(values, steps, strict=True)]


def _sums(steps: Sequence[int | None]) -> Column:
    sums = accumulate((step or 0 for step in steps), lambda total, step: total + step)
    return [None if step is None else total for step, total in zip(steps, sums, strict=True)]


def _table(values: Sequence[Any]) -> Column:
    places: dict[str, int] = {}
    rows = [places.setdefault(json.dumps(value), len(places)) for value in values]
    return [[json.loads(text) for text in places], rows]


def _untable(column: Column) -> Column:
    table, rows = column
    if not all(type(row) is int and row >= 0 for row in rows):
        raise ValueError("a row without a place")
    return [table[row] for row in rows]


# UUIDs


def _mark_uuids(values: Sequence[Any]) -> tuple[Column, list[bytes]]:
    """Return lists of texts with a mark in place of each UUID, and the UUIDs. None are marked if a text has a mark."""
    found: list[bytes] = []
    if any(text is not None and MARK in text for texts in values for text in texts):
        return list(values), found

    def mark(match: re.Match[str]) -> str:
        found.append(uuid.UUID(match.group()).bytes)
        return MARK

    return _map_texts(values, lambda text: UUID.sub(mark, text)), found


def _unmark_uuids(values: Column, data: bytes) -> Column:
    found = deque(str(uuid.UUID(bytes=data[at : at + UUID_BYTES])) for at in range(0, len(data), UUID_BYTES))
    restored = _map_texts(values, lambda text: re.sub(MARK, lambda _: found.popleft(), text))
    if found:
        raise ValueError("more UUIDs than marks")
    return restored


def _map_texts(values: Sequence[Any], change: Callable[[str], str]) -> Column:
    return [[change(text) if isinstance(text, str) else text for text in texts] for texts in values]
