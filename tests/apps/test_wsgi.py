"""A synchronous client in a WSGI application: forked workers, each with a thread pool, over sockets."""

import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import anyio
import httpx
import pytest
from attrs import define

from tests.apps.conftest import HERE, TIMEOUT, is_listening, kill_group, launch, reserve_port, wait_until
from workflow_async.sandbox import Fault, Faults, Sandbox

REQUESTS = 400


@define
class Workers:
    """The running application, and an HTTP client for it."""

    process: "subprocess.Popen[str]"
    http: httpx.Client

    def stop(self) -> tuple[int, str]:
        """Send SIGTERM. Return the exit code and stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, stderr = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, stderr


@pytest.fixture
def workers(environment: dict[str, str]) -> Iterator[Workers]:
    """Run the application in front of the sandbox."""
    with closing(reserve_port()) as port:
        number = port.getsockname()[1]
        process = launch([str(HERE / "wsgi_app.py")], {**environment, "PORT": str(number)})
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=0)
        transport = httpx.HTTPTransport(limits=limits, retries=3)
        with httpx.Client(base_url=f"http://127.0.0.1:{number}", timeout=TIMEOUT, transport=transport) as http:
            try:
                anyio.run(wait_until, lambda: process.poll() is not None or is_listening(number))
                yield Workers(process, http)
            finally:
                kill_group(process)


def start_workflow(sandbox: Sandbox) -> int:
    return sandbox.opencast.start(sandbox.opencast.event(), "publish")


def test_a_view_starts_a_workflow_and_another_returns_its_record(workers: Workers, sandbox: Sandbox) -> None:
    started = workers.http.post(f"/publish/{sandbox.opencast.event()}")
    assert started.status_code == 202
    record = workers.http.get(f"/workflows/{started.json()['id']}").json()
    assert record["phase"] in {"waiting", "running"}


def test_two_forked_workers_with_eight_threads_each_answer_many_requests(workers: Workers, sandbox: Sandbox) -> None:
    ids = [start_workflow(sandbox) for _ in range(10)]

    def get(number: int) -> int:
        found: int = workers.http.get(f"/workflows/{ids[number % 10]}").json()["id"]
        return found

    with ThreadPoolExecutor(32) as threads:
        assert [*threads.map(get, range(REQUESTS))] == [ids[number % 10] for number in range(REQUESTS)]


def test_errors_of_the_library_become_statuses(workers: Workers, sandbox: Sandbox) -> None:
    event = sandbox.opencast.event()
    assert workers.http.get("/workflows/424242").status_code == 404
    assert workers.http.get("/workflows/-1").status_code == 422
    assert workers.http.post(f"/publish/{event}").status_code == 202
    assert workers.http.post(f"/publish/{event}").status_code == 409
    sandbox.opencast.faults = Faults(script=(Fault.CUT_BEFORE,), methods=("POST",))
    lost = workers.http.post(f"/publish/{sandbox.opencast.event()}")
    assert (lost.status_code, lost.json()["error"]) == (502, "StartOutcomeUnknown")


def test_sigterm_ends_the_workers_and_the_program(workers: Workers, sandbox: Sandbox) -> None:
    workers.http.get(f"/workflows/{start_workflow(sandbox)}")
    code, stderr = workers.stop()
    assert code == 0
    assert "Traceback" not in stderr
