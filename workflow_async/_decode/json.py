"""Parses JSON strictly. Pure.

The extra `fast` halves the time: orjson parses the body. Its tree is used if, serialized again, it equals the body byte
for byte. Then no key came twice and no number lost a digit, so the result is the same as without the extra.

The rows of a long array are parsed one at a time if the array can be split at its rows. The tree of a page of workflows
takes 15 times the memory of its bytes, and would leave the processor's cache before the first record is made from it.
"""

import importlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NoReturn, Self

from attrs import frozen

from workflow_async.errors import DecodeError, UnexpectedContent

MAX_FAST_BYTES = 2 * 2**20
"""Largest body for orjson, in bytes. While parsing, orjson takes 12 times the body's size in memory."""
LARGE_ARRAY = 256 * 2**10
"""Size in bytes from which an array is parsed row by row."""
SPELLINGS: tuple[dict[bytes, bytes], ...] = (
    {},
    {b"/": b"\\/"},
    {bytes([char]): b"\\u%04x" % char for char in b"&<>='"},
)
"""Characters that servers escape without need: none, the set of json-simple (Opencast up to 17), or the set of Gson."""


def json_tree(body: bytes) -> Any:
    """Return the value of a JSON body. Raise `DecodeError` if the body is not exactly one JSON value.

    Bytes that are not UTF-8 become U+FFFD. Opencast sends such bytes if its JVM was not started in UTF-8. See
    tests/contract/opencast.md, section 4.2.
    """
    orjson = _orjson() if len(body) <= MAX_FAST_BYTES else None
    if orjson is not None:
        try:
            tree = orjson.loads(body)
            if _is_spelled_as(body, orjson.dumps(tree)):
                return tree
        except (ValueError, TypeError):
            pass
    return reference_json_tree(body)


def json_rows(body: bytes) -> Iterable[Any] | None:
    """Return the items of a JSON array, to be iterated once. None if the body is another value.

    Raises `DecodeError` as `json_tree` does. In a long array, it is raised when the iteration reaches the malformed
    item.
    """
    if len(body) >= LARGE_ARRAY and body.startswith(b"[{") and body.endswith(b"}]"):
        return _parse_one_by_one(body)
    tree = json_tree(body)
    return tree if isinstance(tree, list) else None


def _parse_one_by_one(body: bytes) -> Iterator[Any]:
    """Yield the items, parsing each when it is requested. Parse the whole array if one cannot be parsed alone."""
    for index, row in enumerate(_split_rows(body)):
        try:
            tree = json_tree(row)
        except DecodeError:
            yield from json_tree(body)[index:]
            return
        yield tree


def _split_rows(body: bytes) -> Iterator[bytes]:
    """Split the array where a row seems to end and the next to begin.

    The end of the last row and the start of the first one show how the others end and start. A wrong split leaves a
    piece that is not a JSON value. If every piece is one value, the pieces are the array's items.
    """
    row_end, row_start = _row_edges(body)
    separator, start = row_end + b"," + row_start, 1
    while (end := body.find(separator, start)) >= 0:
        yield body[start : end + len(row_end)]
        start = end + len(row_end) + 1
    yield body[start:-1]


def _row_edges(body: bytes) -> tuple[bytes, bytes]:
    """Return how the last row of an array ends, and how the first one starts."""
    return body[-3:-1], body[1 : body.find(b":") + 1]


@frozen
class SplitArray:
    """An array of objects, cut where a row seems to end and the next to begin.

    It equals the array. If every row is one JSON value, the rows are the array's items.
    """

    row_end: bytes
    row_start: bytes
    rows: Sequence[bytes]
    """The rows without `row_start` and `row_end`, which are the same for all."""

    @property
    def context(self) -> tuple[bytes, bytes]:
        """What each row starts and ends with."""
        return self.row_start, self.row_end

    def tree(self, row: bytes) -> Any:
        """Return the value of a row. Raise `DecodeError` if the row is not exactly one JSON value."""
        return json_tree(self.row_start + row + self.row_end)


def split_array(body: bytes) -> SplitArray | None:
    """Cut a JSON array of objects. None if the body is another value or has no complete row."""
    if not (body.startswith(b"[{") and body.endswith(b"}]")):
        return None
    row_end, row_start = _row_edges(body)
    first, last = 1 + len(row_start), len(body) - 1 - len(row_end)
    if first > last:
        return None
    return SplitArray(row_end, row_start, body[first:last].split(row_end + b"," + row_start))


@cache
def _orjson() -> Any:
    """Return the module orjson, or None if it is not installed. It is imported on the first call."""
    try:
        return importlib.import_module("orjson")
    except ImportError:
        return None


def _is_spelled_as(body: bytes, serialized: bytes) -> bool:
    """Return True if the body equals the serialized text in one of the spellings.

    The escaped characters occur in strings only.
    """
    for escapes in SPELLINGS:
        candidate = serialized
        for character, escape in escapes.items():
            candidate = candidate.replace(character, escape)
        if candidate == body:
            return True
    return False


class SpelledNumber(float):
    """A float that keeps the digits it was written with, so that `3.10` stays `3.10` where it stands for a text."""

    __slots__ = ("spelling",)

    spelling: str

    def __new__(cls, spelling: str) -> Self:
        """Parse the digits. Raise `ValueError` if a float cannot hold the number."""
        number = super().__new__(cls, _finite_float(spelling))
        number.spelling = spelling
        return number

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]  # pickle passes these to __new__
        return (self.spelling,)


def spelled_json_tree(body: bytes) -> Any:
    """Parse a body as `json_tree` does, with a `SpelledNumber` for each number whose digits an int or float loses."""
    return reference_json_tree(body, parse_float=SpelledNumber, parse_int=_spelled_int)


def _spelled_int(digits: str) -> int | SpelledNumber:
    return SpelledNumber(digits) if digits == "-0" else int(digits)


def reference_json_tree(
    body: bytes, *, parse_float: Callable[[str], Any] | None = None, parse_int: Callable[[str], Any] = int
) -> Any:
    """Parse a body with the standard library alone. Its errors say what is wrong."""
    text = body.strip().decode("utf-8", "replace")
    if text.startswith("<"):
        raise UnexpectedContent("expected JSON, got a page of markup @ $")
    try:
        return json.loads(
            text,
            parse_constant=_reject_constant,
            parse_float=parse_float or _finite_float,
            parse_int=parse_int,
            object_pairs_hook=_unique_keys,
        )
    except RecursionError:
        fault = "nested too deeply"
    except ValueError as error:
        fault = f"not JSON: {error}"
    raise DecodeError(f"{fault} @ $", parsed=False)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number that a float cannot hold")
    return number


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("an object has a key twice")
    return tree
