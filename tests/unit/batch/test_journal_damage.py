"""Damaged journals: refused before any start, with a message that says what to do."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio.lowlevel
import pytest

from tests.support.journal_files import SERVER, die_with, fill, filled, intent, refusal, started, ticket
from tests.unit.batch.conftest import OFTEN, posts, results
from workflow_async import OpencastClient
from workflow_async.batch import StatusKind, journal_file, journal_rows, read_journal, schema
from workflow_async.batch.entries import Entry
from workflow_async.batch.journal import open_journal
from workflow_async.errors import JournalError
from workflow_async.opencast import Start
from workflow_async.sandbox.systems import FakeOpencast

__all__ = ["filled"]
Harm = Callable[[Path], None]
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path, filled: bytes) -> Path:
    """Return a closed journal of a batch of 42 starts."""
    (here := tmp_path / "a.sqlite").write_bytes(filled)
    return here


def put(path: Path, content: bytes) -> Path:
    """Write this content to a file, and return its path."""
    path.write_bytes(content)
    return path


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def folder_at(path: Path) -> None:
    path.mkdir()


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def execute(path: Path, *statements: str) -> None:
    """Change a journal as another program could."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def check_refused(path: Path, *sentences: str) -> None:
    """Check that a batch and a report refuse the file and do not change it."""
    before = content_of(path)
    with pytest.raises(JournalError) as refused:
        await read_journal(path)
    for why in (refused.value.why, await refusal(path)):
        assert all(sentence in why for sentence in sentences), why
    assert content_of(path) == before


async def test_a_long_journal_lets_other_tasks_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[None] = []

    async def checkpoint() -> None:
        turns.append(None)

    monkeypatch.setattr(journal_rows, "YIELD_EVERY", 10)
    monkeypatch.setattr(anyio.lowlevel, "checkpoint", checkpoint)
    await read_journal(path)
    assert len(turns) >= 4 + 12


async def test_a_closed_journal_can_be_read(path: Path) -> None:
    found = await read_journal(path)
    assert (found.system, found.server, found.total, len(found.items)) == ("opencast", SERVER, 42, 42)
    assert [item.kind for item in found.items.values()] == [StatusKind.ENDED] * 40 + [
        StatusKind.PLANNED,
        StatusKind.INTENT,
    ]


# Rows

ROW = "row 4 of its table entry"
ALTERED = {
    "kind": ("UPDATE entry SET kind = 'bogus' WHERE n = 4", f"{ROW} was altered"),
    "date": ("UPDATE entry SET at = 'yesterday' WHERE n = 4", f"{ROW} was altered"),
    "ticket": ("UPDATE entry SET text = '{' WHERE n = 4", f"{ROW} was altered"),
    "blob": ("UPDATE entry SET text = x'00ff' WHERE n = 4", f"{ROW} was altered"),
    "invalid UTF-8": ("UPDATE entry SET text = CAST(x'ff' AS TEXT) WHERE n = 4", "UTF-8"),
    "number": ("UPDATE entry SET workflow = 8.5 WHERE n = 5", "row 5 of its table entry was altered"),
    "text for a number": ("UPDATE entry SET workflow = 'x' WHERE n = 5", "row 5 of its table entry was altered"),
    "swapped keys": ("UPDATE entry SET key = 'key-9' WHERE n = 4", f"{ROW} was altered"),
    "a row lost": ("DELETE FROM entry WHERE n = 4", "its table entry has 120 rows instead of 121"),
    "the last rows lost": ("DELETE FROM entry WHERE n > 100", "its table entry has 100 rows instead of 121"),
    "all rows lost": ("DELETE FROM entry", "its table entry has 0 rows instead of 121"),
    "a row elsewhere": ("UPDATE entry SET n = 500 WHERE n = 4", f"{ROW} is missing"),
    "a start lost": ("DELETE FROM start WHERE n = 42", "its table start has 41 rows instead of 42"),
    "a start altered": ("UPDATE start SET key = 'x' WHERE n = 7", "row 7 of its table start was altered"),
    "no head": ("DELETE FROM batch", "its table batch has 0 rows instead of 1"),
    "two heads": ("INSERT INTO batch SELECT * FROM batch", "its table batch has 2 rows instead of 1"),
    "another server": ("UPDATE batch SET server = 'https://x'", "its table batch was altered"),
    "another id": ("UPDATE batch SET id = 'x'", "its table batch was altered"),
    "a total that is none": ("UPDATE batch SET total = 'many'", "the total in its table batch is not a number"),
}


@pytest.mark.parametrize("name", ALTERED)
async def test_a_row_that_was_altered_or_lost_is_found(path: Path, name: str) -> None:
    statement, sentence = ALTERED[name]
    execute(path, statement)
    await check_refused(path, sentence)


async def test_a_row_of_another_journal_is_found(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    await fill(other, 1)
    values = "(at, text, digest) = (SELECT at, text, digest FROM other.entry WHERE n = 4)"
    execute(path, f"ATTACH '{other}' AS other", f"UPDATE main.entry SET {values} WHERE n = 4")
    await check_refused(path, f"it is damaged or incomplete: {ROW} was altered. Restore it from a copy")


def sealed(path: Path, **values: object) -> None:
    """Alter the last entry, with a digest that fits."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (id,) = connection.execute("SELECT id FROM batch").fetchone()
        connection.execute(
            f"UPDATE entry SET {', '.join(f'{name} = ?' for name in values)} WHERE n = 121", [*values.values()]
        )
        *row, _ = connection.execute("SELECT * FROM entry WHERE n = 121").fetchone()
        connection.execute("UPDATE entry SET digest = ? WHERE n = 121", (schema.row_digest(id, "entry", *row),))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"kind": "bogus"}, "'bogus' is not a valid StatusKind"),
        ({"at": "2026-13-01T00:00:00+00:00"}, "month must be in 1..12"),
        ({"at": "2026-03-04T12:00:00"}, "the time '2026-03-04T12:00:00' has no time zone"),
        ({"server_end": "soon"}, "Invalid isoformat string: 'soon'"),
        ({"text": "{"}, "ticket"),
        ({"text": "{}"}, "ticket"),
        ({"kind": 7}, "'7' is not a valid StatusKind"),
    ],
)
async def test_a_row_that_this_library_never_writes_is_damage(
    path: Path, values: dict[str, object], sentence: str
) -> None:
    sealed(path, **values)
    await check_refused(path, "it is damaged or incomplete: ", sentence)


# The file


async def test_an_empty_file_is_not_taken_for_a_new_journal(tmp_path: Path) -> None:
    path = put(tmp_path / "a.sqlite", b"")
    await check_refused(path, "it is empty. A journal is never empty", "Delete it only if no batch has ever used it")


async def test_a_file_that_is_cut_anywhere_is_refused(path: Path, filled: bytes) -> None:
    for size in range(0, len(filled), 512):
        put(path, filled[:size])
        await check_refused(path)


async def test_altered_bytes_never_change_what_is_read(path: Path, filled: bytes) -> None:
    """The journal is refused or read unchanged. Bytes in SQLite's free space and hints may have any value."""
    chance, before = random.Random(7), (await read_journal(path)).items
    refused = 0
    for _ in range(150):
        place = chance.randrange(len(filled))
        put(path, filled[:place] + chance.randbytes(1) + filled[place + 1 :])
        try:
            assert (await read_journal(path)).items == before
        except JournalError:
            refused += 1
            await refusal(path)
    assert refused > 20


@pytest.mark.parametrize("start", [0, PAGE, 2 * PAGE, 5 * PAGE])
async def test_a_page_of_random_bytes_is_refused(path: Path, filled: bytes, start: int) -> None:
    noise = random.Random(start).randbytes(PAGE)
    put(path, filled[:start] + noise + filled[start + PAGE :])
    await check_refused(path)


@pytest.mark.parametrize("content", [b"xy", b"event,definition\n" * 100, bytes(PAGE), random.Random(1).randbytes(PAGE)])
async def test_a_file_that_is_not_a_database_is_refused(path: Path, content: bytes) -> None:
    put(path, content)
    await check_refused(path, "file is not a database. Use the path of a journal")


@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA user_version = 3",
        "PRAGMA application_id = 0",
        "CREATE TABLE theirs (x)",
        "ALTER TABLE entry ADD COLUMN more",
        "DROP TRIGGER entry_added",
        "DROP TABLE entry",
        "CREATE VIEW seen AS SELECT * FROM entry",
    ],
)
async def test_a_database_that_is_not_a_journal_of_this_version_is_refused(path: Path, statement: str) -> None:
    execute(path, statement)
    await check_refused(path, "it is not a journal of version 2. Use the path of a journal")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/null")


def circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (folder, "it is not a regular file. Use the path of a journal"),
        (pipe, "it is not a regular file"),
        (device, "it is not a regular file"),
        (circle, "symbolic links"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_path_that_is_not_a_regular_file_is_refused(path: Path, harm: Harm, sentence: str) -> None:
    harm(path)
    with pytest.raises(JournalError) as refused:
        await read_journal(path)
    for why in (refused.value.why, await refusal(path)):
        assert sentence in why


async def test_a_folder_in_the_place_of_sqlites_side_file_is_an_error(path: Path) -> None:
    folder_at(Path(f"{path}-journal"))
    assert await refusal(path) == "disk I/O error. Check the path, the disk and its free space"


async def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    for name in ("a\0b", "x" * 300):
        assert "Check the path" in await refusal(tmp_path / name)


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """Return a folder that every user can read."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def unprivileged(path: Path, mode: int) -> Iterator[None]:
    """Run as a user with only the rights that this mode gives on a file, even if root runs the tests."""
    path.chmod(mode)
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(("mode", "readable"), [(0o000, False), (0o444, True)])
async def test_a_file_that_its_user_may_not_use_is_refused(filled: bytes, mode: int, *, readable: bool) -> None:
    with folder_for_all() as folder:
        path = put(folder / "a.sqlite", filled)
        with unprivileged(path, mode):
            assert "Check the permissions of the file and of its folder" in await refusal(path)
            if readable:
                assert len((await read_journal(path)).items) == 42
            else:
                with pytest.raises(JournalError, match="Check the permissions"):
                    await read_journal(path)


# Copies


async def test_a_journal_whose_process_was_killed_can_be_used_again(path: Path) -> None:
    die_with(path)
    assert names_in(path.parent) == [path.name]
    assert {f"late-{n}" for n in range(3)} <= (await read_journal(path)).items.keys()
    journal, items = await open_journal(path, "opencast", SERVER)
    assert items["late-2"].kind is StatusKind.INTENT
    await journal.close()


@pytest.mark.parametrize("rename", [False, True])
async def test_a_copy_of_a_journal_whose_process_was_killed_may_be_incomplete(path: Path, *, rename: bool) -> None:
    die_with(path)
    copy = Path(shutil.copy(path, path.with_name("copy.sqlite")))
    if rename:
        shutil.move(copy, path)
        copy = path
    why = await refusal(copy)
    assert f"it is a copy that was made while a batch had {path} open, so it may be incomplete. Use the" in why
    assert len((await read_journal(copy)).items) == 45
    execute(copy, why.rpartition("'UPDATE")[2].join(("UPDATE", "")).removesuffix("'"))
    journal, items = await open_journal(copy, "opencast", SERVER)
    assert len(items) == 45
    await journal.close()


async def test_a_copy_of_a_journal_that_is_open_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    journal, _ = await open_journal(path, "opencast", SERVER)
    await journal.write(intent("a"))
    copy = Path(shutil.copy(path, tmp_path / "copy.sqlite"))
    assert "so it may be incomplete" in await refusal(copy)
    await journal.write(started("a", 7))
    await journal.close()
    assert "so it may be incomplete" in await refusal(copy)


async def test_a_copy_of_a_closed_journal_can_be_used(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.move(path, shutil.copy(path, tmp_path / "copy.sqlite")))
    journal, items = await open_journal(copy, "opencast", SERVER)
    assert len(items) == 42
    await journal.close()


@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
async def test_no_new_journal_is_made_while_a_side_file_of_the_old_one_exists(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "a.sqlite"
    left = put(tmp_path / f"a.sqlite{suffix}", b"x")
    assert f"it is missing, but a part of it is there: {left}. Put the journal back" in await refusal(path)
    put(left, b"")
    journal, _ = await open_journal(path, "opencast", SERVER)
    await journal.close()


async def test_an_interrupted_write_is_undone_by_the_path_under_which_it_was_made(path: Path, tmp_path: Path) -> None:
    die_with(path)
    other = tmp_path / "other.sqlite"
    os.link(path, other)
    left = put(tmp_path / "a.sqlite-journal", b"not empty")
    assert f"its last write was interrupted, and {left} can undo it. Open the journal once as {path}" in await refusal(
        other
    )
    journal, _ = await open_journal(path, "opencast", SERVER)
    await journal.close()
    journal, _ = await open_journal(other, "opencast", SERVER)
    await journal.close()


# New journals


async def test_a_journal_can_be_made_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "a.sqlite"
    journal, _ = await open_journal(path, "opencast", SERVER)
    await journal.plan([ticket("a")], 1)
    await journal.close()
    assert names_in(tmp_path) == [path.name]
    journal_file.publish(tmp_path / "another", path)
    assert (await read_journal(path)).total == 1


# A batch


def empty(path: Path) -> None:
    path.write_bytes(b"")


def bogus(path: Path) -> None:
    execute(path, "UPDATE entry SET kind = 'bogus'")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-PAGE])


@pytest.mark.parametrize("harm", [empty, bogus, cut])
async def test_a_batch_with_a_damaged_journal_starts_nothing(
    oc: OpencastClient, fake: FakeOpencast, tmp_path: Path, harm: Harm
) -> None:
    path = tmp_path / "a.sqlite"
    starts = [Start(fake.event(), "quick", key=str(n)) for n in range(3)]
    await results(oc.workflows.run_all(starts, journal=path, poll=OFTEN))
    harm(path)
    count = len(fake.requests)
    with pytest.raises(JournalError, match="Restore it from a copy"):
        await results(oc.workflows.run_all(starts, journal=path, poll=OFTEN))
    assert len(fake.requests) == count
    assert posts(fake) == 3


async def test_an_id_beyond_64_bits_is_a_journal_error(tmp_path: Path) -> None:
    journal, _ = await open_journal(tmp_path / "a.sqlite", "opencast", SERVER)
    with pytest.raises(JournalError, match="it cannot be written"):
        await journal.write(
            Entry(at=ticket("a").prepared_at, key="a", kind=StatusKind.STARTED, word="started", id=2**63)
        )
    await journal.close()
