"""What a journal's file must be before it is opened, and must stay while it is open. And how a new one is made."""

import os
import shlex
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from attrs import define, field

from workflow_async.batch.entries import storable
from workflow_async.batch.schema import Head
from workflow_async.errors import JournalError

COUNTER_OFFSET = 24
"""Where SQLite's files count the transactions that changed them: 4 bytes, big-endian. See sqlite.org/fileformat2."""
COUNTER_SIZE = 4
SIDE_FILES = ("-journal", "-wal")
"""What SQLite keeps beside a file while it writes."""
PRIVATE = 0o600
CLEAR_OPEN_MARK = "UPDATE batch SET open_inode = NULL"

USE_ANOTHER_PATH = "Use the path of a journal, or of a file that does not exist yet"
RESTORE_IT = "Restore it from a copy, or check on the server what was started and use a new journal for the rest"


@define(eq=False)
class ChangeDetector:
    """Notices that another program has changed, emptied, moved or replaced a journal while it is open.

    It keeps a file of its own open, which must be closed after SQLite's: closing any file of a process ends all POSIX
    locks that the process has on it. For the same reason another program's code in this process can end them.
    """

    path: Path
    _file: FileIO | None = field(default=None, init=False)
    _expected: int = field(default=0, init=False)

    def start(self) -> None:
        """Watch from here on."""
        self._file = FileIO(self.path)
        self._expected = self._read_counter(self._file)

    def expect_change(self) -> None:
        """Take note of one transaction of our own."""
        self._expected = (self._expected + 1) % 2 ** (8 * COUNTER_SIZE)

    def check(self) -> None:
        """Raise `JournalError` if the file is not as the last transaction of our own left it."""
        if self._file is None or not self._has_same_name(self._file):
            raise JournalError(str(self.path), "it was moved, deleted or replaced while it was open. Put it back")
        if self._read_counter(self._file) != self._expected:
            why = "another program has changed it while it was open. Restore it from a copy, and let only one use it"
            raise JournalError(str(self.path), why)

    def stop(self) -> None:
        """Watch no longer."""
        if self._file is not None:
            self._file.close()

    def _has_same_name(self, file: FileIO) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False

    def _read_counter(self, file: FileIO) -> int:
        file.seek(COUNTER_OFFSET)
        return int.from_bytes(file.read(COUNTER_SIZE), "big")


def check_file(path: Path) -> str:
    """Return the inode of a file that may be a journal. Raises `JournalError` for what cannot be one."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(str(path), f"it is no regular file. {USE_ANOTHER_PATH}")
    if found.st_size == 0:
        why = "it is empty, which a journal never is, so its content was lost"
        raise JournalError(str(path), f"{why}. {RESTORE_IT}. Delete it only if no batch has ever used it")
    return str(found.st_ino)


def real_path(path: Path) -> Path:
    """Return the path of a file without links and dots."""
    return Path(os.path.realpath(path))


def is_missing(path: Path) -> bool:
    """Return True if there is no such file. Raises `JournalError` if what SQLite keeps beside it is there."""
    if path.exists():
        return False
    left = next((side for suffix in SIDE_FILES if _has_content(side := Path(f"{path}{suffix}"))), None)
    if left is not None:
        why = f"it is missing, but a part of it is there: {left}. Put the journal back, or delete that file, too"
        raise JournalError(str(path), why)
    return True


def check_open_mark(head: Head, path: Path, inode: str) -> None:
    """Raise `JournalError` for a copy of an open journal, and if its last write has to be undone elsewhere."""
    if head.open_inode is None:
        return
    if head.open_inode != inode:
        unmark = f"sqlite3 {shlex.quote(str(path))} '{CLEAR_OPEN_MARK}'"
        why = (
            f"it is incomplete or open elsewhere: a copy that was made while a batch had {head.open_path} open. "
            f"Use the original. If it is lost, check on the server what was started, then run: {unmark}"
        )
        raise JournalError(str(path), why)
    side = Path(f"{head.open_path}{SIDE_FILES[0]}")
    if head.open_path != storable(str(path)) and _has_content(side):
        why = f"its last write was interrupted, and only {head.open_path} can undo it, with {side}. Use that path once"
        raise JournalError(str(path), why)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield the path of a private file, and give it the name `path` once it is complete, unless another file has it.

    A crash leaves the complete file of this name or none.
    """
    handle, name = tempfile.mkstemp(prefix=".journal-", suffix=".new", dir=path.parent)
    os.close(handle)
    new = Path(name)
    try:
        yield new
        publish(new, path)
    finally:
        new.unlink(missing_ok=True)


def publish(new: Path, path: Path) -> None:
    """Give a file its name, unless another file has it."""
    try:
        os.link(new, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        _replace(new, path)


def _replace(new: Path, path: Path) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    except FileExistsError:
        return
    new.replace(path)


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
