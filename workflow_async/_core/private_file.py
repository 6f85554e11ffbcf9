"""Checks that other users cannot read a file with secrets."""

import os
import shlex
import stat
from typing import TextIO

from workflow_async.errors import InvalidArgument

OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""The permissions of the group and of all other users."""


def is_private(file: TextIO) -> bool:
    """Return True if other users cannot read an open file. Only POSIX has such permissions, so True elsewhere.

    The mode of the open file is read, so the file cannot be replaced between check and use.
    """
    return os.name != "posix" or not os.fstat(file.fileno()).st_mode & OTHERS


def check_private(file: TextIO, argument: str, path: str | os.PathLike[str], *, holds: str) -> None:
    """Raise `InvalidArgument` if other users can read an open file.

    Args:
        file: the open file.
        argument: the argument that named it.
        path: the path as it was given.
        holds: the secret in the file, such as "password".
    """
    if not is_private(file):
        command = f"chmod 600 {shlex.quote(os.fspath(path))}"
        raise InvalidArgument(argument, f"other users can read the {holds} in it. Run: {command}")
