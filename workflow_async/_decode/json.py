"""JSON bytes to a tree, strictly. Pure.

With the extra `fast` it takes half the time: orjson reads, and its tree counts if, written again, it is the very bytes
that came. Then no key came twice, no number lost a digit, and nothing is read in another way than without it.

The rows of a long array are read one by one, where they can be told apart: the tree of a whole page of workflows takes
fifteen times the room of its bytes, and has left the processor's cache before the first record is made of it.
"""

import importlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, NoReturn, Self

from workflow_async.errors import DecodeError, UnexpectedContent

MAX_FAST_BYTES = 2 * 2**20
"""Bytes of a body that orjson reads: it takes a dozen times as many to do so."""
LARGE_ARRAY = 256 * 2**10
"""Bytes from which on an array is read row by row."""
SPELLINGS: tuple[dict[bytes, bytes], ...] = (
    {},
    {b"/": b"\\/"},
    {bytes([char]): b"\\u%04x" % char for char in b"&<>='"},
)
"""What servers escape in texts without need: nothing, as json-simple (Opencast up to 17), as Gson (newer ones)."""


def json_tree(body: bytes) -> Any:
    """The value a JSON body holds; raises `DecodeError` for anything that is not exactly one JSON value.

    Servers not started in UTF-8 send bytes that are none (contract: opencast.md 4.2): those become U+FFFD.
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
    """The items of a JSON array, None for another value; they can be gone through once.

    Raises `DecodeError` as `json_tree` does, perhaps only when the item is due that cannot be read.
    """
    if len(body) >= LARGE_ARRAY and body.startswith(b"[{") and body.endswith(b"}]"):
        return _parse_one_by_one(body)
    tree = json_tree(body)
    return tree if isinstance(tree, list) else None


def _parse_one_by_one(body: bytes) -> Iterator[Any]:
    """The items, each parsed when it is due; from the first on that cannot be read alone, of the whole array."""
    for index, row in enumerate(_split_rows(body)):
        try:
            tree = json_tree(row)
        except DecodeError:
            yield from json_tree(body)[index:]
            return
        yield tree


def _split_rows(body: bytes) -> Iterator[bytes]:
    """The array cut where a row most likely ends and another begins: by how the last one ends and the first begins.

    If every piece is one value, these are the items and nothing else: there is no other way to read what is cut at its
    commas. A cut in the wrong place leaves a piece that is none.
    """
    row_end, row_start = body[-3:-1], body[1 : body.find(b":") + 1]
    separator, start = row_end + b"," + row_start, 1
    while (end := body.find(separator, start)) >= 0:
        yield body[start : end + len(row_end)]
        start = end + len(row_end) + 1
    yield body[start:-1]


@cache
def _orjson() -> Any:
    """The module orjson, or None where the extra is not installed; importing the package does not import it."""
    try:
        return importlib.import_module("orjson")
    except ImportError:
        return None


def _is_spelled_as(body: bytes, serialized: bytes) -> bool:
    """Whether the body is this text, in one of the spellings; what they escape is found in texts only."""
    for escapes in SPELLINGS:
        candidate = serialized
        for character, escape in escapes.items():
            candidate = candidate.replace(character, escape)
        if candidate == body:
            return True
    return False


class SpelledNumber(float):
    """A number that knows how it was written: `3.10` is not `3.1` where it stands for a text."""

    __slots__ = ("spelling",)

    spelling: str

    def __new__(cls, spelling: str) -> Self:
        """Make the number of its digits. Raise `ValueError` for one that a float cannot hold."""
        number = super().__new__(cls, _finite_float(spelling))
        number.spelling = spelling
        return number

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]  # what __new__ takes, to be pickled by
        return (self.spelling,)


def spelled_json_tree(body: bytes) -> Any:
    """Parse a body as `json_tree` does, with a `SpelledNumber` for each number whose digits an int or float loses."""
    return reference_json_tree(body, parse_float=SpelledNumber, parse_int=_spelled_int)


def _spelled_int(digits: str) -> int | SpelledNumber:
    return SpelledNumber(digits) if digits == "-0" else int(digits)


def reference_json_tree(
    body: bytes, *, parse_float: Callable[[str], Any] | None = None, parse_int: Callable[[str], Any] = int
) -> Any:
    """The same by the standard library alone, which can tell what is wrong."""
    text = body.strip().decode("utf-8", "replace")
    if text.startswith("<"):
        raise UnexpectedContent("a page of markup where JSON is due @ $")
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
    raise ValueError(f"{name} is no JSON number")


def _finite_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number beyond what a float can hold")
    return number


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("an object has the same key twice")
    return tree
