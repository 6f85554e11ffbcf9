"""Refuses files with secrets that other users can read."""

import os
import shlex
import stat
from typing import TextIO

from workflow_async.errors import InvalidArgument

OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""The permissions of the group and of all other users."""


def check_private(file: TextIO, argument: str, path: str | os.PathLike[str], *, holds: str) -> None:
    """Raise `InvalidArgument` if other users can read an open file. Only POSIX has such permissions.

    Args:
        file: the open file. Its own mode is read, so the file cannot be replaced between check and use.
        argument: the argument that named it.
        path: the path as it was given.
        holds: the secret in the file, such as "password".
    """
    if os.name == "posix" and os.fstat(file.fileno()).st_mode & OTHERS:
        command = f"chmod 600 {shlex.quote(os.fspath(path))}"
        raise InvalidArgument(argument, f"other users can read the {holds} in it. Run: {command}")
