"""What is told of each thing that a worker does."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve

from workflow_async.cli.output import Output
from workflow_async.cli.worker import closing_text, report
from workflow_async.cli.worker_events import ReportingCoordinator, WorkerEvent, worker_event
from workflow_async.distributed import Claim, Lease
from workflow_async.errors import NotFound
from workflow_async.monitor import PollingFailed, Replaced, Stalled, Vanished, WatchEvent
from workflow_async.testing import change, opencast_workflow

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
RUNNING = opencast_workflow(7, "running")
LEASE = Lease("a-0", 3, b"")


class Inner:
    """A coordinator of one shard, which another worker has had."""

    worker = "me"
    lease_seconds = 5.0

    def __init__(self) -> None:
        self.kept: Lease | None = LEASE
        self.has_left = False

    def owners(self) -> dict[str, str]:
        return {"a-0": "other", "a-1": "me"}

    async def claim(self, held: object) -> Claim:
        return Claim(tuple(Lease(f"a-{n}", n, b"") for n in range(3)))

    async def renew(self, lease: Lease) -> Lease | None:
        return self.kept

    async def save(self, lease: Lease, spec: bytes, events: object) -> Lease | None:
        return self.kept

    async def release(self, lease: Lease, *, finished: bool) -> None:
        """Give it back."""

    async def leave(self) -> None:
        self.has_left = True

    async def over(self) -> bool:
        return True


def reporting() -> tuple[Any, ReportingCoordinator, list[tuple[str, str, str]]]:
    """Return a coordinator that reports, and what it has reported."""
    told: list[tuple[str, str, str]] = []
    inner: Any = Inner()
    return inner, ReportingCoordinator(inner, lambda event: told.append((event.event, event.shard, event.worker))), told


async def test_a_takeover_is_told_from_a_claim() -> None:
    _, coordinator, told = reporting()
    await coordinator.claim(())
    assert told == [("taken over", "a-0", "other"), ("claimed", "a-1", ""), ("claimed", "a-2", "")]


async def test_events_are_told_once_they_are_delivered_and_saved() -> None:
    inner, coordinator, told = reporting()
    ended = change(opencast_workflow(7, "succeeded"))
    assert await coordinator.save(LEASE, b"", [ended]) is LEASE
    inner.kept = None
    assert await coordinator.save(LEASE, b"", [ended]) is None
    assert await coordinator.renew(LEASE) is None
    assert [event for event, _, _ in told] == ["ended", "lost", "lost"]


async def test_the_other_calls_are_those_of_the_inner_coordinator() -> None:
    inner, coordinator, told = reporting()
    assert (await coordinator.renew(LEASE), coordinator.lease_seconds, await coordinator.over()) == (LEASE, 5.0, True)
    await coordinator.release(LEASE, finished=True)
    await coordinator.release(LEASE, finished=False)
    await coordinator.leave()
    assert inner.has_left
    assert told == [("finished", "a-0", ""), ("released", "a-0", "")]


GONE = NotFound(404)
EVENTS: dict[str, tuple[WatchEvent[Any], str, str]] = {
    "changed": (evolve(change(RUNNING), key="k"), "running", ""),
    "ended": (evolve(change(opencast_workflow(7, "failed")), key="k"), "failed", ""),
    "stalled": (Stalled(workflow=RUNNING, seen_at=NOW, seconds=9.0, usual=None, key="k"), "running", ""),
    "replaced": (Replaced(id=7, workflow=None, found=RUNNING, key="k"), "", ""),
    "vanished": (Vanished(id=7, error=GONE, workflow=RUNNING, key="k"), "running", "not found"),
    "unobserved": (PollingFailed(id=7, error=GONE, key="k"), "", "not found"),
}


@pytest.mark.parametrize("word", EVENTS)
def test_each_event_of_a_watch_has_a_word(word: str) -> None:
    event, state, error = EVENTS[word]
    told = worker_event(event, "a-0", NOW)
    assert (told.event, told.shard, told.id, told.state, told.key) == (word, "a-0", 7, state, "k")
    assert error in told.error
    assert told.is_end is (word not in {"changed", "stalled"})


def text_of(**fields: Any) -> str:
    return WorkerEvent(at=NOW, shard="a-0", **fields).text[9:]


def test_what_is_worth_a_line_has_one() -> None:
    assert text_of(event="taken over", worker="vm-1") == "took over a-0 from vm-1"
    assert text_of(event="ended", id=7, state="failed") == "7 failed"
    assert text_of(event="vanished", id=7, state="running", error="not found") == "7 vanished: not found"
    assert [text_of(event=word) for word in ("changed", "stalled", "lost")] == ["", "", ""]


def test_an_error_of_a_server_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    ends: Counter[str] = Counter()
    event = WorkerEvent(at=NOW, event="vanished", shard="a-0", id=7, error="evil\x9b5;41m")
    report(Output(), ends, event)
    assert "evil\N{REPLACEMENT CHARACTER}" in capsys.readouterr().out
    assert ends == {"vanished": 1}


def test_the_last_line_counts_the_ends() -> None:
    assert closing_text(Counter(), is_over=True) == "every shard is finished. This worker has seen 0 ends"
    text = closing_text(Counter(succeeded=3, failed=1), is_over=False)
    assert text == (
        "stopped by SIGTERM, and its shards are released. This worker has seen 4 ends (1 failed, 3 succeeded)"
    )
