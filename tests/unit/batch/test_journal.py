"""The journal: its entries, its use by one batch, and the next run of the same batch."""

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio import Event

from tests.unit.batch.conftest import OFTEN, posts, results, runs
from workflow_async import OpencastClient, Poll, Retry
from workflow_async.batch import (
    AlreadyDone,
    Completed,
    JournalContents,
    NotStarted,
    OutcomeUnknown,
    Rejected,
    Skipped,
    StartStatus,
    StatusKind,
    journal,
    ledger,
    read_journal,
)
from workflow_async.batch.entries import Entry
from workflow_async.batch.journal import Journal
from workflow_async.batch.start_records import OpencastStart
from workflow_async.errors import JournalError, StartOutcomeUnknown
from workflow_async.opencast import Start
from workflow_async.preservica import PreservicaClient, Start as ContextStart
from workflow_async.sandbox import Fault, Faults, Step, StepResult
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

STARTS = ("POST",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batch.sqlite"


async def run(client: OpencastClient, path: Path, *starts: Start, **settings: Any) -> dict[str, Any]:
    """Run a batch with this journal and return its results by key."""
    batch = client.workflows.run_all(starts, journal=path, **{"poll": OFTEN, **settings})
    return {each.key: each for each in await results(batch)}


async def item(path: Path, key: str = "0") -> StartStatus:
    return (await read_journal(path)).items[key]


def rows(path: Path) -> list[tuple[str, str, str, int | None]]:
    """Return key, kind, word and id of every entry."""
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT key, kind, word, workflow FROM entry ORDER BY n").fetchall()
    connection.close()
    return found


# Entries


async def test_intent_id_every_change_and_the_outcome_are_written(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    reported = await run(oc, path, Start(fake.event(), "quick", {"n": 1}, "0"))
    id = reported["0"].id
    (first, *rest) = rows(path)
    assert first == ("0", "intent", "intended", None)
    assert rest[0] == ("0", "started", "started", id)
    assert [row[2] for row in rest[1:-1]] == [
        word for word in ("waiting", "running", "succeeded") if ("0", "change", word, id) in rest
    ]
    assert rest[-2:] == [("0", "change", "succeeded", id), ("0", "ended", "succeeded", id)]


async def test_a_journal_shows_the_status_of_a_start(oc: OpencastClient, fake: FakeOpencast, path: Path) -> None:
    reported = await run(oc, path, Start(fake.event(), "quick", {"n": 1}, "0"))
    found = await read_journal(path)
    assert isinstance(found, JournalContents)
    assert (found.system, found.server) == ("opencast", fake.url)
    seen = found.items["0"]
    assert (seen.kind, seen.word, seen.id, seen.state) == (StatusKind.ENDED, "succeeded", reported["0"].id, "succeeded")
    assert seen.ticket is not None
    assert isinstance(seen.ticket.arguments, OpencastStart)
    assert seen.ticket.arguments.configuration == {"n": "1"}
    assert seen.took is not None
    assert 5 <= seen.took.total_seconds() < 60


async def test_a_journal_has_no_credentials_and_only_its_owner_may_read_it(
    pv: PreservicaClient, archive: FakePreservica, path: Path
) -> None:
    async with pv.workflows.run_all([ContextStart(42)], journal=path, poll=OFTEN) as outcomes:
        await anext(outcomes)
        files = list(path.parent.iterdir())
        assert [file.name for file in files] == [path.name]
        assert not any(archive.password.encode() in file.read_bytes() for file in files)
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_journal_can_be_read_while_a_batch_writes_to_it(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    starts = [Start(fake.event(), "quick", key=str(n)) for n in range(2)]
    async with oc.workflows.run_all(starts, max_running=1, journal=path, poll=OFTEN) as outcomes:
        await anext(outcomes)
        assert (await item(path)).word == "succeeded"


async def test_an_intent_is_on_the_disk_before_the_start_is_sent(
    oc: OpencastClient, fake: FakeOpencast, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Journal.write
    seen: list[tuple[str, int]] = []

    async def writing(self: Journal, entry: Entry) -> None:
        await write(self, entry)
        seen.append((entry.kind.value, posts(fake)))

    monkeypatch.setattr(Journal, "write", writing)
    await run(oc, path, Start(fake.event(), "quick", key="0"))
    assert seen[:2] == [("intent", 0), ("started", 1)]


# Another run


async def test_an_ended_workflow_is_not_requested_again(oc: OpencastClient, fake: FakeOpencast, path: Path) -> None:
    starts = [Start(fake.event(), name, key=str(n)) for n, name in enumerate(("quick", "fails"))]
    before = await run(oc, path, *starts)
    count = len(fake.requests)
    after = await run(oc, path, *starts)
    assert len(fake.requests) == count
    assert all(isinstance(each, AlreadyDone) for each in after.values())
    assert {key: (each.id, each.succeeded) for key, each in after.items()} == {
        key: (each.id, each.succeeded) for key, each in before.items()
    }
    assert [after["0"].word, after["1"].word] == ["succeeded", "failed"]


async def test_a_running_workflow_is_watched_again_even_if_its_start_is_not_given(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    fake.define("slow", [Step("one", 600.0)])
    start = Start(fake.event(), "slow", key="0")
    async with oc.workflows.run_all([start], journal=path, poll=OFTEN) as outcomes:
        while "0" not in outcomes.items or outcomes.items["0"].id is None:
            await oc.version()
    unnamed, named = await run(oc, path), await run(oc, path, start)
    assert isinstance(unnamed["0"], Completed)
    assert isinstance(named["0"], AlreadyDone)
    assert posts(fake) == 1


async def test_running_workflows_of_an_earlier_run_take_their_slots_first(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    fake.define("slow", [Step("one", 600.0)])
    slow, quick = Start(fake.event(), "slow", key="0"), Start(fake.event(), "quick", key="1")
    async with oc.workflows.run_all([slow], journal=path, poll=OFTEN) as outcomes:
        while "0" not in outcomes.items or outcomes.items["0"].id is None:
            await oc.version()
    reported = await results(oc.workflows.run_all([quick, slow], max_running=1, journal=path, poll=OFTEN))
    assert [each.key for each in reported] == ["0", "1"]


async def test_a_parked_workflow_of_an_earlier_run_is_watched_again(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    fake.define("asks", [Step("one", 1.0, StepResult.HELD)])
    start = Start(fake.event(), "asks", key="0")
    assert (await run(oc, path, start, parked="return"))["0"].workflow.state_text == "paused"
    assert (await item(path)).kind is StatusKind.LEFT
    run_of_it = runs(fake)[0]
    fake.engine.resume(run_of_it, 2.0)
    assert (await run(oc, path, start))["0"].succeeded
    assert posts(fake) == 1


async def test_a_start_that_did_not_happen_is_sent_by_the_next_run(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    start = Start(fake.event(), "later", key="0")
    assert isinstance((await run(oc, path, start))["0"], Rejected)
    assert (await item(path)).word == "refused"
    fake.define("later", [Step("one", 1.0)])
    assert (await run(oc, path, start))["0"].succeeded


async def test_a_skipped_start_is_sent_by_the_next_run_if_the_event_is_free(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    event = fake.event()
    fake.start(event, "quick")
    start = Start(event, "quick", key="0")
    assert isinstance((await run(oc, path, start, on_conflict="skip"))["0"], Skipped)
    assert (await run(oc, path, start, on_conflict="wait"))["0"].succeeded


async def test_a_start_that_was_not_sent_is_sent_by_the_next_run(
    oc: OpencastClient, path: Path, fake: FakeOpencast
) -> None:
    url = "http://127.0.0.1:1"
    async with OpencastClient(url, auth=fake.auth, retry=Retry(attempts=1)) as client:
        poll = Poll(interval=0.01, ceiling=0.02, outage=0.0)
        for _ in range(2):
            reported = await run(client, path, Start("e", "quick", key="0"), poll=poll)
            assert isinstance(reported["0"], NotStarted)
    assert [kind for _, kind, _, _ in rows(path)] == ["not started"] * 2


async def test_a_start_that_may_have_happened_is_searched_for_and_not_sent(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    event = fake.event()
    start = Start(event, "quick", key="0")
    fake.faults = Faults(script=[Fault.SERVER_ERROR], methods=STARTS)
    first, second = [(await run(oc, path, start, settle=4.0))["0"] for _ in range(2)]
    assert isinstance(first, OutcomeUnknown)
    assert isinstance(second, OutcomeUnknown)
    assert isinstance(first.error, StartOutcomeUnknown)
    assert second.error is None
    assert second.why == "3 checks in 4 s did not find it"
    assert (await item(path)).kind is StatusKind.UNKNOWN
    fake.start(event, "quick")  # the request arrives late
    assert isinstance((await run(oc, path, start))["0"], Completed)
    assert posts(fake) == 1


async def test_a_key_that_belongs_to_another_start_is_rejected(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    await run(oc, path, Start(fake.event(), "quick", key="0"))
    rejected = (await run(oc, path, Start(fake.event(), "quick", key="0")))["0"]
    assert isinstance(rejected, Rejected)
    assert "belongs to another start in this journal" in str(rejected.error)
    assert (await item(path)).word == "succeeded"


# Use by one batch


async def test_a_second_batch_on_the_same_journal_is_refused(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    fake.define("slow", [Step("one", 600.0)])
    async with oc.workflows.run_all([Start(fake.event(), "slow")], journal=path, poll=OFTEN):
        with pytest.raises(JournalError, match=f"the journal {path} cannot be used: another process is running"):
            await run(oc, path)
    await run(oc, path)


SECOND = """
import asyncio, sys
from workflow_async.batch.journal import open_journal
from workflow_async.errors import JournalError, StartOutcomeUnknown
try:
    asyncio.run(open_journal(sys.argv[1], "opencast", sys.argv[2]))
except JournalError as error:
    sys.exit(str(error))
"""


async def test_a_second_process_on_the_same_journal_is_refused(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    fake.define("slow", [Step("one", 600.0)])
    async with oc.workflows.run_all([Start(fake.event(), "slow")], journal=path, poll=OFTEN):
        second = subprocess.run(  # noqa: ASYNC221 - the first batch must not continue until it returns
            [sys.executable, "-c", SECOND, str(path), fake.url], capture_output=True, text=True, check=False
        )
    assert second.returncode == 1
    assert "another process is running this batch" in second.stderr


async def test_a_journal_of_another_server_or_system_is_refused(
    oc: OpencastClient, pv: PreservicaClient, fake: FakeOpencast, path: Path
) -> None:
    await run(oc, path, Start(fake.event(), "quick"))
    async with OpencastClient("https://other.example.org", auth=("u", "p")) as other:
        with pytest.raises(JournalError, match=f"it is for opencast at {fake.url}, not opencast https://other"):
            await run(other, path)
    with pytest.raises(JournalError, match="not preservica"):
        await results(pv.workflows.run_all([], journal=path))


@pytest.fixture
def table(path: Path) -> Iterator[None]:
    """Return a CSV file that is given as a journal by mistake, and must not change."""
    path.write_text("event,definition\n" * 100)
    yield
    assert path.read_text() == "event,definition\n" * 100


async def test_a_file_that_is_not_a_journal_is_refused_and_stays_unchanged(
    oc: OpencastClient, path: Path, table: None
) -> None:
    with pytest.raises(JournalError, match="not a database"):
        await run(oc, path)


async def test_a_database_of_another_program_is_refused(oc: OpencastClient, path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(JournalError, match="it is not a journal of version 2"):
        await run(oc, path)


async def test_a_journal_of_another_version_is_refused(oc: OpencastClient, path: Path) -> None:
    await run(oc, path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    with pytest.raises(JournalError, match="it is not a journal of version 2"):
        await run(oc, path)


async def test_a_journal_that_cannot_be_made_is_refused(oc: OpencastClient, tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be used"):
        await run(oc, tmp_path / "no such folder" / "batch.sqlite")


async def test_a_missing_journal_cannot_be_read(path: Path) -> None:
    with pytest.raises(JournalError, match="No such file"):
        await read_journal(path)
    with pytest.raises(JournalError, match="No such file"):
        await read_journal(path)  # reading has not made the file


async def test_a_journal_that_cannot_be_written_ends_the_batch_before_anything_is_sent(
    oc: OpencastClient, fake: FakeOpencast, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = journal.open_journal

    async def on_a_full_disk(*where: str) -> tuple[Journal, dict[str, StartStatus]]:
        found, items = await opened(*where)
        await found._connection.execute("PRAGMA max_page_count = 1")  # the file cannot grow
        return found, items

    monkeypatch.setattr(journal, "open_journal", on_a_full_disk)
    start = Start(fake.event(), "quick", {"n": "x" * 10_000})
    full = r"it cannot be written: database or disk is full\. Check the path, the disk and its free space"
    with pytest.raises(JournalError, match=full):
        await run(oc, path, start)
    assert posts(fake) == 0


async def test_an_entry_is_written_even_if_the_batch_is_left(
    oc: OpencastClient, fake: FakeOpencast, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Journal.write
    begun = Event()

    async def writing(self: Journal, entry: Entry) -> None:
        if entry.kind is StatusKind.STARTED:
            begun.set()
            await oc.version()  # the block is left during this call
        await write(self, entry)

    monkeypatch.setattr(Journal, "write", writing)
    async with oc.workflows.run_all([Start(fake.event(), "quick", key="0")], journal=path, poll=OFTEN):
        await begun.wait()
    assert (await item(path)).kind is StatusKind.STARTED


# The extra


async def test_without_its_extra_a_journal_says_what_to_install(
    oc: OpencastClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiosqlite", None)
    monkeypatch.delitem(sys.modules, "workflow_async.batch.journal")
    monkeypatch.delattr("workflow_async.batch.journal")
    with pytest.raises(JournalError, match=r"pip install 'workflow-async\[journal\]'"):
        await run(oc, path)
    with pytest.raises(JournalError, match=r"pip install"):
        await ledger.read_journal(path)


def test_importing_the_library_does_not_import_the_extra() -> None:
    script = "import sys, workflow_async, workflow_async.batch; sys.exit('aiosqlite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
