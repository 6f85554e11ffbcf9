"""The journal in a stream: who may write, for how long a start may be sent, and what cannot be read."""

import uuid
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from nats.aio.client import Client

from tests.conftest import FakeTime
from tests.support.journal_files import SERVER, ended, intent, started, ticket
from workflow_async import Clock
from workflow_async.batch import StatusKind
from workflow_async.distributed.nats import NatsJournal, journal_messages as messages
from workflow_async.distributed.nats.journal_messages import MessageHead
from workflow_async.distributed.nats.journal_subject import FencedSubject
from workflow_async.errors import InvalidArgument, JournalError

STREAM = "JOURNAL_TESTS"
OPEN = ("opencast", SERVER)
New = Callable[..., NatsJournal]


@pytest.fixture
def new(client: Client, fake_time: FakeTime) -> New:
    """Return a function that makes a journal as another process would. All have the same name."""
    name = uuid.uuid4().hex
    return lambda **settings: NatsJournal(client, name, stream=STREAM, **{"clock": fake_time.clock, **settings})


async def bodies(journal: NatsJournal) -> list[dict[str, Any]]:
    """Return the records of a journal."""
    subject = journal._subject()
    await subject.last()
    return [dict(record) for body in await subject.read() for record in messages.decode(body).records]


async def append(journal: NatsJournal, body: bytes) -> None:
    """Append a message that another program wrote."""
    await journal.client.jetstream().publish(f"{STREAM}.{journal.name}", body)


def message(number: int, *records: str) -> bytes:
    return messages.encode(MessageHead(system=OPEN[0], server=OPEN[1], number=number, runner="other"), records)


# One run at a time


async def test_a_journal_is_opened_once_at_a_time(new: New) -> None:
    journal = new()
    await journal.open(*OPEN)
    with pytest.raises(JournalError, match="a batch of this process has it open"):
        await journal.open(*OPEN)
    await journal.close()
    await journal.open(*OPEN)


async def test_a_journal_that_is_not_open_refuses_entries(new: New) -> None:
    with pytest.raises(JournalError, match="it is not open"):
        await new().write(intent("a"))


async def test_the_run_before_is_shut_out_and_stays_shut_out(new: New) -> None:
    first, second = new(), new()
    await first.open(*OPEN)
    await second.open(*OPEN)
    with pytest.raises(JournalError, match="another run uses it"):
        await first.write(intent("a"))
    with pytest.raises(JournalError, match="an earlier write failed"):
        await first.write(intent("a"))
    await first.close()
    await second.write(intent("b"))
    assert (await second.read()).items.keys() == {"b"}


async def test_a_cancelled_write_is_the_last(new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = new()
    await journal.open(*OPEN)
    with anyio.CancelScope() as scope:

        async def cancelled(*_: Any) -> None:
            scope.cancel()
            await anyio.lowlevel.checkpoint()

        monkeypatch.setattr(FencedSubject, "append", cancelled)
        await journal.write(intent("a"))
    monkeypatch.undo()
    with pytest.raises(JournalError, match="an earlier write failed"):
        await journal.write(intent("b"))


# How long a start may be sent


async def test_a_start_may_be_sent_during_the_lease_of_its_entry(new: New, fake_time: FakeTime) -> None:
    journal = new(lease=10.0)
    await journal.open(*OPEN)
    may_send = await journal.write(intent("a"))
    assert may_send is not None
    fake_time.now += 9.9
    assert may_send()
    fake_time.now += 0.2
    assert not may_send()


async def test_the_lease_begins_before_the_entry_is_stored(
    new: New, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = new(lease=10.0)
    await journal.open(*OPEN)
    append = FencedSubject.append

    async def slow(subject: FencedSubject, body: bytes) -> None:
        await append(subject, body)
        fake_time.now += 10.0

    monkeypatch.setattr(FencedSubject, "append", slow)
    may_send = await journal.write(intent("a"))
    assert may_send is not None
    assert not may_send()


async def test_only_an_intent_limits_a_start(new: New) -> None:
    journal = new()
    await journal.open(*OPEN)
    assert await journal.write(started("a", 7)) is None


@pytest.mark.parametrize(
    ("entries", "closes", "waits"),
    [
        ([intent("a")], 0, [15.0]),
        ([intent("a")], 1, []),
        ([intent("a"), started("a", 7)], 0, []),
        ([intent("a"), started("a", 7), intent("b")], 0, [15.0]),
        ([], 0, []),
    ],
)
async def test_a_run_waits_until_the_run_before_can_send_nothing_more(
    new: New, fake_time: FakeTime, entries: list[Any], closes: int, waits: list[float]
) -> None:
    first = new(lease=10.0)
    await first.open(*OPEN)
    for entry in entries:
        await first.write(entry)
    for _ in range(closes):
        await first.close()
    await new(lease=10.0).open(*OPEN)
    assert fake_time.naps == waits


async def test_a_run_that_ended_while_it_waited_leaves_the_wait_to_the_next(new: New, fake_time: FakeTime) -> None:
    first = new()
    await first.open(*OPEN)
    await first.write(intent("a"))
    with anyio.CancelScope() as scope:

        async def cancelled(_: float) -> None:
            scope.cancel()
            await anyio.lowlevel.checkpoint()

        await new(clock=Clock(sleep=cancelled)).open(*OPEN)
    await new().open(*OPEN)
    assert fake_time.naps == [15.0]


# What is stored


async def test_entries_that_wait_for_each_other_share_a_message(new: New) -> None:
    journal = new()
    await journal.open(*OPEN)
    async with anyio.create_task_group() as group:
        for n in range(50):
            group.start_soon(journal.write, intent(str(n)))
    assert journal._writer is not None
    assert journal._writer.number < 10
    assert len((await journal.read()).items) == 50


async def test_a_journal_of_many_messages_is_read_in_order(new: New) -> None:
    journal = new()
    await journal.open(*OPEN)
    for n in range(150):
        await journal.write(started("a", n))
    assert (await journal.read()).items["a"].id == 149


async def test_starts_are_planned_in_messages_that_the_broker_accepts(new: New) -> None:
    journal = new()
    await journal.open(*OPEN)
    tickets = [ticket(str(n)) for n in range(3000)]
    await journal.plan(tickets, 3000)
    contents = await journal.read()
    assert [item.ticket for item in contents.items.values()] == tickets
    assert contents.total == 3000
    assert {item.kind for item in contents.items.values()} == {StatusKind.PLANNED}


async def test_a_total_is_written_when_it_changes(new: New) -> None:
    journal = new()
    await journal.open(*OPEN)
    for total in (None, 2, 2, None):
        await journal.plan([], total)
    await journal.close()
    again = new()
    await again.open(*OPEN)
    await again.plan([], None)
    opened, closed = {"opened": True}, {"closed": True}
    assert await bodies(again) == [opened, {"total": 2}, {"total": None}, closed, opened]


async def test_a_journal_can_be_read_while_it_is_written(new: New) -> None:
    journal = new()
    await journal.open(*OPEN)
    await journal.plan([ticket("a")], 1)
    for entry in (intent("a"), started("a", 7), ended("a", 7)):
        await journal.write(entry)
        contents = await new().read()
        assert contents.items["a"].kind is entry.kind
        assert (contents.system, contents.server, contents.total) == (*OPEN, 1)


async def test_an_entry_that_is_too_large_for_the_broker_is_refused(new: New) -> None:
    journal = new()
    await journal.open(*OPEN)
    with pytest.raises(JournalError, match=r"an entry needs \d+ bytes, and the broker accepts 1048576\. Raise"):
        await journal.write(attrs.evolve(ended("a", 7), text="a" * 2**20))


# What cannot be used


async def test_a_journal_that_does_not_exist_cannot_be_read(new: New) -> None:
    await new().open(*OPEN)  # makes the stream
    missing = NatsJournal(new().client, uuid.uuid4().hex, stream=STREAM)
    with pytest.raises(JournalError, match="it does not exist"):
        await missing.read()


async def test_a_journal_of_another_server_is_not_opened(new: New) -> None:
    first = new()
    await first.open(*OPEN)
    with pytest.raises(JournalError, match=r"it is for opencast at .* not preservica .* Use another name"):
        await new().open("preservica", SERVER)
    await first.write(intent("a"))  # it was not shut out


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"hello", "a message cannot be read"),
        (message(3), "message 2 is missing"),
        (message(2, '{"later":1}'), "a record is unknown: later"),
    ],
)
async def test_a_damaged_journal_is_not_opened(new: New, body: bytes, why: str) -> None:
    await new().open(*OPEN)
    await append(new(), body)
    for attempt in (new().open(*OPEN), new().read()):
        with pytest.raises(JournalError, match=rf"it is damaged or incomplete: {why}.*\. Check on the server"):
            await attempt


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"name": ""}, "name"),
        ({"name": "a.b"}, "name"),
        ({"name": 3}, "name"),
        ({"stream": "a b"}, "stream"),
        ({"lease": 0}, "lease"),
        ({"lease": float("inf")}, "lease"),
        ({"lease": True}, "lease"),
        ({"patience": "5"}, "patience"),
        ({"replicas": 0}, "replicas"),
        ({"replicas": 1.0}, "replicas"),
        ({"client": None}, "client"),
    ],
)
async def test_settings_that_make_no_sense_are_refused(client: Client, settings: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{name}: "):
        NatsJournal(**{"client": client, "name": "batch", **settings})
