"""Converts entries of a journal to JSON and back, whatever fields they have. Pure."""

import json
from typing import Any

from cattrs.preconf.json import make_converter

from workflow_async.batch.entries import Entry
from workflow_async.errors import InvalidArgument

_converter = make_converter(omit_if_default=True)


def entry_to_json(entry: Entry) -> str:
    """Return an entry as one line of JSON. Fields that have their default are left out."""
    return json.dumps(_converter.unstructure(entry), separators=(",", ":"))


def entry_from_json(text: str) -> Entry:
    """Return the entry that `entry_to_json` wrote. Raises `InvalidArgument` for any other text.

    Members that this version does not know are ignored.
    """
    try:
        members: Any = json.loads(text)
        entry = _converter.structure(members, Entry)
    except Exception as error:  # noqa: BLE001 - cattrs raises errors of many classes
        raise InvalidArgument("entry", f"cannot be read: {type(error).__name__}") from None
    if entry.at.utcoffset() is None:
        raise InvalidArgument("entry", "cannot be read: its time has no time zone")
    return entry
