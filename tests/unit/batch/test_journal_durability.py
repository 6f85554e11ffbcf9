"""Every entry is on the disk when its call returns, even if the power or the process fails afterwards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from tests.support.journal_files import SERVER, ended, intent, started, ticket
from tests.support.power_loss import Disk, store, watched_disk
from workflow_async.batch import read_journal
from workflow_async.batch.entries import Entry
from workflow_async.batch.journal import Journal, open_journal
from workflow_async.errors import JournalError

EXTRA = 3
"""The value of `PRAGMA synchronous = EXTRA`."""
ENTRIES = [entry for n in range(3) for entry in (intent(f"key-{n}"), started(f"key-{n}", n), ended(f"key-{n}", n))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.sqlite"


@pytest.fixture
def disk() -> Iterator[Disk]:
    with watched_disk() as disk:
        yield disk


async def journal_of(path: Path) -> Journal:
    return (await open_journal(path, "opencast", SERVER))[0]


async def written(path: Path, disk: Disk) -> list[tuple[int, dict[str, bytes]]]:
    """Write entries. Return for each the number of entries written, and the files after a power failure."""
    journal = await journal_of(path)
    left = []
    for count, entry in enumerate(ENTRIES, 1):
        await journal.write(entry)
        left.append((count, dict(disk.synced)))
    await journal.close()
    return [(count, {name: files[name] for name in files if name.startswith(str(path))}) for count, files in left]


async def lost(found: list[tuple[int, dict[str, bytes]]], folder: Path) -> int:
    """Return how often an entry that had been written was missing."""
    return sum([await count_of(store(files, folder / str(count))) < count for count, files in found])


async def count_of(path: Path) -> int:
    """Return the number of entries in a journal. Each entry adds a step to one start."""
    steps = {"intended": 1, "started": 2, "succeeded": 3}
    return sum(steps[item.word] for item in (await read_journal(path)).items.values())


async def test_no_entry_is_lost_if_the_power_fails_after_it_was_written(path: Path, tmp_path: Path, disk: Disk) -> None:
    found = await written(path, disk)
    assert len(found) == len(ENTRIES)
    assert await lost(found, tmp_path) == 0


@pytest.mark.parametrize("level", ["OFF", "NORMAL", "FULL"])
async def test_without_synchronous_extra_an_entry_would_be_lost(
    path: Path, tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    execute: Any = aiosqlite.Connection.execute

    def careless(self: aiosqlite.Connection, sql: str, *more: Any) -> Any:
        return execute(self, sql.replace("synchronous = EXTRA", f"synchronous = {level}"), *more)

    monkeypatch.setattr(aiosqlite.Connection, "execute", careless)
    assert await lost(await written(path, disk), tmp_path) > 0


async def test_planned_starts_are_on_the_disk_before_the_first_is_sent(path: Path, tmp_path: Path, disk: Disk) -> None:
    journal = await journal_of(path)
    await journal.plan([ticket(str(n)) for n in range(50)], 50)
    files = {name: content for name, content in disk.synced.items() if name.startswith(str(path))}
    await journal.close()
    found = await read_journal(store(files, tmp_path / "left"))
    assert (found.total, len(found.items)) == (50, 50)


async def test_a_writing_connection_waits_for_the_disk(path: Path) -> None:
    journal = await journal_of(path)
    async with journal._connection.execute("PRAGMA synchronous") as cursor:
        assert await cursor.fetchone() == (EXTRA,)
    async with journal._connection.execute("PRAGMA journal_mode") as cursor:
        assert await cursor.fetchone() == ("delete",)
    await journal.close()


def big(n: int) -> Entry:
    """Return an entry that needs several pages."""
    return Entry(**{**attrs_of(intent(f"big-{n}")), "text": ticket("x" * 200).to_json() + " " * 9000})


def attrs_of(entry: Entry) -> dict[str, Any]:
    return {"at": entry.at, "key": entry.key, "kind": entry.kind, "word": entry.word}


async def test_a_crash_at_any_moment_of_a_write_leaves_all_entries_before_it(
    path: Path, tmp_path: Path, disk: Disk
) -> None:
    """After a power failure only synced data is left. After a crash of the process, all written data is left."""
    journal = await journal_of(path)
    acknowledged = 0
    moments: list[tuple[int, dict[str, bytes]]] = []

    def note() -> None:
        for files in (disk.synced, disk.seen):
            own_files = {name: content for name, content in files.items() if name.startswith(str(path))}
            moments.append((acknowledged, own_files))

    disk.on_operation = note
    for entry in ENTRIES + [big(n) for n in range(2)]:
        await journal.write(entry)
        acknowledged += 1
    disk.on_operation = lambda: None
    await journal.close()
    assert len(moments) > 100
    for number, (count, files) in enumerate(moments):
        assert len(await entries_of(store(files, tmp_path / str(number)))) - count in {0, 1}


async def test_a_copy_without_its_side_file_never_gives_wrong_entries(path: Path, tmp_path: Path, disk: Disk) -> None:
    journal = await journal_of(path)
    acknowledged = 0
    moments: list[tuple[int, bytes]] = []
    disk.on_operation = lambda: moments.append((acknowledged, disk.seen[str(path)]))
    for entry in ENTRIES + [big(n) for n in range(2)]:
        await journal.write(entry)
        acknowledged += 1
    disk.on_operation = lambda: None
    await journal.close()
    refused = 0
    for number, (count, content) in enumerate(moments):
        copy = store({str(path): content}, tmp_path / str(number))
        try:
            assert len(await entries_of(copy)) - count in {0, 1}
        except JournalError:
            refused += 1
    assert 0 < refused < len(moments)


async def entries_of(path: Path) -> list[Any]:
    """Return the rows of a journal that can be read."""
    await read_journal(path)
    async with aiosqlite.connect(path) as connection:
        return list(await connection.execute_fetchall("SELECT n FROM entry"))
