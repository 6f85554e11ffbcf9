"""Reads one record through cattrs. The compiled reader must make the same records. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
import cattrs
from attrs import frozen

from workflow_async._decode.compiled import Field
from workflow_async._decode.values import TypeMismatch, type_name

EXTRA_KEY = "#extra"
"""The key under which a record's `extra` field finds the entries that the record has no field for."""
LEAVE_IN_EXTRA = object()
"""Returned for a value that belongs to `extra` unchanged."""


@frozen
class Reference:
    """The reference reader of one record, based on cattrs.

    In a record that has `extra`, an optional value that cannot be read counts as absent and is kept in `extra`
    unchanged. A required value that cannot be read, or is missing, is a fault at the server's key.
    """

    kind: type[Any]
    fields: Sequence[Field]
    structure: Callable[[Any, Any], Any]
    preprocess: Callable[[Any], Any]
    optional: Mapping[str, Field]
    """The fields whose values may be unreadable, by key."""

    def __call__(self, tree: Any, _: Any) -> Any:
        if not isinstance(tree, dict):
            raise TypeMismatch(f"expected an object, got {type_name(tree)}")
        keys = {field.key for field in self.fields}
        preprocessed = {key: self.preprocess(value) for key, value in tree.items() if key in keys}
        known = {key: value for key, value in preprocessed.items() if value is not LEAVE_IN_EXTRA}
        unreadable = {
            key for key in self.optional.keys() & known.keys() if not _is_readable(self.optional[key], known[key])
        }
        read = {key: value for key, value in known.items() if key not in unreadable}
        extra = {key: value for key, value in tree.items() if key not in read}
        record = self._structured({**read, EXTRA_KEY: extra})
        fallback_fields = [self.optional[key] for key in unreadable]
        fallbacks = {field.name: field.fallback for field in fallback_fields if field.fallback is not attrs.NOTHING}
        constants = {field.name: field.default for field in self.fields if field.is_constant}
        return attrs.evolve(record, **constants, **fallbacks) if constants or fallbacks else record

    def _structured(self, tree: Mapping[Any, Any]) -> Any:
        """Return the record. Faults name the server's keys instead of the attributes."""
        try:
            return self.structure(tree, self.kind)
        except cattrs.ClassValidationError as error:
            keys = {field.name: field.key for field in self.fields}
            for _, note in error.group_exceptions()[0]:
                note.name = keys[note.name] or note.name
            raise


def optional_fields(fields: Iterable[Field]) -> Mapping[str, Field]:
    """Return the fields that may be absent, by key. A key that a required field reads too is required."""
    required = {field.key for field in fields if field.default is attrs.NOTHING}
    return {field.key: field for field in fields if field.key is not None and field.key not in required}


def _is_readable(field: Field, value: Any) -> bool:
    """Return True if the field's reader accepts the value."""
    try:
        field.read(value)
    except Exception:  # noqa: BLE001 - after any error the value goes to `extra`
        return False
    return True
