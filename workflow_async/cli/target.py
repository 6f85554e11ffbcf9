"""Which system a command talks to, and as whom."""

import enum
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

import typer
from attrs import frozen

from workflow_async import OpencastClient
from workflow_async.cli.exit_codes import Exit, UsageError
from workflow_async.errors import InvalidArgument
from workflow_async.preservica import PreservicaClient

Client = OpencastClient | PreservicaClient


class System(enum.Enum):
    """The systems there are."""

    OPENCAST = "opencast"
    PRESERVICA = "preservica"


@frozen(kw_only=True)
class Target:
    """What the options say about the server; the rest comes from the environment, a file or a prompt."""

    system: System | None = None
    url: str | None = None
    username: str | None = None
    password_file: Path | None = None
    credentials: Path | None = None
    allow_insecure_http: bool = False

    def client(self) -> Client:
        """A client of the server, not yet open."""
        return _preservica(self) if system_of(self, os.environ) is System.PRESERVICA else _opencast(self)


def system_of(target: Target, environment: Mapping[str, str]) -> System:
    """The system asked for; else the one that alone is set up in the environment; else Opencast."""
    if target.system is not None:
        return target.system
    told = {system for system in System for name in environment if name.startswith(f"{system.name}_")}
    alone = told == {System.PRESERVICA}
    return System.PRESERVICA if alone or target.credentials is not None else System.OPENCAST


def secret(path: Path) -> str:
    """The password in a file, without the end of its line; refused where others can read it."""
    try:
        with path.open(encoding="utf-8") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise UsageError(f"others can read {path}: chmod 600 it first")
            password = file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the password file cannot be read: {error}") from None
    if not password:
        raise UsageError(f"{path} holds no password in its first line")
    return password


def _opencast(target: Target) -> OpencastClient:
    if target.credentials is not None:
        raise UsageError("--credentials is Preservica's; give an Opencast --password-file or OPENCAST_PASSWORD")
    url = target.url or os.environ.get("OPENCAST_URL")
    if not url:
        raise UsageError("no server: give --url, or set OPENCAST_URL, or PRESERVICA_SERVER for a Preservica")
    username = target.username or os.environ.get("OPENCAST_USERNAME") or _ask("User name")
    password = _password(target) or os.environ.get("OPENCAST_PASSWORD") or _ask(f"Password of {username}", hidden=True)
    if not username or not password:
        raise UsageError("no credentials: set OPENCAST_USERNAME and OPENCAST_PASSWORD, or give --password-file")
    return OpencastClient(url, auth=(username, password), allow_insecure_http=target.allow_insecure_http)


def _preservica(target: Target) -> PreservicaClient:
    try:
        return _from_env(target, _password(target))
    except InvalidArgument as error:
        password = _ask("Password", hidden=True) if error.argument == "password" else None
        if not password:
            raise
    return _from_env(target, password)


def _from_env(target: Target, password: str | None) -> PreservicaClient:
    return PreservicaClient.from_env(
        server=target.url,
        username=target.username,
        password=password,
        credentials_path=target.credentials or "credentials.properties",
        allow_insecure_http=target.allow_insecure_http,
    )


def _password(target: Target) -> str | None:
    return secret(target.password_file) if target.password_file is not None else None


def _ask(what: str, *, hidden: bool = False) -> str | None:
    """Ask the person at the terminal; None if there is none."""
    if not sys.stdin.isatty():
        return None
    try:
        return str(typer.prompt(what, hide_input=hidden, err=True))
    except typer.Abort:
        raise typer.Exit(Exit.INTERRUPTED) from None
