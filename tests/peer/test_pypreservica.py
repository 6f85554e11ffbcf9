"""Unchanged pyPreservica, in its own environment, works with the sandbox."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from workflow_async.sandbox import ManualClock, Sandbox, Step
from workflow_async.sandbox.engine import Status
from workflow_async.sandbox.preservica.app import PreservicaState
from workflow_async.sandbox.server import Server, bind, url_of

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

SESSION = Path(__file__).with_name("pypreservica_session.py")
LOGIN = """
import json, sys
from pyPreservica import WorkflowAPI
print(len(WorkflowAPI(**json.loads(sys.argv[1])).get_workflow_contexts_by_type("Ingest")))
"""
SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

Peer = Callable[[str, dict[str, Any]], Any]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peer")
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "pyPreservica==4.2.2"], check=True)
    return python


@pytest.fixture
def peer(python: Path, tmp_path: Path) -> Peer:
    def run(code: str, account: dict[str, Any]) -> Any:
        script = tmp_path / "script.py"
        script.write_text(code)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PRESERVICA_", "PYTHON"))}
        command = [str(python), str(script), json.dumps(account)]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sandbox(clock: ManualClock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    listener = bind("127.0.0.1", 0)
    server = Server([(listener, app)])
    server.start()
    try:
        yield url_of(listener)
    finally:
        server.stop()


def account(address: str, state: PreservicaState, **more: object) -> dict[str, Any]:
    host = address.removeprefix("http://")
    return {"username": state.username, "password": state.password, "server": host, "protocol": "http"} | more


def test_pypreservica_works_with_the_sandbox_unchanged(peer: Peer, sandbox: Sandbox, clock: ManualClock) -> None:
    system, state = sandbox.preservica, sandbox.preservica.state
    ids = system.seed(1000, age=3600)
    slow = system.context("Slow & steady", "org.example.slow", "Ingest", [Step("Wait", 3600)])
    result = peer(SESSION.read_text(), account(system.url, state, tenant=state.tenant))

    assert result["by_type"]["44"] == "Web Crawl & Ingest"
    assert result["by_definition"] == {slow: "Slow & steady"}
    assert state.starts == [result["correlation"]]
    assert system.engine.runs[result["terminated"]].parameters == {"seedUrl": "a&b<c>", "maxDepth": "8"}

    runs = [system.engine.runs[id] for id in ids]
    completed = [run for run in runs if run.status is Status.SUCCEEDED and run.subject in {"42", "43"}]
    assert result["completed"] == [run.id for run in completed]
    assert len(completed) > 100
    assert result["one"][:2] == [completed[0].id, "COMPLETED"]

    clock.advance(10)
    terminated = system.engine.get(result["terminated"])
    assert terminated is not None
    assert terminated.status is Status.STOPPED

    assert result["processes"] == {
        "OPEX incremental": True,
        "Bucket of the archive": True,
        "Bucket of the museum": False,
    }
    assert result["switched"] == [False, True]
    assert result["monitors"] == [state.archive.monitor_id(run) for run in runs[:25]]
    assert result["messages"] > 0
    assert result["timeseries"] > 0


def test_pypreservica_logs_in_again_when_its_token_is_revoked(peer: Peer) -> None:
    state = PreservicaState(time.time)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if state.logins == 1 and scope["path"].startswith("/sdb/"):
            state.revoke()
        await state.app(scope, receive, send)

    with serving(app) as address:
        assert peer(LOGIN, account(address, state, tenant=state.tenant)) == 5
    assert state.logins == 2


@pytest.mark.parametrize("method", ["without tenant", "shared secret", "one-time code"])
def test_pypreservica_logs_in_in_every_way(peer: Peer, method: str) -> None:
    state = PreservicaState(time.time, two_factor=SEED if method == "one-time code" else None)
    methods: dict[str, dict[str, object]] = {
        "without tenant": {},
        "shared secret": {"tenant": state.tenant, "password": state.shared_secret, "use_shared_secret": True},
        "one-time code": {"tenant": state.tenant, "two_fa_secret_key": SEED},
    }
    with serving(state.app) as address:
        assert peer(LOGIN, account(address, state, **methods[method])) == 5
    assert state.logins == 1
