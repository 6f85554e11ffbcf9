"""Journals for tests without a server: open, closed, or left open by a process that was killed."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workflow_async.batch import StatusKind, Ticket
from workflow_async.batch.entries import Entry
from workflow_async.batch.journal import open_journal
from workflow_async.batch.start_records import OpencastStart
from workflow_async.errors import JournalError

SERVER = "https://oc.example.org"
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def ticket(key: str) -> Ticket:
    """Return a ticket with this key."""
    return Ticket(
        server=SERVER,
        arguments=OpencastStart(event_id=f"event-{key}", definition_id="fast", configuration={"n": key}),
        correlation_id=f"mark-{key}",
        prepared_at=NOON,
        key=key,
    )


def intent(key: str) -> Entry:
    """Return the entry that precedes a start."""
    return Entry(at=NOON, key=key, kind=StatusKind.INTENT, word="intended", text=ticket(key).to_json())


def started(key: str, id: int) -> Entry:
    """Return the entry that follows a start."""
    return Entry(at=NOON, key=key, kind=StatusKind.STARTED, word="started", id=id)


def ended(key: str, id: int) -> Entry:
    """Return the entry of a workflow's end."""
    return Entry(at=NOON, key=key, kind=StatusKind.ENDED, word="succeeded", id=id)


async def fill(path: Path, count: int = 40) -> None:
    """Write a journal of `count` + 2 starts, of which the first `count` have ended."""
    journal, _ = await open_journal(path, "opencast", SERVER)
    keys = [f"key-{n}" for n in range(count)]
    await journal.plan([ticket(key) for key in [*keys, "waits", "runs"]], count + 2)
    for n, key in enumerate(keys):
        for entry in (intent(key), started(key, n), ended(key, n)):
            await journal.write(entry)
    await journal.write(intent("runs"))
    await journal.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the content of a closed journal."""
    path = tmp_path_factory.mktemp("journals") / "filled.sqlite"
    asyncio.run(fill(path))
    return path.read_bytes()


DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.support.journal_files import SERVER, intent
from workflow_async.batch.journal import open_journal

async def main():
    journal, _ = await open_journal(sys.argv[1], "opencast", SERVER)
    for n in range(3):
        await journal.write(intent(f"late-{n}"))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def die_with(path: Path) -> None:
    """Let a process open a journal, write three intents, and be killed."""
    ended = subprocess.run([sys.executable, "-c", DYING, str(path)], check=False)
    assert ended.returncode == -9


HOLDING = """
import asyncio, sys
from tests.support.journal_files import SERVER
from workflow_async.batch.journal import open_journal

async def main():
    journal, _ = await open_journal(sys.argv[1], "opencast", SERVER)
    print("open", flush=True)
    sys.stdin.read()
    await journal.close()

asyncio.run(main())
"""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep a journal open in another process."""
    command = [sys.executable, "-c", HOLDING, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield


TRYING = """
import asyncio, sys
from tests.support.journal_files import SERVER
from workflow_async.batch import sqlite_file
from workflow_async.batch.journal import open_journal
from workflow_async.errors import JournalError

sqlite_file.OPEN_TIMEOUT = 0.05

async def main(path):
    try:
        journal, _ = await open_journal(path, "opencast", SERVER)
        await journal.close()
        print("free")
    except JournalError as error:
        print(error)

for path in sys.argv[1:]:
    asyncio.run(main(path))
"""


def opened_elsewhere(*paths: Path) -> list[str]:
    """Open a journal in another process by each of these paths. Return `free` or the error for each."""
    command = [sys.executable, "-c", TRYING, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


async def refusal(path: Path) -> str:
    """Return the reason why a journal cannot be opened."""
    with pytest.raises(JournalError) as caught:
        await open_journal(path, "opencast", SERVER)
    assert caught.value.path
    return caught.value.why
