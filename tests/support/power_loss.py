"""Shows what a power failure would leave of SQLite's files: only synced data.

A layer between SQLite and its own VFS sees each write, truncation, sync and deletion. Data that is not synced
may be lost in a power failure, or may be on the disk already.
"""

import _sqlite3
import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

Pointer = ctypes.c_void_p
Open = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, Pointer, Pointer, ctypes.c_int, Pointer)
Delete = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, ctypes.c_char_p, ctypes.c_int)
Write = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, Pointer, ctypes.c_int, ctypes.c_int64)
Truncate = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, ctypes.c_int64)
Sync = ctypes.CFUNCTYPE(ctypes.c_int, Pointer, ctypes.c_int)


class Vfs(ctypes.Structure):
    """`sqlite3_vfs`, the fields that are needed. See https://www.sqlite.org/c3ref/vfs.html."""

    _fields_ = [
        ("numbers", ctypes.c_int * 3),
        ("next", Pointer),
        ("name", ctypes.c_char_p),
        ("data", Pointer),
        ("open", Open),
        ("delete", Delete),
        ("rest", Pointer * 14),
    ]


class Methods(ctypes.Structure):
    """`sqlite3_io_methods`. See https://www.sqlite.org/c3ref/io_methods.html."""

    _fields_ = [
        ("version", ctypes.c_int),
        ("close", Pointer),
        ("read", Pointer),
        ("write", Write),
        ("truncate", Truncate),
        ("sync", Sync),
        ("rest", Pointer * 13),
    ]


@define(eq=False)
class Disk:
    """The files that SQLite has written, by name: their current content, and their content after a power failure."""

    seen: dict[str, bytes] = field(factory=dict)
    synced: dict[str, bytes] = field(factory=dict)
    operations: int = 0
    on_operation: Callable[[], None] = lambda: None

    def opened(self, name: str) -> None:
        """Register a file. The content from before the first write is on the disk."""
        if name not in self.seen:
            self.seen[name] = Path(name).read_bytes()
            if self.seen[name]:
                self.synced[name] = self.seen[name]

    def write(self, name: str, place: int, data: bytes) -> None:
        before = self.seen[name].ljust(place, b"\0")
        self._change(name, before[:place] + data + before[place + len(data) :])

    def truncate(self, name: str, size: int) -> None:
        self._change(name, self.seen[name][:size])

    def sync(self, name: str) -> None:
        self.synced[name] = self.seen[name]

    def delete(self, name: str, *, durably: bool) -> None:
        self.seen.pop(name, None)
        if durably:
            self.synced.pop(name, None)
        self._operated()

    def _change(self, name: str, content: bytes) -> None:
        self.seen[name] = content
        self._operated()

    def _operated(self) -> None:
        self.operations += 1
        self.on_operation()


def store(files: dict[str, bytes], folder: Path) -> Path:
    """Write files into a folder, and return the path of the database."""
    folder.mkdir()
    for name, content in files.items():
        (folder / Path(name).name).write_bytes(content)
    return folder / Path(min(files, key=len)).name


@contextmanager
def watched_disk() -> Iterator[Disk]:
    """Record all file operations of SQLite in this process, from any thread."""
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    if not hasattr(library, "sqlite3_vfs_find"):
        pytest.skip("the SQLite of this Python hides its functions")
    library.sqlite3_vfs_find.restype = ctypes.POINTER(Vfs)
    original = library.sqlite3_vfs_find(None)
    disk = Disk()
    layer = _layer(original.contents, disk)
    library.sqlite3_vfs_register(ctypes.byref(layer), 1)
    try:
        yield disk
    finally:
        library.sqlite3_vfs_unregister(ctypes.byref(layer))
        library.sqlite3_vfs_register(original, 1)


def _layer(original: Vfs, disk: Disk) -> Vfs:
    """Return a copy of a VFS that reports its operations to a disk."""
    layer = Vfs.from_buffer_copy(original)
    kept: list[Any] = []

    def open(vfs: int, name: int, file: int, flags: int, out: int) -> int:
        code = original.open(vfs, name, file, flags, out)
        if code == 0 and name:
            path = ctypes.string_at(name).decode()
            disk.opened(path)
            place = ctypes.cast(file, ctypes.POINTER(ctypes.POINTER(Methods)))
            methods = _methods(place.contents.contents, path, disk)
            kept.append(methods)
            place[0] = ctypes.pointer(methods)
        return int(code)

    def delete(vfs: int, name: bytes, sync: int) -> int:
        code = int(original.delete(vfs, name, sync))
        disk.delete(name.decode(), durably=bool(sync))
        return code

    layer.name = b"watched"
    layer.open, layer.delete = Open(open), Delete(delete)
    return layer


def _methods(original: Methods, path: str, disk: Disk) -> Methods:
    methods = Methods.from_buffer_copy(original)

    def write(file: int, data: int, count: int, place: int) -> int:
        code = int(original.write(file, data, count, place))
        disk.write(path, place, ctypes.string_at(data, count))
        return code

    def truncate(file: int, size: int) -> int:
        code = int(original.truncate(file, size))
        disk.truncate(path, size)
        return code

    def sync(file: int, flags: int) -> int:
        code = int(original.sync(file, flags))
        disk.sync(path)
        return code

    methods.write, methods.truncate, methods.sync = Write(write), Truncate(truncate), Sync(sync)
    return methods
