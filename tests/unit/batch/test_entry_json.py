"""Entries as JSON: every field survives, whatever fields an entry has."""

import json
from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest
from hypothesis import given, strategies as st

from tests.support.journal_files import NOON, ended, intent
from workflow_async.batch import Entry, OperationDuration, StatusKind, entry_from_json, entry_to_json
from workflow_async.errors import InvalidArgument

times = st.datetimes(timezones=st.just(UTC))
entries = st.builds(
    Entry,
    at=times,
    key=st.text(),
    kind=st.sampled_from(StatusKind),
    server_start=st.none() | times,
    text=st.text(),
    operations=st.none() | st.tuples(st.builds(OperationDuration, st.text(), st.floats(0, 1e6))),
)


@given(entries)
def test_an_entry_survives(entry: Entry) -> None:
    assert entry_from_json(entry_to_json(entry)) == entry


def test_every_field_is_carried() -> None:
    tree = json.loads(entry_to_json(attrs.evolve(ended("a", 7), failed_operation="encode", failed_attempt=2)))
    assert tree == {
        "at": NOON.isoformat(),
        "key": "a",
        "kind": "ended",
        "word": "succeeded",
        "id": 7,
        "failed_operation": "encode",
        "failed_attempt": 2,
    }


def test_a_field_of_a_later_version_is_ignored() -> None:
    tree = json.loads(entry_to_json(intent("a")))
    assert entry_from_json(json.dumps({**tree, "added": 1})) == intent("a")


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    at = datetime(2026, 3, 4, 14, tzinfo=timezone(timedelta(hours=2)))
    assert entry_from_json(entry_to_json(attrs.evolve(intent("a"), at=at))).at == NOON


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "3", '{"at": "yesterday"}', entry_to_json(intent("a")).replace("+00:00", "", 1)]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="^entry: cannot be read: "):
        entry_from_json(text)
