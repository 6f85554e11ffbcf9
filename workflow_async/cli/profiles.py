"""The command `profiles`: lists the servers that `config.toml` names."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from workflow_async.cli.columns import Column
from workflow_async.cli.command import Json
from workflow_async.cli.config_file import read_config
from workflow_async.cli.exit_codes import Exit, run_and_exit
from workflow_async.cli.output import Output
from workflow_async.cli.secret_sources import SECRETS, SOURCES
from workflow_async.cli.systems import SYSTEMS


@frozen(kw_only=True)
class Row:
    """A profile without its secrets."""

    name: str
    default: bool
    system: str
    url: str
    username: str
    secrets: tuple[str, ...]
    """Where its secrets are, such as `password from command`."""


ROWS: Sequence[Column[Row]] = (
    Column("NAME", lambda row: row.name, 16),
    Column("", lambda row: "default" if row.default else "", 7),
    Column("SYSTEM", lambda row: row.system, 10),
    Column("URL", lambda row: row.url),
    Column("USER", lambda row: row.username, 20),
    Column("SECRETS", lambda row: ", ".join(row.secrets), from_width=100),
)


def profiles(*, json: Json = False) -> None:
    """List the profiles in config.toml, without secrets."""
    run_and_exit(lambda: _list_profiles(Output(json=json)))


def _list_profiles(output: Output) -> Exit:
    config = read_config(SYSTEMS)
    rows = [_row(name, profile, default=config.default == name) for name, profile in config.profiles.items()]
    if output.json:
        for row in rows:
            output.record(row)
    elif rows:
        output.rows(ROWS, rows)
    else:
        output.message(f"No profiles. Write them into {config.path}")
    return Exit.DONE


def _row(name: str, profile: Mapping[str, Any], *, default: bool) -> Row:
    places = ("file", *SOURCES)
    found = [f"{secret} from {place}" for secret in SECRETS for place in places if f"{secret}_{place}" in profile]
    return Row(
        name=name,
        default=default,
        system=profile["system"],
        url=profile.get("url", ""),
        username=profile.get("username", ""),
        secrets=tuple(found),
    )
