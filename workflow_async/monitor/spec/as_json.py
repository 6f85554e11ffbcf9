"""Writes a watch as a JSON tree, and reads it strictly. Pure."""

import json
from collections.abc import Hashable, Iterable
from datetime import timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

import attrs
import cattrs

from workflow_async._decode.records import list_field, read_with, register, strict_converter, structure
from workflow_async._decode.values import TypeMismatch, or_none
from workflow_async.errors import InvalidArgument
from workflow_async.monitor._engine.duration_text import is_durations
from workflow_async.monitor.spec.records import Cursor, SavedOperation, SavedWorkflow
from workflow_async.monitor.spec.server_memory import ServerMemory
from workflow_async.phase import Phase

T = TypeVar("T")

VERSION = 2
"""The version that is written. Version 1 had no `label`, `stalled_after`, `durations`, `server` and `filters`."""
READABLE = (1, VERSION)
_OPERATIONS = tuple[SavedOperation, ...]


def spec_tree(spec: Any) -> dict[str, Any]:
    """Return a watch as a JSON tree."""
    tree: dict[str, Any] = attrs.asdict(spec, value_serializer=lambda _, __, value: _plain(value))
    return tree


def read_tree(kind: type[T], tree: Any) -> T:
    """Return the watch of a JSON tree.

    Raises:
        DecodeError: the tree is not a saved watch.
        InvalidArgument: the tree is of another version.
    """
    if isinstance(tree, dict):
        version = tree.get("version")
        if type(version) is not int or version not in READABLE:
            why = "must be 1 or 2: another version of the library has written this watch, so read it with that version"
            raise InvalidArgument("version", why)
        tree = {**tree, "version": VERSION}
    record: T = structure(_converter(cast("Hashable", kind)), tree, kind)
    return record


def saved_filter(name: str, value: Any) -> str | tuple[str, ...]:
    """Return a filter as it is saved. Raise `InvalidArgument` if it is no text, state, or several of them."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        values = tuple(each.value if isinstance(each, Enum) else each for each in value)
        if all(isinstance(each, str) for each in values):
            return values
    raise InvalidArgument(name, "must be a text, a state, or several of them, because the watch is saved")


def text_of(tree: dict[str, Any]) -> str:
    """Return a tree as a JSON text."""
    return json.dumps(tree)


def _plain(value: Any) -> Any:
    if isinstance(value, Phase):
        return value.value
    return {"seconds": value.total_seconds()} if isinstance(value, timedelta) else value


@cache
def _converter(kind: Any) -> cattrs.Converter:
    strict = strict_converter()
    strict.register_structure_hook(Phase, lambda value, _: _phase(value))
    strict.register_structure_hook(float, lambda value, _: _seconds(value))
    register(strict, SavedOperation)
    register(strict, SavedWorkflow, operations=read_with(or_none(lambda value: strict.structure(value, _OPERATIONS))))
    register(strict, Cursor, workflow=read_with(or_none(lambda value: strict.structure(value, SavedWorkflow))))
    register(strict, ServerMemory)
    register(
        strict,
        kind,
        cursors=list_field(strict, Cursor),
        stalled_after=read_with(or_none(_stalled_after)),
        durations=read_with(_durations),
        filters=read_with(or_none(_filters)),
    )
    return strict


def _phase(value: Any) -> Phase:
    found = next((phase for phase in Phase if phase.value == value), None)
    if found is None:
        raise TypeMismatch("expected a phase")
    return found


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeMismatch("expected a number")
    return float(value)


def _stalled_after(value: Any) -> float | timedelta:
    if isinstance(value, dict) and value.keys() == {"seconds"}:
        return timedelta(seconds=_seconds(value["seconds"]))
    return _seconds(value)


def _durations(value: Any) -> dict[str, tuple[float, ...]]:
    if not is_durations(value):
        raise TypeMismatch("expected durations by their kind")
    return {kind: tuple(map(float, samples)) for kind, samples in value.items()}


def _filters(value: Any) -> dict[str, str | tuple[str, ...]]:
    if not isinstance(value, dict):
        raise TypeMismatch("expected filters by their name")
    return {name: _filter(each) for name, each in value.items()}


def _filter(value: Any) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise TypeMismatch("expected a text or a list of texts")
