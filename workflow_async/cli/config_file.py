"""Reads `config.toml`: the profiles, and which of them is the default."""

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import platformdirs
from attrs import field, frozen

from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.settings_sources import checked_profile

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@frozen
class Config:
    """The content of the file. Empty if there is no file."""

    path: Path
    default: str | None = None
    """The profile for commands that name no server."""
    profiles: Mapping[str, Mapping[str, Any]] = field(factory=dict)

    def profile(self, name: str) -> Mapping[str, Any]:
        """Return a profile. Raise `UsageError` if the file has none of this name."""
        if name not in self.profiles:
            known = f"it has {', '.join(sorted(self.profiles))}" if self.profiles else "it has none"
            raise UsageError(f"no profile {name!r} in {self.path}: {known}")
        return self.profiles[name]


def config_path() -> Path:
    """Return where the file is: in the user's configuration folder of this platform."""
    return platformdirs.user_config_path("workflow-async", appauthor=False) / "config.toml"


def read_config(systems: Mapping[str, Any]) -> Config:
    """Return the configuration.

    Raises:
        UsageError: the file cannot be read, has unknown keys, or can be changed by other users.
    """
    path = config_path()
    try:
        with path.open(encoding="utf-8") as file:
            _check_owner(file, path)
            document = tomllib.loads(file.read())
    except FileNotFoundError:
        return Config(path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    return _checked(path, document, systems)


def _checked(path: Path, document: Mapping[str, Any], systems: Mapping[str, Any]) -> Config:
    unknown = document.keys() - {"default", "profiles"}
    if unknown:
        raise UsageError(f"{path}: {min(unknown)} is not a setting: use default and [profiles.NAME]")
    tables = document.get("profiles", {})
    if not isinstance(tables, dict):
        raise UsageError(f"{path}: profiles must be tables, such as [profiles.prod]")
    try:
        profiles = {name: checked_profile(f"profiles.{name}", table, systems) for name, table in tables.items()}
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    config = Config(path, document.get("default"), profiles)
    if config.default is not None:
        config.profile(config.default)
    return config


def _check_owner(file: TextIO, path: Path) -> None:
    """Raise `UsageError` if other users can change the file, because it names commands that are run."""
    if os.name == "posix" and os.fstat(file.fileno()).st_mode & OTHERS_WRITE:
        raise UsageError(f"other users can change {path}: run chmod 600 on it")
