"""The messages of a journal: what is written is read, and anything else is refused."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.support.journal_files import ended, intent, started, ticket
from workflow_async.batch import StatusKind
from workflow_async.distributed.nats import journal_messages as messages
from workflow_async.distributed.nats.journal_messages import Contents, MessageHead

HEAD = MessageHead(system="opencast", server="https://oc.example.org", number=1, runner="here 7")


def contents(*records: str) -> Contents:
    found = Contents()
    for record in messages.decode(messages.encode(HEAD, records)).records:
        found.add(record)
    return found


def test_a_message_has_its_head_and_its_records_in_order() -> None:
    message = messages.decode(messages.encode(HEAD, [messages.OPENED, messages.total_record(3)]))
    assert message.head == HEAD
    assert message.records == [{"opened": True}, {"total": 3}]
    assert not message.closes
    assert messages.decode(messages.encode(HEAD, [messages.CLOSED])).closes


def test_the_status_of_each_start_follows_from_the_records() -> None:
    records = [messages.start_record(ticket("a")), messages.start_record(ticket("b")), messages.total_record(2)]
    entries = [intent("a"), started("a", 7), ended("a", 7)]
    found = contents(messages.OPENED, *records, *map(messages.entry_record, entries), messages.CLOSED)
    assert found.total == 2
    assert {key: (item.kind, item.id) for key, item in found.items.items()} == {
        "a": (StatusKind.ENDED, 7),
        "b": (StatusKind.PLANNED, None),
    }
    assert contents(messages.total_record(2), messages.total_record(None)).total is None


@pytest.mark.parametrize(
    "record",
    [{"later": 1}, {"entry": {}}, {"start": 3}, {"start": "{}"}, {"total": "3"}],
    ids=str,
)
def test_a_record_that_cannot_be_read_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several classes, and shown with its text
        Contents().add(record)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[]", b"{}", b'{"head":{},"records":[]}', b'{"head":3,"records":[]}', b'{"records":[]}'],
)
def test_a_message_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="a message cannot be read"):
        messages.decode(body)


def test_a_message_of_another_version_is_refused() -> None:
    tree = json.loads(messages.encode(HEAD, []))
    tree["head"]["version"] = 2
    with pytest.raises(ValueError, match="version 2 instead of 1"):
        messages.decode(json.dumps(tree).encode())


def test_a_missing_message_is_found() -> None:
    bodies = [messages.encode(MessageHead(system="", server="", number=n, runner=""), []) for n in (1, 2, 4)]
    with pytest.raises(ValueError, match="message 3 is missing"):
        [*messages.checked_numbers(bodies)]
    assert len([*messages.checked_numbers(bodies[:2])]) == 2


@given(st.lists(st.text(max_size=30)), st.integers(1, 60))
def test_groups_hold_all_records_in_order_and_are_not_larger_than_needed(records: list[str], size: int) -> None:
    groups = [*messages.grouped(records, size)]
    assert [record for group in groups for record in group] == records
    assert all(len(group) == 1 or sum(len(each.encode()) + 1 for each in group) <= size for group in groups)
    assert all(groups)
