from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from workflow_async.cli.tally import Tally
from workflow_async.cli.watcher import ConsoleWatcher
from workflow_async.errors import ClientClosed
from workflow_async.monitor import Stalled
from workflow_async.opencast import State, Workflow

RECORD = Workflow(id=7, state=State.RUNNING, state_text="running", event_id="e-1")


def closed(*_: object, **__: object) -> None:
    raise ClientClosed


async def test_an_error_of_a_single_watch_is_the_result_of_its_workflow() -> None:
    system: Any = SimpleNamespace(watch=closed)
    reported: list[object] = []
    watcher = ConsoleWatcher(system, Tally("opencast", 1), report=reported.append)
    await watcher.watch_one(7)
    assert watcher.tally.counts == {"unobserved": 1}
    assert reported == [*watcher.tally.results.values()]


def test_a_stalled_workflow_is_neither_a_change_nor_a_result() -> None:
    system: Any = SimpleNamespace()
    reported: list[object] = []
    watcher = ConsoleWatcher(system, Tally("opencast", 1), report=reported.append)
    stalled = Stalled(workflow=RECORD, seen_at=datetime.now(UTC), seconds=60.0, usual=1.0)
    assert watcher._handle(stalled) is None
    assert reported == []
