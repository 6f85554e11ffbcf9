"""Describes the server that a command talks to, and reads passwords."""

import sys
from pathlib import Path
from typing import TypedDict

import typer
from attrs import frozen

from workflow_async import TLS
from workflow_async._core.private_file import is_private
from workflow_async.cli.exit_codes import Exit, UsageError


@frozen(kw_only=True)
class Target:
    """The server options. What they leave out comes from the environment, a file or a prompt."""

    system: str | None = None
    """A name in `systems.SYSTEMS`."""
    url: str | None = None
    username: str | None = None
    password_file: Path | None = None
    credentials: Path | None = None
    allow_insecure_http: bool = False
    ca_file: Path | None = None
    client_cert: Path | None = None
    proxy: str | None = None
    command: str = ""
    """The name of the command. Some are for one system only."""


class ConnectionOptions(TypedDict):
    """The keyword arguments of both clients that say how to connect."""

    allow_insecure_http: bool
    tls: TLS | None
    proxy: str | None


def connection_options(target: Target) -> ConnectionOptions:
    """Return how to connect to the target. Raise `UsageError` for a password in `--proxy`."""
    if target.proxy is not None and "@" in target.proxy:
        raise UsageError("--proxy would show its password to other users: set HTTPS_PROXY and give --proxy env")
    has_files = target.ca_file is not None or target.client_cert is not None
    return {
        "allow_insecure_http": target.allow_insecure_http,
        "tls": TLS(ca_file=target.ca_file, client_cert=target.client_cert) if has_files else None,
        "proxy": target.proxy,
    }


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


def password_of(target: Target) -> str | None:
    """Return the password in the target's file. None if it names no file."""
    return read_password(target.password_file) if target.password_file is not None else None


def ask(question: str, *, hidden: bool = False) -> str | None:
    """Ask at the terminal and return the answer. None if stdin is not a terminal."""
    if not sys.stdin.isatty():
        return None
    try:
        return str(typer.prompt(question, hide_input=hidden, err=True))
    except typer.Abort:
        raise typer.Exit(Exit.INTERRUPTED) from None
