"""What every journal promises a batch: the same suite for a file, for NATS, and for a journal that a user wrote."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import nats
import pytest

from tests.support.journal_files import SERVER, ended, intent, started, ticket
from tests.support.journal_kinds import Crash, CrashingJournal, Kind, MemoryJournal, Storage
from tests.support.nats_server import NatsServer
from tests.unit.batch.conftest import OFTEN, posts, results, runs
from workflow_async import Clock, OpencastClient
from workflow_async.batch import Journal, JournalContents, OutcomeUnknown, Result, StatusKind, read_journal
from workflow_async.batch.entries import Entry
from workflow_async.batch.journals import FileJournal, journal_of
from workflow_async.distributed.nats import NatsJournal
from workflow_async.errors import InvalidArgument, JournalError
from workflow_async.opencast import Start
from workflow_async.preservica import PreservicaClient, Start as ContextStart
from workflow_async.sandbox import Step, StepResult
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica


@pytest.fixture
def file(tmp_path: Path) -> Kind:
    path = tmp_path / "batch.sqlite"
    return Kind("file", lambda: FileJournal(path), lambda: read_journal(path), shuts_out=False)


@pytest.fixture
def memory() -> Kind:
    storage = Storage()

    async def read() -> JournalContents:
        system, server = storage.batch or ("", "")
        return JournalContents(system, server, MemoryJournal(storage).statuses(), storage.total)

    return Kind("memory", lambda: MemoryJournal(storage), read, shuts_out=True)


@pytest.fixture
async def stream(nats_server: NatsServer, clock: Clock) -> AsyncIterator[Kind]:
    client, name = await nats.connect(nats_server.url), uuid.uuid4().hex

    def new() -> NatsJournal:
        return NatsJournal(client, name, clock=clock)

    yield Kind("nats", new, lambda: new().read(), shuts_out=True)
    await client.close()


@pytest.fixture(params=["file", "memory", "stream"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.getfixturevalue(request.param)
    return found


def starts_on(fake: FakeOpencast, count: int) -> list[Start]:
    return [Start(fake.event(), "quick", key=str(n)) for n in range(count)]


async def run(client: OpencastClient, journal: Journal, starts: list[Start], **settings: Any) -> dict[str, Result[Any]]:
    batch = client.workflows.run_all(starts, journal=journal, **{"poll": OFTEN, "settle": 2.0, **settings})
    return {each.key: each for each in await results(batch)}


def words(reported: dict[str, Result[Any]]) -> list[str]:
    return [type(reported[key]).__name__ for key in sorted(reported)]


async def test_a_second_run_of_the_same_starts_sends_none(oc: OpencastClient, fake: FakeOpencast, kind: Kind) -> None:
    starts = starts_on(fake, 3)
    assert words(await run(oc, kind.new(), starts)) == ["Completed"] * 3
    assert words(await run(oc, kind.new(), starts)) == ["AlreadyDone"] * 3
    assert posts(fake) == 3
    contents = await kind.contents()
    assert (contents.system, contents.server, contents.total) == ("opencast", fake.url, 3)
    assert {status.kind for status in contents.items.values()} == {StatusKind.ENDED}


async def test_a_preservica_continues_from_any_journal(
    pv: PreservicaClient, archive: FakePreservica, kind: Kind
) -> None:
    context = archive.context("Quick", "com.example.quick", "Ingest", [Step("one", 5.0)])
    starts = [ContextStart(context, {"n": str(n)}) for n in range(2)]
    for expected in ("Completed", "AlreadyDone"):
        batch = pv.workflows.run_all(starts, journal=kind.new(), poll=OFTEN)
        assert [type(each).__name__ for each in await results(batch)] == [expected] * 2
    assert posts(archive) == 2


async def test_a_run_that_is_left_early_is_continued(oc: OpencastClient, fake: FakeOpencast, kind: Kind) -> None:
    starts = starts_on(fake, 4)
    async with oc.workflows.run_all(starts, journal=kind.new(), poll=OFTEN, max_running=2) as outcomes:
        await anext(outcomes)
    again = await run(oc, kind.new(), starts)
    assert set(words(again)) <= {"AlreadyDone", "Completed"}
    assert posts(fake) == 4


async def test_limits_and_failures_carry_over_to_the_next_run(
    oc: OpencastClient, fake: FakeOpencast, kind: Kind
) -> None:
    fake.define("broken", [Step("one", 5.0, StepResult.FAILED)])
    starts = [Start(fake.event(), "broken", key=str(n)) for n in range(2)]
    first = await run(oc, kind.new(), starts, limit=1)
    assert [each.succeeded for each in first.values()] == [False]
    assert (await kind.contents()).items["1"].kind is StatusKind.PLANNED
    second = await run(oc, kind.new(), starts, retry_failed=True)
    assert words(second) == ["Completed"] * 2
    assert posts(fake) == 3


async def test_a_journal_of_another_server_is_refused(oc: OpencastClient, kind: Kind) -> None:
    journal = kind.new()
    await journal.open("opencast", SERVER)
    await journal.close()
    with pytest.raises(JournalError, match="it is for"):
        await run(oc, kind.new(), [])


async def test_the_status_of_each_start_is_what_its_entries_say(kind: Kind) -> None:
    journal = kind.new()
    assert await journal.open("opencast", SERVER) == {}
    await journal.plan([ticket(key) for key in ("planned", "sent", "done")], None)
    for entry in (intent("sent"), intent("done"), started("done", 7), ended("done", 7)):
        await journal.write(entry)
    await journal.plan([], 3)
    await journal.close()
    again = kind.new()
    items = await again.open("opencast", SERVER)
    await again.close()
    assert {key: (item.kind, item.id) for key, item in items.items()} == {
        "planned": (StatusKind.PLANNED, None),
        "sent": (StatusKind.INTENT, None),
        "done": (StatusKind.ENDED, 7),
    }
    assert all(item.ticket == ticket(key) for key, item in items.items())
    assert items == (await kind.contents()).items


async def test_one_run_at_a_time_has_a_journal(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow_async.batch.sqlite_file.OPEN_TIMEOUT", 0.02)
    first, second = kind.new(), kind.new()
    await first.open("opencast", SERVER)
    if kind.shuts_out:
        await second.open("opencast", SERVER)
        loser, winner = first, second
        with pytest.raises(JournalError):
            await loser.write(intent("a"))
    else:
        with pytest.raises(JournalError):
            await second.open("opencast", SERVER)
        winner = first
    await winner.write(intent("b"))
    await winner.close()
    assert (await kind.contents()).items.keys() == {"b"}


async def test_of_two_runs_at_once_one_ends_and_no_start_is_sent_twice(
    oc: OpencastClient, fake: FakeOpencast, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflow_async.batch.sqlite_file.OPEN_TIMEOUT", 0.02)
    starts = starts_on(fake, 4)
    refused: list[str] = []
    async with oc.workflows.run_all(starts, journal=kind.new(), poll=OFTEN, max_running=1) as outcomes:
        await anext(outcomes)
        try:
            await run(oc, kind.new(), starts)
        except JournalError:
            refused.append("second")
        try:
            [each async for each in outcomes]
        except JournalError:
            refused.append("first")
    assert len(refused) == 1
    assert kind.shuts_out or refused == ["second"]
    assert words(await run(oc, kind.new(), starts)) == ["AlreadyDone"] * 4
    assert posts(fake) == 4


@pytest.mark.parametrize("kind", ["memory", "stream", pytest.param("file", marks=pytest.mark.sweep)], indirect=True)
async def test_a_crash_at_any_write_starts_nothing_twice_and_forgets_nothing(
    oc: OpencastClient, fake: FakeOpencast, kind: Kind, tmp_path: Path, nats_server: NatsServer, clock: Clock
) -> None:
    client = await nats.connect(nats_server.url)
    fatal = unknown = 0
    finished = False
    while not finished:
        fatal += 1
        new = journal_factory(kind, tmp_path / f"{fatal}.sqlite", client, clock)
        starts = starts_on(fake, 2)
        finished = await crash(oc, CrashingJournal(new(), fatal, closes=not kind.shuts_out), starts)
        reported = await run(oc, new(), starts)
        executed = Counter(each.subject for each in runs(fake) if each.subject in {start.event_id for start in starts})
        assert max(executed.values(), default=0) <= 1
        assert len(reported) == 2
        assert sum(each.succeeded for each in reported.values()) == len(executed)
        unknown += sum(isinstance(each, OutcomeUnknown) for each in reported.values())
        assert words(await run(oc, new(), starts)) == [
            "OutcomeUnknown" if isinstance(reported[key], OutcomeUnknown) else "AlreadyDone" for key in sorted(reported)
        ]
    await client.close()
    assert fatal > 14
    assert 0 < unknown < fatal


def journal_factory(kind: Kind, path: Path, client: Any, clock: Clock) -> Callable[[], Journal]:
    """Return a function that makes journals of this kind for a new batch."""
    storage, name = Storage(), uuid.uuid4().hex
    factories: dict[str, Callable[[], Journal]] = {
        "file": lambda: FileJournal(path),
        "memory": lambda: MemoryJournal(storage),
        "nats": lambda: NatsJournal(client, name, clock=clock),
    }
    return factories[kind.name]


async def crash(client: OpencastClient, journal: CrashingJournal, starts: list[Start]) -> bool:
    """Run a batch until its journal crashes. Return True if the batch comes to its end before."""
    try:
        await run(client, journal, starts)
    except JournalError as error:
        return not isinstance(error.__cause__, Crash)
    return True


# Journals that a caller wrote


@pytest.mark.parametrize("step", ["open", "plan", "write", "close"])
async def test_an_exception_of_a_journal_ends_the_batch_as_a_journal_error(
    oc: OpencastClient, fake: FakeOpencast, memory: Kind, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def fails(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(MemoryJournal, step, fails)
    with pytest.raises(JournalError, match=rf"MemoryJournal .* its {step}\(\) raised OSError: disk full\. ") as caught:
        await run(oc, memory.new(), starts_on(fake, 2))
    assert isinstance(caught.value.__cause__, OSError)
    assert posts(fake) == (2 if step == "close" else 0)


async def test_nothing_is_written_after_a_write_that_failed(
    oc: OpencastClient, fake: FakeOpencast, memory: Kind
) -> None:
    calls: list[str] = []

    class Failing(MemoryJournal):
        async def write(self, entry: Entry) -> Any:
            calls.append(entry.word)
            raise JournalError("mine", "it is full")

        async def close(self) -> None:
            calls.append("close")

    with pytest.raises(JournalError, match="mine"):
        await run(oc, Failing(Storage()), starts_on(fake, 4))
    assert calls == ["intended", "close"]
    assert posts(fake) == 0


async def test_a_start_whose_time_has_passed_is_not_sent_and_tried_again(
    oc: OpencastClient, fake: FakeOpencast, memory: Kind
) -> None:
    entries: list[str] = []

    class Late(MemoryJournal):
        async def write(self, entry: Entry) -> Any:
            await super().write(entry)
            entries.append(entry.word)
            late = entries.count("intended") < 3
            return lambda: not late

    reported = await run(oc, Late(Storage()), starts_on(fake, 1))
    assert words(reported) == ["Completed"]
    sent = [word for word in entries if word in {"intended", "not sent", "started"}]
    assert sent == ["intended", "not sent", "intended", "not sent", "intended", "started"]
    assert posts(fake) == 1


async def test_a_status_of_another_server_closes_the_journal_again(oc: OpencastClient, memory: Kind) -> None:
    storage = Storage()
    foreign = MemoryJournal(storage)
    await foreign.open("opencast", SERVER)
    await foreign.plan([ticket("a")], 1)
    storage.batch = ("opencast", oc.url)
    with pytest.raises(InvalidArgument):
        await run(oc, MemoryJournal(storage), [])
    assert storage.owner is None


def test_a_path_is_the_journal_in_its_file(tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    assert isinstance(journal, FileJournal)
    assert journal.path == tmp_path
    assert journal_of(None) is None


@pytest.mark.parametrize("wrong", [1, object(), MemoryJournal, b"batch.sqlite"])
def test_anything_else_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidArgument, match="^journal: "):
        journal_of(wrong)
