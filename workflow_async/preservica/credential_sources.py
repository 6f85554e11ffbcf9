"""Finds the credentials of a Preservica in arguments, the environment and a file.

See tests/contract/preservica.md, section 4.8.
"""

import configparser
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from attrs import frozen

from workflow_async._core.auth import Secret
from workflow_async._core.private_file import check_private
from workflow_async.errors import InvalidArgument

SECTION = "credentials"
SOURCES = {
    "username": ("PRESERVICA_USERNAME", "username"),
    "password": ("PRESERVICA_PASSWORD", "password"),
    "tenant": ("PRESERVICA_TENANT", "tenant"),
    "server": ("PRESERVICA_SERVER", "server"),
    "two_factor": ("PRESERVICA_2FA_TOKEN", "twoFactorToken"),
}
"""The environment variable of each field, and its key in the file."""
FILE_FORMAT = (
    f"its first line must be [{SECTION}] and each other line a key and its value, such as username = me@example.org"
)


@frozen(kw_only=True)
class Credentials:
    """Everything that a login needs."""

    username: str
    password: Secret
    server: str
    tenant: str | None
    two_factor: Secret | None


def find_credentials(given: Mapping[str, Secret | None], path: str | os.PathLike[str]) -> Credentials:
    """Return each field from the first source that has it: the argument, a variable that is not empty, the file.

    Raises:
        InvalidArgument: a required field is missing everywhere, or the file is needed and is not private or not such a
            file.
    """
    found = dict(given)
    for name, (variable, _) in SOURCES.items():
        if found[name] is None:
            found[name] = _optional_secret(os.environ.get(variable))
    if None in found.values():
        in_file = _read_file(path)
        for name, (_, key) in SOURCES.items():
            if found[name] is None:
                found[name] = in_file.get(key.lower())
    tenant = found["tenant"]
    return Credentials(
        username=_required("username", found, path).reveal(),
        password=_required("password", found, path),
        server=_required("server", found, path).reveal(),
        tenant=None if tenant is None else tenant.reveal(),
        two_factor=found["two_factor"],
    )


def _required(name: str, found: Mapping[str, Secret | None], path: str | os.PathLike[str]) -> Secret:
    secret = found[name]
    if secret is None:
        variable, key = SOURCES[name]
        place = f"write {key} = ... into [{SECTION}] of {os.fspath(path)}"
        raise InvalidArgument(name, f"is missing: give {name}=, set {variable}, or {place}")
    return secret


def _optional_secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None


def _read_file(path: str | os.PathLike[str]) -> Mapping[str, Secret | None]:
    """Return the section of the file, its keys in lower case. Empty if there is no file or no such section."""
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            check_private(file, "credentials_path", path, holds="password")
            return _read_section(file)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        kind = type(error).__name__  # its message may quote a line of the file
    raise InvalidArgument(
        "credentials_path", f"{os.fspath(path)} cannot be read as INI in UTF-8 ({kind}): {FILE_FORMAT}"
    )


def _read_section(file: TextIO) -> Mapping[str, Secret | None]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_file(file)
    return {key: _optional_secret(text) for key, text in parser[SECTION].items()} if SECTION in parser else {}
