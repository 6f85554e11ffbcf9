"""A batch that is killed at any step and run again starts nothing twice and forgets nothing."""

import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tests.support import killed_batch as killed
from workflow_async.sandbox import Sandbox, Step

pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"), pytest.mark.sweep]

QUICK = [Step("one", 0.5)]
STARTS = 3
AT_ONCE = 2
LEAST = {"file": 80, "nats": 30}
"""The minimum number of steps of such a batch: before and after each access to the journal and each start."""
LEASE = 0.1


@define
class Forge:
    """The process whose children run batches."""

    process: "subprocess.Popen[str]"
    folder: Path

    def run(self, batch: "Batch", fatal: int | None = None) -> dict[str, Any]:
        """Run a batch in a new process, which is killed at step `fatal`, and return how the process ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = {**batch.order, "fatal": fatal, "answer": str(self.folder / "answer.json")}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with subprocess.Popen(
        [sys.executable, killed.__file__], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield Forge(process, tmp_path)


@define
class Batch:
    """Starts on a sandbox, and the sandbox's own record of them."""

    order: dict[str, Any]
    executed: Callable[[], list[str]]
    """Returns the event or context of each workflow that was started."""
    subjects: list[str]
    reported: list[dict[str, Any]] = field(factory=list)

    @property
    def least(self) -> int:
        """The minimum number of steps."""
        return LEAST["nats" if "nats" in self.order else "file"]

    def check(self, last: dict[str, Any]) -> Counter[str]:
        """Check that no start was carried out twice, and that each start that was not carried out is unknown."""
        assert last["code"] == 0
        executed = Counter(self.executed())
        assert set(executed) <= set(self.subjects)
        assert max(executed.values(), default=0) <= 1
        reported = Counter(result["type"] for result in last["results"])
        assert set(reported) <= {"Completed", "AlreadyDone", "OutcomeUnknown"}
        assert reported.total() == STARTS
        assert sum(result["succeeded"] for result in last["results"]) == len(executed)
        assert reported["OutcomeUnknown"] == STARTS - len(executed)
        return reported


def opencast(sandbox: Sandbox, journal: Path) -> Batch:
    """Return a batch whose starts are on different events."""
    fake = sandbox.opencast
    fake.define("quick", QUICK)
    events = [fake.event() for _ in range(STARTS)]

    def executed() -> list[str]:
        with fake.lock:
            return [run.subject for run in fake.engine.all() if run.subject in events]

    order = {"system": "opencast", "url": fake.url, "auth": fake.auth, "starts": [[event, "quick"] for event in events]}
    return Batch({**order, "journal": str(journal), "max_running": AT_ONCE}, executed, events)


def preservica(sandbox: Sandbox, journal: Path) -> Batch:
    """Return a batch whose starts are of different contexts."""
    fake = sandbox.preservica
    contexts = [fake.context(f"Quick {n}", "com.example.quick", "Ingest", QUICK) for n in range(STARTS)]

    def executed() -> list[str]:
        with fake.lock:
            return [run.subject for run in fake.engine.all() if run.subject in contexts]

    order = {"system": "preservica", "url": fake.url, "auth": fake.auth, "tenant": fake.tenant}
    starts = [[context, {"n": "1"}] for context in contexts]
    return Batch({**order, "starts": starts, "journal": str(journal), "max_running": AT_ONCE}, executed, contexts)


SYSTEMS = [
    pytest.param(("16", opencast, "file"), id="opencast-16"),
    pytest.param(("11", opencast, "file"), id="opencast-11", marks=pytest.mark.soak),
    pytest.param(("16", preservica, "file"), id="preservica", marks=pytest.mark.soak),
    pytest.param(("16", opencast, "nats"), id="opencast-16-nats", marks=pytest.mark.soak),
    pytest.param(("16", preservica, "nats"), id="preservica-nats", marks=pytest.mark.soak),
]
"""The systems. The gate kills batches of the first one only, because each system takes a minute."""


@pytest.fixture(params=SYSTEMS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Batch]]:
    """Return a function that makes batches on one sandbox, each with its own journal."""
    release, system, journal = request.param
    broker: dict[str, Any] = {}
    if journal == "nats":
        broker = {"nats": request.getfixturevalue("nats_server").url, "lease": LEASE}
    run = uuid.uuid4().hex
    with Sandbox(release, speed=killed.SPEED) as sandbox:
        counter = iter(range(10_000))

        def make() -> Batch:
            batch: Batch = system(sandbox, tmp_path / f"{run}-{next(counter)}.sqlite")
            batch.order |= broker
            return batch

        yield make


def test_a_batch_that_is_not_killed_sends_every_start_once(make: Callable[[], Batch], forge: Forge) -> None:
    batch = make()
    last = forge.run(batch)
    assert batch.check(last) == {"Completed": STARTS}
    again = forge.run(batch)
    assert batch.check(again) == {"AlreadyDone": STARTS}


@pytest.mark.timeout(300)  # hundreds of processes, one after the other
def test_killed_at_any_step_and_run_again_nothing_is_started_twice_and_nothing_forgotten(
    make: Callable[[], Batch], forge: Forge
) -> None:
    finished = False
    fatal = 0
    while not finished:
        fatal += 1
        batch = make()
        finished = forge.run(batch, fatal)["code"] == 0
        reported = batch.check(forge.run(batch))
        assert reported["OutcomeUnknown"] <= AT_ONCE
    assert fatal > make().least


def test_killed_again_and_again_a_batch_comes_to_its_end(make: Callable[[], Batch], forge: Forge) -> None:
    batch = make()
    fatal = batch.least * 3 // 4  # after fewer steps nothing has been sent, and the next run only finds that out
    while (last := forge.run(batch, fatal))["code"] != 0:
        assert last["code"] == -9
        fatal += 2
    batch.check(last)
    batch.check(forge.run(batch))
