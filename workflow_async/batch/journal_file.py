"""Checks a journal's file before and while it is open, and makes new files."""

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
"""Offset of SQLite's file change counter, 4 bytes, big-endian. See https://www.sqlite.org/fileformat2.html."""
COUNTER_SIZE = 4
SIDE_FILES = ("-journal", "-wal")
"""Suffixes of the files that SQLite keeps beside a database while it writes."""
PRIVATE = 0o600
CLEAR_OPEN_MARK = "UPDATE batch SET open_inode = NULL"

USE_ANOTHER_PATH = "Use the path of a journal, or of a file that does not exist yet"
RESTORE_IT = "Restore it from a copy, or check on the server what was started and use a new journal for the rest"


@define(eq=False)
class ChangeDetector:
    """Detects that another program has changed, emptied, moved or replaced a journal while it is open.

    The detector keeps its own file open, which must be closed after SQLite's. Closing any descriptor of a file ends all
    POSIX locks that the process has on that file. See https://www.sqlite.org/howtocorrupt.html, section 2.2.
    """

    path: Path
    _file: FileIO | None = field(default=None, init=False)
    _expected: int = field(default=0, init=False)

    def start(self) -> None:
        """Begin to detect changes."""
        self._file = FileIO(self.path)
        self._expected = self._read_counter(self._file)

    def expect_change(self) -> None:
        """Note one transaction of this process."""
        self._expected = (self._expected + 1) % 2 ** (8 * COUNTER_SIZE)

    def check(self) -> None:
        """Raise `JournalError` if the file is not as the last transaction of this process left it."""
        if self._file is None or not self._has_same_name(self._file):
            raise JournalError(str(self.path), "it was moved, deleted or replaced while it was open. Put it back")
        if self._read_counter(self._file) != self._expected:
            why = "another program has changed it while it was open. Restore it from a copy, and let only one use it"
            raise JournalError(str(self.path), why)

    def stop(self) -> None:
        """Stop detecting changes, and close the file."""
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
    """Return the inode of a file that may be a journal. Raises `JournalError` for a file that cannot be one."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(str(path), f"it is not a regular file. {USE_ANOTHER_PATH}")
    if found.st_size == 0:
        why = "it is empty. A journal is never empty, so its content was lost"
        raise JournalError(str(path), f"{why}. {RESTORE_IT}. Delete it only if no batch has ever used it")
    return str(found.st_ino)


def real_path(path: Path) -> Path:
    """Return the absolute path of a file, with symbolic links resolved."""
    return Path(os.path.realpath(path))


def is_missing(path: Path) -> bool:
    """Return True if there is no such file. Raises `JournalError` if only a side file of SQLite is left."""
    if path.exists():
        return False
    left = next((side for suffix in SIDE_FILES if _has_content(side := Path(f"{path}{suffix}"))), None)
    if left is not None:
        why = f"it is missing, but a part of it is there: {left}. Put the journal back, or delete that file too"
        raise JournalError(str(path), why)
    return True


def check_open_mark(head: Head, path: Path, inode: str) -> None:
    """Raise `JournalError` for a copy of an open journal, and if its last write must be undone under another path."""
    if head.open_inode is None:
        return
    if head.open_inode != inode:
        unmark = f"sqlite3 {shlex.quote(str(path))} '{CLEAR_OPEN_MARK}'"
        why = (
            f"it is a copy that was made while a batch had {head.open_path} open, so it may be incomplete. "
            f"Use the original. If it is lost, check on the server what was started, then run: {unmark}"
        )
        raise JournalError(str(path), why)
    side = Path(f"{head.open_path}{SIDE_FILES[0]}")
    if head.open_path != storable(str(path)) and _has_content(side):
        why = f"its last write was interrupted, and {side} can undo it. Open the journal once as {head.open_path}"
        raise JournalError(str(path), why)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield the path of a private file. Rename it to `path` when it is complete, unless `path` exists by then.

    After a crash, `path` is a complete file or does not exist.
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
    """Give a file its name, unless another file has that name."""
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
