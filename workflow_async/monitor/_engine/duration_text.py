"""Writes learned durations as JSON, and reads them strictly. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workflow_async._decode.json import json_tree
from workflow_async.errors import DecodeError, InvalidArgument
from workflow_async.monitor._engine.durations import MAX_KINDS, MAX_SAMPLES

VERSION = 1
MEMBERS = frozenset({"version", "system", "durations"})
MAX_SECONDS = 10**9
"""Longest duration that is read: 31 years."""
DIGITS = 3
"""Digits after the decimal point of a written duration, in seconds."""


def durations_text(system: str, samples: Mapping[str, Sequence[float]]) -> str:
    """Return the durations as JSON."""
    rounded = {kind: [round(seconds, DIGITS) for seconds in durations] for kind, durations in samples.items()}
    return json.dumps({"version": VERSION, "system": system, "durations": rounded})


def read_durations(system: str, text: str) -> Mapping[str, Sequence[float]]:
    """Return the durations of a text.

    Raises:
        InvalidArgument: `durations_text` has not written the text, or has written it for another system.
    """
    tree = _tree(text)
    if not isinstance(tree, dict) or type(tree.get("version")) is not int:
        raise InvalidArgument("text", "must be a text that `export_durations` has returned")
    if tree["version"] != VERSION:
        raise InvalidArgument("text", f"must have version {VERSION}: another version of the library has written it")
    if tree.keys() != MEMBERS or not is_durations(tree["durations"]):
        raise InvalidArgument("text", "must be a text that `export_durations` has returned")
    if tree["system"] != system:
        raise InvalidArgument("text", f"must be of {system}, not of {tree['system']!r:.40}")
    durations: dict[str, list[float]] = tree["durations"]
    return durations


def _tree(text: str) -> Any:
    try:
        return json_tree(text.encode()) if isinstance(text, str) else None
    except (DecodeError, UnicodeEncodeError):
        return None


def is_durations(value: object) -> bool:
    """Return True if a value holds durations by their kind, no more than are kept."""
    if not isinstance(value, dict) or len(value) > MAX_KINDS:
        return False
    return all(isinstance(samples, list) and _are_samples(samples) for samples in value.values())


def _are_samples(samples: Sequence[object]) -> bool:
    return 0 < len(samples) <= MAX_SAMPLES and all(_is_duration(seconds) for seconds in samples)


def _is_duration(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= MAX_SECONDS
