"""Keeps tokens of Preservica between processes, so that short processes such as cron jobs need not log in each time."""

import json
import os
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Protocol

from attrs import field, frozen

from workflow_async._core.auth import Secret, is_header_value
from workflow_async._core.private_file import check_private
from workflow_async._decode.json import json_tree
from workflow_async.errors import DecodeError, InvalidArgument


class TokenStore(Protocol):
    """A place where a client keeps its token. Both methods may be coroutine functions.

    The text holds a token, which is worth as much as a password for about 15 minutes. An error of `load` ends the call
    before anything is sent. An error of `save` is logged as a warning, because the token itself is usable.
    """

    def load(self) -> "str | Awaitable[str | None] | None":
        """Return the text that was last saved, or None."""
        ...

    def save(self, text: str) -> "Awaitable[None] | None":
        """Replace the last text by this one."""
        ...


@frozen
class FileTokenStore:
    """A token store in a file that only its owner can read.

    Args:
        path: the file. It is created with mode 600, and replaced as a whole.
    """

    path: str | os.PathLike[str]

    def load(self) -> str | None:
        """Return the text in the file, or None if there is no file.

        Raises:
            InvalidArgument: other users can read the file, this user cannot, or its folder cannot be written to.
        """
        try:
            with Path(self.path).open(encoding="utf-8") as file:
                check_private(file, "token_store", self.path, holds="token")
                return file.read()
        except UnicodeDecodeError:
            return None
        except FileNotFoundError:
            self._check_folder()
            return None
        except OSError as error:
            reason = error.strerror
        raise InvalidArgument("token_store", f"cannot be read, {reason}: {os.fspath(self.path)!r}")

    def _check_folder(self) -> None:
        """Raise `InvalidArgument` before the login if its token could not be saved."""
        folder = Path(self.path).parent
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            raise InvalidArgument("token_store", f"needs a folder that this user can write to: {os.fspath(folder)!r}")

    def save(self, text: str) -> None:
        """Replace the file by one with this text."""
        path = Path(self.path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@frozen
class StoredToken:
    """A token as a store keeps it."""

    owner: str
    """User, tenant and server."""
    token: Secret
    expires_at: float
    """Seconds since 1970."""
    refresh_token: Secret | None = field(default=None)


def dump_token(stored: StoredToken) -> str:
    """Return the token as a text for a store."""
    return json.dumps(
        {
            "owner": stored.owner,
            "token": stored.token.reveal(),
            "expires_at": stored.expires_at,
            "refresh_token": None if stored.refresh_token is None else stored.refresh_token.reveal(),
        }
    )


def load_token(text: Secret) -> StoredToken | None:
    """Return the token from a text of `dump_token`. None if the text is not valid."""
    try:
        tree = json_tree(str(text.reveal() or "").encode("utf-8", "replace"))
    except DecodeError:
        return None
    fields = StoredFields(tree if isinstance(tree, dict) else {})
    token, expires_at = fields.secret("token"), fields.number("expires_at")
    if token is None or expires_at is None:
        return None
    return StoredToken(fields.text("owner"), token, expires_at, fields.secret("refresh_token"))


@frozen
class StoredFields:
    """The fields of a stored text. Its repr does not show them."""

    _tree: dict[str, Any] = field(repr=False)

    def secret(self, name: str) -> Secret | None:
        """Return a field that can be sent as a token, or None."""
        value = self._tree.get(name)
        return Secret(value) if is_header_value(value) else None

    def text(self, name: str) -> str:
        """Return a field that is a text, "" otherwise."""
        value = self._tree.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """Return a field that is a number, or None."""
        value = self._tree.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
