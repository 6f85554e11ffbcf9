"""The command `worker`: a process of a distribution, what it prints, and how it ends."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anyio
import nats
import pytest

from tests.cli.conftest import Launch, Launched, Run, opencast_of
from tests.support.nats_server import NatsServer, running_nats_server
from workflow_async.cli.worker import until_terminated
from workflow_async.distributed.nats import connection
from workflow_async.distributed.nats.shard_bucket import ShardBucket
from workflow_async.errors import CoordinatorUnavailable
from workflow_async.sandbox import Sandbox, Step

PATIENCE = 20.0
SHORT_LEASE = ("--lease", 1)


@pytest.fixture
def ids(run: Run, fakes: Sandbox, shared: tuple[str, ...]) -> list[int]:
    """Put workflows in that have ended, as two shards."""
    ids = fakes.opencast.seed(4, definitions=["noop"], age=1000)
    added = run("shards", *shared, "--add", "nightly", *ids, "--split", 2, env=opencast_of(fakes))
    assert added.exit_code == 0, added.output
    return ids


def events_of(lines: Iterable[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def line_with(launched: Launched, word: str) -> str:
    """Return the next line on stdout with a word."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if word in (line := launched.line()):
            return line
    raise TimeoutError(word)


def error_with(launched: Launched, word: str) -> str:
    """Return the next line on stderr with a word."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if word in (line := launched.error_line()):
            return line
    raise TimeoutError(word)


def put_long(run: Run, fakes: Sandbox, shared: tuple[str, ...], count: int, seconds: float) -> list[int]:
    """Put workflows in that take some seconds of real time, as two shards."""
    fakes.opencast.define("long", [Step("encode", 50 * seconds)])
    ids = [fakes.opencast.start(fakes.opencast.event(), "long") for _ in range(count)]
    assert run("shards", *shared, "--add", "nightly", *ids, "--split", 2, env=opencast_of(fakes)).exit_code == 0
    return ids


def test_each_claim_and_each_end_is_a_line(run: Run, fakes: Sandbox, shared: tuple[str, ...], ids: list[int]) -> None:
    result = run("worker", *shared, env=opencast_of(fakes))
    *lines, last = [line[9:] if line[2:3] == ":" else line for line in result.stdout.splitlines()]
    shards = ("nightly-0", "nightly-1")
    assert sorted(lines) == sorted(
        [f"{id} succeeded" for id in ids]
        + [f"claimed {shard}" for shard in shards]
        + [f"{shard} is finished" for shard in shards]
    )
    assert last == "every shard is finished. This worker has seen 4 ends (4 succeeded)"
    assert result.exit_code == 0
    assert shared[3] in result.stderr
    assert "disconnected" not in result.stderr


def test_each_event_is_a_record(run: Run, fakes: Sandbox, shared: tuple[str, ...], ids: list[int]) -> None:
    result = run("worker", *shared, "--json", env=opencast_of(fakes))
    events = events_of(result.stdout.splitlines())
    ends = [event for event in events if event["event"] == "ended"]
    assert sorted(event["id"] for event in ends) == ids
    assert {event["state"] for event in ends} == {"succeeded"}
    assert len({event["key"] for event in ends}) == 4
    assert {event["event"] for event in events if event["id"] is None} == {"claimed", "finished"}


def test_only_ends_are_among_the_ids(run: Run, fakes: Sandbox, shared: tuple[str, ...], ids: list[int]) -> None:
    result = run("worker", *shared, "-o", "ids", env=opencast_of(fakes))
    assert sorted(map(int, result.stdout.split())) == ids


def test_quiet_says_nothing_of_what_is_done(run: Run, fakes: Sandbox, shared: tuple[str, ...], ids: list[int]) -> None:
    result = run("worker", *shared, "--quiet", env=opencast_of(fakes))
    assert (result.exit_code, result.output) == (0, "")


def test_verbose_prints_each_line_of_the_log_once(
    run: Run, fakes: Sandbox, shared: tuple[str, ...], ids: list[int]
) -> None:
    result = run("worker", *shared, "--verbose", env=opencast_of(fakes))
    assert result.stderr.count("claimed a shard") == 2


async def keys_of(url: str, bucket: str) -> list[str]:
    async with await nats.connect(url) as client:
        return await (await client.jetstream().key_value(bucket)).keys()


def test_the_workers_share_a_budget_of_requests(
    run: Run, fakes: Sandbox, shared: tuple[str, ...], ids: list[int]
) -> None:
    assert run("worker", *shared, "--pace", 500, env=opencast_of(fakes)).exit_code == 0
    assert shared[3] in asyncio.run(keys_of(shared[1], "workflow-async-pace"))


def test_a_worker_without_shards_says_how_to_put_work_in_and_ends_by_sigterm(
    launch: Launch, fakes: Sandbox, shared: tuple[str, ...]
) -> None:
    worker = launch("worker", *shared, env=opencast_of(fakes))
    assert "shards --add NAME" in error_with(worker, "no shards")
    worker.terminate()
    code, out, err = worker.end()
    assert (code, err) == (0, "")
    assert "stopped by SIGTERM, and its shards are released" in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_worker_that_is_stopped_releases_its_shards(
    run: Run, launch: Launch, fakes: Sandbox, shared: tuple[str, ...], number: int, code: int
) -> None:
    put_long(run, fakes, shared, 6, 100.0)
    worker = launch("worker", *shared, "--json", env=opencast_of(fakes))
    line_with(worker, "claimed")
    line_with(worker, "claimed")
    worker.process.send_signal(number)
    ended, out, err = worker.end()
    assert ended == code, err
    assert "Traceback" not in err
    assert [event["event"] for event in events_of(out.splitlines())].count("released") == 2
    free = events_of(run("shards", *shared, "--json").stdout.splitlines())
    assert [shard["state"] for shard in free] == ["free", "free"]
    assert sum(shard["left"] for shard in free) == 6


def test_a_pipe_that_closes_ends_the_worker_with_141(
    run: Run, launch: Launch, fakes: Sandbox, shared: tuple[str, ...], ids: list[int]
) -> None:
    worker = launch("worker", *shared, "--json", env=opencast_of(fakes))
    assert worker.process.stdout is not None
    worker.process.stdout.close()
    worker.process.stdout = None
    code, _, err = worker.end()
    assert (code, "Traceback" in err) == (141, False)


# What is wrong


def test_a_wrong_password_of_the_server_exits_with_4(run: Run, fakes: Sandbox, shared: tuple[str, ...]) -> None:
    result = run("worker", *shared, env={**opencast_of(fakes), "OPENCAST_PASSWORD": "wrong"})
    assert (result.exit_code, result.stdout) == (4, "")
    assert "refused for admin" in result.stderr


def test_a_server_that_is_down_exits_with_3(run: Run, shared: tuple[str, ...]) -> None:
    env = {"OPENCAST_URL": "http://127.0.0.1:1", "OPENCAST_USERNAME": "admin", "OPENCAST_PASSWORD": "x"}
    result = run("worker", *shared, "--request-timeout", 0.2, env=env)
    assert (result.exit_code, result.stdout) == (3, "")


@pytest.mark.parametrize("command", ["worker", "shards"])
def test_a_nats_server_that_is_down_exits_with_3(
    run: Run, fakes: Sandbox, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(connection, "FIRST_CONNECTION", 0.1)
    env = {**opencast_of(fakes), "NATS_URL": "nats://bob:secret@127.0.0.1:1"}
    result = run(command, env=env)
    text = "workflow-async: no connection to NATS at nats://127.0.0.1:1: connection refused\n"
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", text)


def test_a_nats_server_that_refuses_the_user_exits_with_4(
    run: Run, fakes: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(connection, "FIRST_CONNECTION", 0.5)
    with running_nats_server(tmp_path, "--user", "bob", "--pass", "right") as server:
        address = server.url.partition("//")[2]
        refused = run("shards", env={"NATS_URL": f"nats://bob:wrong@{address}"})
        taken = run("shards", env={"NATS_URL": f"nats://bob:right@{address}"})
    assert refused.exit_code == 4
    assert f"NATS at nats://{address} refuses the user: set NATS_URL" in refused.stderr
    assert "wrong" not in refused.output
    assert taken.exit_code == 0


def test_what_nats_says_is_told(run: Run, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_: object) -> None:
        raise CoordinatorUnavailable("NATS refuses: no more streams")

    monkeypatch.setattr(ShardBucket, "create", refuse)
    result = run("shards", "--nats", nats_server.url)
    text = f"workflow-async: NATS at {nats_server.url} cannot be used: NATS refuses: no more streams\n"
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", text)


async def test_sigterm_cancels_the_work() -> None:
    async def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await anyio.sleep_forever()

    assert await until_terminated(work) is False


# Several processes


def owners_of(run: Run, shared: tuple[str, ...]) -> dict[str, str]:
    """Return the owner of each shard."""
    rows = events_of(run("shards", *shared, "--json").stdout.splitlines())
    return {row["id"]: row["owner"] for row in rows}


def owners_once(run: Run, shared: tuple[str, ...], is_met: Callable[[set[str]], bool]) -> dict[str, str]:
    """Wait until the owners meet a condition. Return the owner of each shard."""
    end = time.monotonic() + PATIENCE
    while not is_met(set((owners := owners_of(run, shared)).values())):
        assert time.monotonic() < end, owners
    return owners


@pytest.mark.soak
def test_the_shards_of_a_killed_worker_are_taken_over_and_each_end_is_told_once(
    run: Run, launch: Launch, fakes: Sandbox, shared: tuple[str, ...]
) -> None:
    ids = put_long(run, fakes, shared, 6, 300.0)
    workers = [launch("worker", *shared, *SHORT_LEASE, "--json", env=opencast_of(fakes)) for _ in range(2)]
    before = owners_once(run, shared, lambda owners: len(owners) == 2 and "" not in owners)
    killed, survivor = workers
    (lost,) = (shard for shard, owner in before.items() if f"-{killed.process.pid}-" in owner)
    killed.process.kill()
    taken = json.loads(line_with(survivor, "taken over"))
    assert (taken["shard"], taken["worker"]) == (lost, before[lost])
    assert set(owners_of(run, shared).values()) == set(before.values()) - {before[lost]}
    assert run("stop", *ids, "--yes", env=opencast_of(fakes)).exit_code == 0
    code, out, _ = survivor.end()
    told = [event["id"] for event in events_of(out.splitlines()) if event["event"] == "ended"]
    assert (code, sorted(told)) == (0, ids)
    assert set(owners_of(run, shared).values()) == {""}


@pytest.mark.soak
def test_a_worker_outlives_a_restart_of_nats_and_says_so(
    run: Run, launch: Launch, fakes: Sandbox, tmp_path: Path
) -> None:
    with running_nats_server(tmp_path) as server:
        options = ("--nats", server.url)
        ids = put_long(run, fakes, options, 6, 3.0)
        worker = launch("worker", *options, *SHORT_LEASE, "-o", "ids", env=opencast_of(fakes))
        error_with(worker, "worker ")
        server.kill()
        assert "warning disconnected from NATS" in error_with(worker, "disconnected")
        server.start()
        code, out, _ = worker.end()
        assert (code, sorted(map(int, out.split()))) == (0, ids)
