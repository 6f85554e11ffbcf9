"""JSON bytes to a tree, strictly. Pure."""

import json
import math
from typing import Any, NoReturn

from workflow_async.errors import DecodeError, UnexpectedContent


def json_tree(body: bytes) -> Any:
    """The value a JSON body holds; raises `DecodeError` for anything that is not exactly one JSON value.

    Servers not started in UTF-8 send bytes that are none (contract: opencast.md 4.2): those become U+FFFD.
    """
    text = body.decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
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
