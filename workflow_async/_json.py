"""JSON bytes to a tree, strictly. Pure.

With the extra `fast` it takes half the time: orjson reads, and its tree counts if, written again, it is the very bytes
that came. Then no key came twice, no number lost a digit, and nothing is read in another way than without it.
"""

import importlib
import json
import math
from functools import cache
from typing import Any, NoReturn

from workflow_async.errors import DecodeError, UnexpectedContent

MOST_FAST = 2 * 2**20
"""Bytes of a body that orjson reads: it takes a dozen times as many to do so."""
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
    fast = _fast() if len(body) <= MOST_FAST else None
    if fast is not None:
        try:
            tree = fast.loads(body)
            if _is_written_as(body, fast.dumps(tree)):
                return tree
        except (ValueError, TypeError):
            pass
    return careful_json_tree(body)


@cache
def _fast() -> Any:
    """The module orjson, or None where the extra is not installed; importing the package does not import it."""
    try:
        return importlib.import_module("orjson")
    except ImportError:
        return None


def _is_written_as(body: bytes, written: bytes) -> bool:
    """Whether the body is this text, in one of the spellings; what they escape is found in texts only."""
    for spelling in SPELLINGS:
        spelled = written
        for char, escape in spelling.items():
            spelled = spelled.replace(char, escape)
        if spelled == body:
            return True
    return False


def careful_json_tree(body: bytes) -> Any:
    """The same by the standard library alone, which can tell what is wrong."""
    text = body.strip().decode("utf-8", "replace")
    if text.startswith("<"):
        raise UnexpectedContent("a page of markup where JSON is due @ $")
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_unique)
    except RecursionError:
        fault = "nested too deeply"
    except ValueError as error:
        fault = f"not JSON: {error}"
    raise DecodeError(f"{fault} @ $")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number beyond what a float can hold")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("an object has the same key twice")
    return tree
