"""Reads secrets from files, variables, commands and the keyring of the operating system."""

import importlib
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from workflow_async._core.private_file import is_private
from workflow_async.auth import Secret
from workflow_async.cli.exit_codes import Exit, UsageError
from workflow_async.cli.target import Target

SECRETS = ("password", "token", "two_factor")
SOURCES = ("variable", "command", "keyring")
"""Where a profile may say that a secret is, besides in a file: `password_command = "pass show opencast"`."""


def read_password(path: Path) -> str:
    """Return the first line of a password file. Raise `UsageError` if other users can read the file."""
    try:
        with path.open(encoding="utf-8") as file:
            if not is_private(file):
                raise UsageError(f"other users can read {path}: run chmod 600 on it")
            password = file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the password file cannot be read: {error}") from None
    if not password:
        raise UsageError(f"{path} has no password in its first line")
    return password


def secret_of(target: Target, name: str) -> Secret | None:
    """Return a secret of the target, from the file of an option or from elsewhere. None if there is none."""
    path: Path | None = getattr(target, f"{name}_file", None)
    return Secret(read_password(path.expanduser())) if path is not None else target.secrets.get(name)


def read_source(source: str, place: str, username: str, environment: Mapping[str, str]) -> Secret:
    """Return a secret from a variable, from the output of a command, or from the keyring.

    Args:
        source: one of `SOURCES`.
        place: the name of the variable, the command line, or the name of the service in the keyring.
        username: the user of the entry in the keyring.
        environment: the variables.

    Raises:
        UsageError: there is no such secret. The message never contains one.
    """
    if source == "variable":
        secret = Secret(environment.get(place, ""))
    elif source == "command":
        secret = Secret(_output_of(place))
    else:
        secret = Secret(_in_keyring(place, username))
    if not secret.reveal():
        raise UsageError(f"the {source} {place!r} has no secret")
    return secret


def _output_of(command: str) -> str:
    """Return the first line that a command prints. It runs without a shell, and may ask at the terminal."""
    try:
        done = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, check=True)  # noqa: S603 - the user's own
        return done.stdout.decode().partition("\n")[0].rstrip("\r")
    except (OSError, ValueError, IndexError, subprocess.CalledProcessError) as error:
        reason = f"exit code {error.returncode}" if isinstance(error, subprocess.CalledProcessError) else type(error)
    raise UsageError(f"the command {command!r} has failed ({reason})")


def _in_keyring(service: str, username: str) -> str:
    try:
        keyring: Any = importlib.import_module("keyring")
    except ModuleNotFoundError:
        raise UsageError("the keyring needs the extra [keyring]: pip install 'workflow-async[cli,keyring]'") from None
    try:
        return str(keyring.get_password(service, username) or "")
    except keyring.errors.KeyringError as error:
        reason = type(error).__name__  # its message may name what is stored
    raise UsageError(f"the keyring cannot be read ({reason})")


def ask(target: Target, question: str, *, hidden: bool = False) -> str | None:
    """Ask at the terminal and return the answer. None if the target must not ask, or if stdin is not a terminal."""
    if not (target.asks and sys.stdin.isatty()):
        return None
    try:
        return str(typer.prompt(question, hide_input=hidden, err=True))
    except typer.Abort:
        raise typer.Exit(Exit.INTERRUPTED) from None
