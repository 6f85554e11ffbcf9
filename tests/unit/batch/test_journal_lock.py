"""The lock of a journal: one batch at a time, by any path, and any number of readers."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.support.interruption import CancelStyle, cancel_at
from tests.support.journal_files import SERVER, ended, fill, held, intent, opened_elsewhere, refusal, started
from tests.unit.batch.conftest import OFTEN, posts, results
from workflow_async import OpencastClient
from workflow_async.batch import AlreadyDone, Completed, StatusKind, read_journal, sqlite_file
from workflow_async.batch.journal import Journal, open_journal
from workflow_async.batch.journal_file import ChangeDetector
from workflow_async.errors import JournalError
from workflow_async.opencast import Start
from workflow_async.sandbox.systems import FakeOpencast

IN_USE = "another process is running this batch"


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits for locks that are never released."""
    monkeypatch.setattr(sqlite_file, "OPEN_TIMEOUT", 0.05)
    monkeypatch.setattr(sqlite_file, "LOCK_TIMEOUT", 0.2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here" / "a.sqlite"


async def fresh(path: Path) -> Journal:
    return (await open_journal(path, "opencast", SERVER))[0]


# Paths of the same file


def symlink(path: Path) -> Path:
    (link := path.with_name("link.sqlite")).symlink_to(path.name)
    return link


def link_to_a_link(path: Path) -> Path:
    (link := path.parent.parent / "link.sqlite").symlink_to(symlink(path))
    return link


def hard_link(path: Path) -> Path:
    (link := path.with_name("hard.sqlite")).hardlink_to(path)
    return link


def hard_link_elsewhere(path: Path) -> Path:
    (there := path.parent.parent / "there").mkdir()
    (link := there / "hard.db").hardlink_to(path)
    return link


def linked_folder(path: Path) -> Path:
    (folder := path.parent.parent / "folder").symlink_to(path.parent)
    return folder / path.name


def relative(path: Path) -> Path:
    return Path(os.path.relpath(path))


def dotted(path: Path) -> Path:
    return path.parent / ".." / path.parent.name / "." / path.name


SPELLINGS = [symlink, link_to_a_link, hard_link, hard_link_elsewhere, linked_folder, relative, dotted]
Spell = Callable[[Path], Path]
spelled = pytest.mark.parametrize("spell", SPELLINGS, ids=lambda spell: spell.__name__)


@spelled
async def test_a_second_batch_in_this_process_is_refused_however_it_spells_the_path(path: Path, spell: Spell) -> None:
    first = await fresh(path)
    await first.write(intent("a"))
    other = spell(path)
    assert (await refusal(other)).startswith(IN_USE)
    await first.write(started("a", 7))
    assert (await refusal(other)).startswith(IN_USE)
    await first.close()
    again, items = await open_journal(other, "opencast", SERVER)
    await again.close()
    assert items["a"].id == 7


async def test_a_second_process_is_refused_however_it_spells_the_path(path: Path) -> None:
    first = await fresh(path)
    await first.write(intent("a"))
    spellings = [spell(path) for spell in SPELLINGS if spell is not symlink]
    reported = opened_elsewhere(path, *spellings)
    assert [IN_USE in line for line in reported] == [True] * len(SPELLINGS)
    await first.close()


@pytest.mark.parametrize("spell", [symlink, hard_link])
async def test_a_journal_that_another_process_has_open_is_refused(path: Path, spell: Spell) -> None:
    await fill(path, 1)
    with held(path):
        assert (await refusal(spell(path))).startswith(IN_USE)


@pytest.mark.parametrize("spell", [symlink, hard_link, hard_link_elsewhere])
async def test_two_concurrent_batches_of_the_same_starts_send_each_start_once(
    oc: OpencastClient, fake: FakeOpencast, path: Path, spell: Spell
) -> None:
    starts = [Start(fake.event(), "quick", key=str(n)) for n in range(4)]
    async with oc.workflows.run_all(starts, max_running=4, journal=path, poll=OFTEN) as outcomes:
        other = spell(path)
        with pytest.raises(JournalError, match=IN_USE):
            await results(oc.workflows.run_all(starts, max_running=4, journal=other, poll=OFTEN))
        assert [each.succeeded async for each in outcomes] == [True] * 4
    assert posts(fake) == 4
    after = await results(oc.workflows.run_all(starts, journal=other, poll=OFTEN))
    assert all(isinstance(each, AlreadyDone) for each in after)
    assert posts(fake) == 4


async def test_the_lock_needs_no_other_file(path: Path) -> None:
    first = await fresh(path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    (path.parent / f"{path.name}.lock").touch()
    (path.parent / f"{path.name}-journal").touch()
    assert (await refusal(path)).startswith(IN_USE)
    assert IN_USE in opened_elsewhere(path)[0]
    await first.write(intent("a"))
    await first.close()


async def test_the_lock_ends_with_its_process(path: Path) -> None:
    with held(path):
        assert (await refusal(path)).startswith(IN_USE)
    await (await fresh(path)).close()


async def test_one_of_several_concurrent_opens_makes_the_journal_and_the_others_are_refused(path: Path) -> None:
    tries = await asyncio.gather(*(open_journal(path, "opencast", SERVER) for _ in range(4)), return_exceptions=True)
    got = [each for each in tries if isinstance(each, tuple)]
    assert (len(got), sum(isinstance(each, JournalError) for each in tries)) == (1, 3)
    await got[0][0].close()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


UNUSUAL_NAMES = ["a b.sqlite", "50%?#&=a.sqlite", "é.sqlite", "\udcff.sqlite", ":memory:", "file:a.sqlite"]


@pytest.mark.parametrize("name", UNUSUAL_NAMES)
async def test_a_file_may_have_any_name(path: Path, name: str) -> None:
    named = path.with_name(name)
    first = await fresh(named)
    await first.write(intent("a"))
    assert (await refusal(named)).startswith(IN_USE)
    await first.close()
    assert [each.name for each in path.parent.iterdir()] == [name]
    assert len((await read_journal(named)).items) == 1


async def test_a_dangling_link_becomes_a_new_journal(path: Path) -> None:
    link = symlink(path)
    await (await fresh(link)).close()
    assert link.is_symlink()
    assert (await read_journal(path)).items == {}


async def test_a_journal_in_wal_mode_is_locked_too(path: Path) -> None:
    await fill(path, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert len((await read_journal(path)).items) == 3
    first = await fresh(path)
    assert (await refusal(path)).startswith(IN_USE)
    await first.write(intent("a"))
    await first.close()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


# Reading


@spelled
async def test_a_journal_can_be_read_while_a_batch_writes_however_the_path_is_spelled(path: Path, spell: Spell) -> None:
    first = await fresh(path)
    other = spell(path)
    await first.write(intent("a"))
    assert (await read_journal(other)).items["a"].kind is StatusKind.INTENT
    await first.write(started("a", 7))
    assert (await read_journal(other)).items["a"].kind is StatusKind.STARTED
    await first.close()


async def test_concurrent_reads_and_writes_lose_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "LOCK_TIMEOUT", 10.0)
    first = await fresh(path)
    seen: list[int] = []

    async def read() -> None:
        while len(seen) < 20:
            seen.append(len((await read_journal(path)).items))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        group.start_soon(read)
        for n in range(30):
            await first.write(intent(str(n)))
    assert len((await read_journal(path)).items) == 30
    assert seen == sorted(seen)
    await first.close()


async def test_opening_a_journal_waits_for_a_reader(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(path, 1)
    reader = reading(path)
    tries: list[float] = []

    async def sleep(seconds: float) -> None:
        tries.append(seconds)
        reader.close()

    monkeypatch.setattr(anyio, "sleep", sleep)
    await (await fresh(path)).close()
    assert len(tries) == 1


async def test_a_reader_that_holds_the_lock_for_too_long_is_reported(path: Path) -> None:
    await fill(path, 1)
    reader = reading(path)
    assert "another program has the file open. Wait until it has ended" in await refusal(path)
    reader.close()
    first = await fresh(path)
    reader = reading(path)
    with pytest.raises(JournalError, match=r"it cannot be written: database is locked\. "):
        await first.write(ended("key-0", 0))
    reader.close()
    await first.close()
    assert (await read_journal(path)).items["key-0"].kind is StatusKind.ENDED


def reading(path: Path) -> sqlite3.Connection:
    """Return a connection with an open read transaction."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT * FROM batch").fetchall()
    return connection


async def test_another_program_cannot_write_to_an_open_journal(path: Path) -> None:
    first = await fresh(path)
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    for statement in ("DELETE FROM entry", "DROP TABLE entry", "PRAGMA journal_mode = WAL"):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            connection.execute(statement)
    connection.close()
    await first.write(intent("a"))
    await first.close()


@pytest.mark.sweep
@pytest.mark.parametrize("way", ["natively", "by scope"])
async def test_a_cancelled_open_or_read_leaves_the_file_unlocked(path: Path, way: CancelStyle) -> None:
    await fill(path, 1)

    async def all_of_it() -> None:
        await read_journal(path)
        await (await fresh(path)).close()

    endings, fired, k = [], True, 1
    while fired:
        endings.append(await cancel_at(all_of_it, k, way))  # the exception is kept, and with it all frames
        fired = endings[-1].fired
        assert endings[-1].problems == []
        await (await fresh(path)).close()
        k += 3
    assert k > 50


# Changes of the file while it is open


def look_into(path: Path) -> None:
    """Read and close a file, which ends all POSIX locks that this process has on it."""
    path.read_bytes()


async def test_a_journal_that_lost_its_lock_is_not_written(path: Path) -> None:
    first = await fresh(path)
    look_into(path)
    assert opened_elsewhere(path) == ["free"]
    with pytest.raises(JournalError, match="another program has changed it while it was open"):
        await first.write(intent("a"))
    with pytest.raises(JournalError, match="an earlier write failed"):
        await first.write(intent("b"))
    await first.close()
    assert (await read_journal(path)).items == {}


async def test_a_write_locks_the_file_again(path: Path) -> None:
    first = await fresh(path)
    look_into(path)
    await first.write(intent("a"))
    assert (await refusal(path)).startswith(IN_USE)
    await first.close()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.sqlite"))


def replace(path: Path) -> None:
    shutil.copy(path, path.with_name("copy.sqlite"))
    path.with_name("copy.sqlite").replace(path)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(4096))


@pytest.mark.parametrize("harm", [empty, move, replace, overwrite, Path.unlink], ids=lambda harm: harm.__name__)
async def test_a_journal_that_is_damaged_while_open_ends_the_batch_before_a_request_is_sent(
    oc: OpencastClient, fake: FakeOpencast, path: Path, harm: Callable[[Path], None]
) -> None:
    batch = oc.workflows.run_all([Start(fake.event(), "quick")], journal=path, poll=OFTEN)
    with pytest.raises(JournalError, match="while it was open"):  # noqa: PT012 - the block is what is tested
        async with batch as outcomes:
            harm(path)
            await anext(outcomes)
    assert posts(fake) == 0


def count_to(path: Path, number: int) -> None:
    """Write SQLite's file change counter."""
    path.write_bytes(bytes(24) + number.to_bytes(4, "big"))


def guarding(path: Path) -> ChangeDetector:
    guard = ChangeDetector(path)
    guard.start()
    return guard


@pytest.mark.parametrize("number", [0, 7, 2**32 - 1])
def test_the_change_detector_distinguishes_its_own_changes(path: Path, number: int) -> None:
    count_to(path, number)
    guard = guarding(path)
    guard.check()
    guard.expect_change()
    count_to(path, (number + 1) % 2**32)
    guard.check()
    guard.expect_change()
    count_to(path, (number + 3) % 2**32)
    with pytest.raises(JournalError, match="another program has changed it"):
        guard.check()
    guard.stop()


async def test_a_file_that_can_no_longer_be_examined_is_a_journal_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await fresh(path)

    def stale(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stale)
        with pytest.raises(JournalError, match="it cannot be written: .*Check the permissions"):
            await first.write(intent("a"))
    await first.close()


async def test_the_next_run_of_a_batch_can_use_a_renamed_journal(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    start = Start(fake.event(), "quick", key="0")
    assert isinstance((await results(oc.workflows.run_all([start], journal=path, poll=OFTEN)))[0], Completed)
    moved = Path(shutil.move(path, path.with_name("moved.sqlite")))
    assert isinstance((await results(oc.workflows.run_all([start], journal=moved, poll=OFTEN)))[0], AlreadyDone)
    assert posts(fake) == 1
