"""The command `shards`: what it shows, and how work is put in."""

import csv
import importlib
import json
from typing import Any

import pytest

from tests.cli.conftest import Run, opencast_of
from workflow_async.cli.shards import row_of, summary
from workflow_async.distributed.nats import ShardInfo
from workflow_async.sandbox import Sandbox

URL = {"OPENCAST_URL": "http://127.0.0.1:1", "OPENCAST_USERNAME": "admin", "OPENCAST_PASSWORD": "x"}
"""A server that is not asked."""


def put(run: Run, shared: tuple[str, ...], *arguments: object, stdin: str | None = None) -> Any:
    return run("shards", *shared, "--add", "nightly", *arguments, env=URL, stdin=stdin)


def test_ids_are_put_in_without_a_request(run: Run, shared: tuple[str, ...]) -> None:
    result = put(run, shared, 1, 2, 3, 4, "--split", 2)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == ["Added nightly-0 with 1 workflows", "Added nightly-1 with 3 workflows"]


def test_ids_are_read_from_stdin(run: Run, shared: tuple[str, ...]) -> None:
    result = put(run, shared, "-", "--json", stdin='{"id": 7}\n8\n')
    assert json.loads(result.stdout) == {"id": "nightly-0"}
    (shown,) = run("shards", *shared, "--json").stdout.splitlines()
    assert json.loads(shown)["left"] == 2


def test_a_filter_is_put_in(run: Run, shared: tuple[str, ...]) -> None:
    assert put(run, shared, "--filter", "state=running").exit_code == 0
    assert run("shards", *shared, "-o", "ids").stdout == "nightly-0\n"


def test_a_shard_that_exists_stays_as_it_is(run: Run, shared: tuple[str, ...]) -> None:
    put(run, shared, 5)
    result = put(run, shared, 1, 2, 3, 4, "--split", 2)
    assert (result.exit_code, result.stdout) == (5, "Added nightly-1 with 3 workflows\n")
    assert result.stderr == (
        "workflow-async: already there: nightly-0. A shard stays as it is, so give another name after --add\n"
    )


def test_who_has_what_is_a_table_and_a_line_of_totals(run: Run, shared: tuple[str, ...]) -> None:
    put(run, shared, 1, 2, 3, 4, "--split", 2)
    result = run("shards", *shared)
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["SHARD", "STATE", "LEFT", "SAVED", "OWNER"]
    assert [row.split()[:3] for row in rows] == [["nightly-0", "free", "1"], ["nightly-1", "free", "3"]]
    assert result.stderr == "2 shards, 0 finished, 0 workers, 4 workflows left\n"
    assert run("shards", *shared, "--columns", "shard,left").stdout.splitlines()[1].split() == ["nightly-0", "1"]


def test_a_finished_shard_is_shown(run: Run, fakes: Sandbox, shared: tuple[str, ...]) -> None:
    id = fakes.opencast.start(fakes.opencast.event(), "noop")
    env = opencast_of(fakes)
    for arguments in (("shards", "--add", "nightly", id), ("worker",)):
        assert run(*arguments, *shared, env=env).exit_code == 0
    (row,) = csv.DictReader(run("shards", *shared, "-o", "csv").stdout.splitlines())
    assert (row["id"], row["state"], row["left"], row["owner"]) == ("nightly-0", "finished", "0", "")


def test_without_shards_it_says_how_to_put_work_in(run: Run, shared: tuple[str, ...]) -> None:
    result = run("shards", *shared)
    assert (result.exit_code, result.stdout) == (
        0,
        "No shards. Put work in with workflow-async shards --add NAME ID...\n",
    )
    assert run("shards", *shared, "--json").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((1,), "to put work in, give a name for its shards: --add NAME"),
        (("--filter", "state=running"), "to put work in, give a name for its shards: --add NAME"),
        (("--add", "nightly"), "--add needs either ids or a --filter"),
        (("--add", "nightly", 1, "--filter", "state=running"), "--add needs either ids or a --filter"),
        (("--add", "a b", 1), "--add: must be 1 to 100 letters, digits, `-` and `_`"),
        (("--add", "nightly", "x"), "ID: must be"),
        (("--add", "nightly", "--filter", "state=running", "--split", 2), "split"),
        (("--name", "a b"), "--name: must be 1 to 100 letters, digits, `-` and `_`"),
    ],
)
def test_wrong_arguments_exit_with_2(
    run: Run, shared: tuple[str, ...], arguments: tuple[object, ...], why: str
) -> None:
    result = run("shards", *shared, *arguments, env=URL)
    assert (result.exit_code, result.stdout) == (2, "")
    assert why in result.stderr


@pytest.mark.parametrize(
    ("arguments", "env", "why"),
    [
        ((), {}, "no NATS server: give --nats nats://127.0.0.1:4222, or set NATS_URL"),
        (("--nats", "broker"), {}, "--nats: must be a URL such as nats://broker.example.org:4222"),
        (("--nats", "http://broker"), {}, "--nats: must be a URL"),
        (("--nats", "nats://broker:port"), {}, "--nats: must be a URL"),
        (("--nats", "nats://broker,nats://"), {}, "--nats: must be a URL"),
        ((), {"NATS_URL": "bob:secret@broker"}, "NATS_URL: must be a URL"),
        (("--nats", "nats://bob:secret@broker"), {}, "--nats would show its password to other users: set NATS_URL"),
    ],
)
def test_a_wrong_url_of_nats_exits_with_2_and_tells_no_password(
    run: Run, arguments: tuple[str, ...], env: dict[str, str], why: str
) -> None:
    result = run("shards", *arguments, env=env)
    assert (result.exit_code, result.stdout) == (2, "")
    assert why in result.stderr
    assert "secret" not in result.stderr


def hide(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Let the import of the NATS package fail because a module is missing."""
    load = importlib.import_module

    def without(name: str) -> Any:
        if name == "workflow_async.distributed.nats":
            raise ModuleNotFoundError(f"no {missing}", name=missing)
        return load(name)

    monkeypatch.setattr(importlib, "import_module", without)


@pytest.mark.parametrize("command", ["worker", "shards"])
def test_without_the_extra_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    hide(monkeypatch, "nats.aio")
    result = run(command, "--nats", "nats://127.0.0.1:1", env=URL)
    text = "workflow-async: this command needs the extra [nats]: pip install 'workflow-async[nats]'\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", text)


def test_another_missing_module_is_no_usage_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "json")
    assert isinstance(run("shards", "--nats", "nats://127.0.0.1:1").exception, ModuleNotFoundError)


def test_a_shard_whose_watch_cannot_be_read_is_shown() -> None:
    row = row_of(ShardInfo(shard="a-0", owner="vm-1", finished=False, age=3.04, size=9, left=None))
    assert (row.state, row.left, row.age) == ("held", None, 3.0)
    assert summary([row]) == "1 shards, 0 finished, 1 workers, 0 workflows left"
