"""The contents of a journal: all starts before the first is sent, and each end with the server's times."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio.lowlevel
import httpx
import pytest

from tests.support.journal_files import NOON, SERVER, intent
from tests.unit.batch.conftest import OFTEN, posts, results, runs
from workflow_async import OpencastClient, Phase, Poll
from workflow_async.batch import (
    Completed,
    JournalContents,
    Rejected,
    StartStatus,
    StatusKind,
    Ticket,
    read_journal,
)
from workflow_async.batch.entries import Entry
from workflow_async.batch.journal import Journal, open_journal, read_history
from workflow_async.batch.operation_durations import OperationDuration
from workflow_async.batch.start_records import OpencastStart
from workflow_async.batch.workflow_details import NO_DETAILS, failure_text, read_details
from workflow_async.monitor import Change
from workflow_async.opencast import Operation, OperationState, Start, State, Workflow
from workflow_async.preservica import (
    PreservicaClient,
    Start as ContextStart,
    State as PreservicaState,
    Workflow as PreservicaWorkflow,
)
from workflow_async.sandbox import Fault, Faults, ManualClock, Step, StepResult
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

RARELY = Poll(interval=60.0, ceiling=60.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batch.sqlite"


async def run(client: OpencastClient, path: Path | None, *starts: Start, **settings: Any) -> dict[str, Any]:
    """Run a batch and return its results by key."""
    batch = client.workflows.run_all(starts, journal=path, **{"poll": OFTEN, **settings})
    return {each.key: each for each in await results(batch)}


async def item(path: Path, key: str = "0") -> StartStatus:
    return (await read_journal(path)).items[key]


# All starts


async def test_every_start_is_recorded_before_the_first_is_sent(
    oc: OpencastClient, fake: FakeOpencast, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Journal.plan
    seen: list[tuple[int, JournalContents]] = []

    async def planning(self: Journal, tickets: Sequence[Ticket], total: int | None) -> None:
        await plan(self, tickets, total)
        seen.append((posts(fake), await read_journal(path)))

    monkeypatch.setattr(Journal, "plan", planning)
    await run(oc, path, *(Start(fake.event(), "quick", {"n": n}, str(n)) for n in range(14)))
    sent, found = seen[0]
    assert (sent, found.total, [*found.items]) == (0, 14, [str(n) for n in range(14)])
    assert {each.kind for each in found.items.values()} == {StatusKind.PLANNED}
    arguments = [each.ticket.arguments for each in found.items.values() if each.ticket]
    assert [each.configuration for each in arguments if isinstance(each, OpencastStart)] == [
        {"n": str(n)} for n in range(14)
    ]


async def test_a_batch_of_14_that_was_left_after_12_has_14(oc: OpencastClient, fake: FakeOpencast, path: Path) -> None:
    fake.define("slow", [Step("one", 3600.0)])
    starts = [Start(fake.event(), "quick" if n < 12 else "slow", key=str(n)) for n in range(14)]
    async with oc.workflows.run_all(starts, max_running=1, journal=path, poll=OFTEN) as outcomes:
        for _ in range(12):
            await anext(outcomes)
    found = await read_journal(path)
    words = [each.word for each in found.items.values()]
    assert (found.total, len(words)) == (14, 14)
    assert words[:12] == ["succeeded"] * 12
    assert words[13] == "planned"
    reported = await run(oc, path, *starts)
    assert len(reported) == 14
    assert posts(fake) == 14


async def test_a_planned_start_is_sent_without_a_search(oc: OpencastClient, fake: FakeOpencast, path: Path) -> None:
    start = Start(fake.event(), "quick", key="0")
    journal, _ = await open_journal(path, "opencast", fake.url)
    await journal.plan([oc.workflows.prepare_start(start.event_id, "quick", key="0")], 1)
    await journal.close()
    assert await run(oc, path) == {}
    assert (await item(path)).kind is StatusKind.PLANNED
    assert isinstance((await run(oc, path, start))["0"], Completed)


async def test_a_planned_key_with_other_arguments_is_rejected(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    journal, _ = await open_journal(path, "opencast", fake.url)
    await journal.plan([oc.workflows.prepare_start("another event", "quick", key="0")], 1)
    await journal.close()
    assert isinstance((await run(oc, path, Start(fake.event(), "quick", key="0")))["0"], Rejected)
    assert posts(fake) == 0


async def test_starts_that_cannot_be_sent_and_repeated_ones_count_once(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    bad: Any = ["no start", Start("", "quick"), Start("", "quick", key="\ud800"), Start(fake.event(), "quick", key="0")]
    reported = await results(oc.workflows.run_all([*bad, bad[-1]], journal=path, poll=OFTEN))
    found = await read_journal(path)
    assert (found.total, [*found.items]) == (4, ["0", "#1", "#2", "#3"])
    assert sorted(type(each).__name__ for each in reported) == [
        "Completed",
        "Rejected",
        "Rejected",
        "Rejected",
        "Skipped",
    ]
    assert {each.key for each in reported if isinstance(each, Rejected)} == {"#1", "#2", "#3"}


async def test_more_starts_in_another_run_are_added(oc: OpencastClient, fake: FakeOpencast, path: Path) -> None:
    starts = [Start(fake.event(), "quick", key=str(n)) for n in range(3)]
    await run(oc, path, *starts[:2])
    await run(oc, path, *starts[1:])
    found = await read_journal(path)
    assert (found.total, [*found.items]) == (3, ["0", "1", "2"])


async def test_the_total_of_an_iterator_is_unknown_until_its_end(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    fake.define("slow", [Step("one", 3600.0)])
    starts = [Start(fake.event(), name, key=name) for name in ("quick", "slow")]
    async with oc.workflows.run_all(iter(starts), journal=path, poll=OFTEN) as outcomes:
        await anext(outcomes)
        assert (await read_journal(path)).total is None
    fake.engine.stop(runs(fake)[1])
    await results(oc.workflows.run_all(iter(starts), journal=path, poll=OFTEN))
    assert (await read_journal(path)).total == 2
    await results(oc.workflows.run_all(iter([Start(fake.event(), "quick")]), journal=path, poll=OFTEN))
    assert (await read_journal(path)).total == 3


async def test_without_a_journal_waiting_starts_are_listed(oc: OpencastClient, fake: FakeOpencast) -> None:
    fake.define("slow", [Step("one", 3600.0)])
    starts = [Start(fake.event(), name, key=str(n)) for n, name in enumerate(("quick", "slow", "quick"))]
    async with oc.workflows.run_all(starts, max_running=1, poll=OFTEN) as outcomes:
        await anext(outcomes)
        assert outcomes.items["0"].kind is StatusKind.ENDED
        assert outcomes.items["2"].kind is StatusKind.PLANNED


class Torn(list[Start]):
    """Starts whose iteration fails after the first start."""

    def __iter__(self) -> Iterator[Start]:
        yield self[0]
        raise LookupError("no more rows")


async def test_starts_that_cannot_all_be_read_are_not_sent_and_running_workflows_are_watched_first(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    fake.define("slow", [Step("one", 60.0)])
    async with oc.workflows.run_all([Start(fake.event(), "slow", key="0")], journal=path, poll=OFTEN) as outcomes:
        while not posts(fake) or outcomes.items["0"].id is None:
            await anyio.lowlevel.checkpoint()
    torn = Torn([Start(fake.event(), "quick", key=str(n)) for n in (1, 2)])
    async with oc.workflows.run_all(torn, journal=path, poll=OFTEN) as outcomes:
        resumed = await anext(outcomes)
        with pytest.raises(LookupError, match="no more rows"):
            await anext(outcomes)
    assert (resumed.key, resumed.succeeded) == ("0", True)
    assert posts(fake) == 1


# Ends


async def test_the_times_of_an_end_are_the_servers(oc: OpencastClient, fake: FakeOpencast, path: Path) -> None:
    reported = await run(oc, path, Start(fake.event(), "quick", key="0"), poll=RARELY)
    found = await item(path)
    (operation,) = reported["0"].workflow.operations
    assert (found.server_start, found.server_end) == (operation.start, operation.completion)
    assert found.took == timedelta(seconds=5)
    assert found.started_at is not None
    assert found.ended_at is not None
    assert found.ended_at - found.started_at >= timedelta(seconds=50)


async def test_the_times_of_an_end_are_the_servers_on_a_preservica(
    pv: PreservicaClient, archive: FakePreservica, path: Path
) -> None:
    context = archive.context("Quick", "com.example.quick", "Ingest", [Step("one", 5.0)])
    (reported,) = await results(pv.workflows.run_all([ContextStart(context, key="0")], journal=path, poll=RARELY))
    found = await item(path)
    assert isinstance(reported, Completed)
    assert reported.workflow is not None
    assert (found.server_start, found.server_end) == (reported.workflow.started, reported.workflow.finished)
    assert found.took is not None
    assert found.took < timedelta(seconds=10)


async def test_the_duration_of_a_workflow_that_ended_between_two_runs_is_the_servers(
    oc: OpencastClient, fake: FakeOpencast, path: Path, time: ManualClock
) -> None:
    start = Start(fake.event(), "quick", key="0")
    async with oc.workflows.run_all([start], journal=path, poll=OFTEN) as outcomes:
        while outcomes.items.get("0") is None or outcomes.items["0"].id is None:
            await anyio.lowlevel.checkpoint()
    time.advance(360)
    assert isinstance((await run(oc, path, start))["0"], Completed)
    assert (await item(path)).took == timedelta(seconds=5)


async def test_the_failed_operation_is_recorded(oc: OpencastClient, fake: FakeOpencast, path: Path) -> None:
    fake.define("breaks", [Step("inspect", 2.0), Step("encode", 3.0, StepResult.FAILED), Step("publish", 4.0)])
    await run(oc, path, Start(fake.event(), "breaks", key="0"))
    found = await item(path)
    assert (found.failed_operation, found.failed_attempt, found.failed_host) == (
        "encode",
        1,
        "https://worker.example.org",
    )
    assert found.took == timedelta(seconds=5)
    assert found.detail == "in encode (attempt 1 of 1, host https://worker.example.org)"


async def test_the_durations_of_the_operations_are_recorded(oc: OpencastClient, fake: FakeOpencast, path: Path) -> None:
    fake.define("two", [Step("inspect", 2.0), Step("encode", 3.0)])
    await run(oc, path, Start(fake.event(), "two", key="0"))
    found = await item(path)
    assert found.operations == (OperationDuration("inspect", 2.0), OperationDuration("encode", 3.0))
    assert found.to_dict()["operations"][1] == {"operation": "encode", "seconds": 3.0}


async def test_only_changes_of_the_state_are_recorded(oc: OpencastClient, fake: FakeOpencast, path: Path) -> None:
    fake.define("three", [Step("inspect", 5.0), Step("encode", 5.0), Step("publish", 5.0)])
    async with oc.workflows.run_all([Start(fake.event(), "three", key="0")], journal=path, poll=OFTEN) as outcomes:
        while outcomes.items.get("0") is None or (id := outcomes.items["0"].id) is None:
            await anyio.lowlevel.checkpoint()
        async with oc.workflows.watch([id], poll=OFTEN, operations=True) as events:
            operations = [change.operations async for change in events if isinstance(change, Change)]
        assert [result.succeeded async for result in outcomes] == [True]
    assert sum(map(len, operations)) > 3
    recorded = [entry.text for entry in (await read_history(path)).entries if entry.kind is StatusKind.CHANGE]
    assert recorded == [*dict.fromkeys(recorded)]


async def test_a_workflow_that_has_not_ended_has_no_end_time(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    fake.define("asks", [Step("one", 1.0, StepResult.HELD)])
    await run(oc, path, Start(fake.event(), "asks", key="0"), parked="return")
    found = await item(path)
    assert (found.kind, found.word, found.server_end, found.took) == (StatusKind.LEFT, "parked", None, None)
    assert found.server_start is not None


async def test_a_workflow_that_was_never_read_has_no_details(
    oc: OpencastClient, fake: FakeOpencast, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Journal.write

    async def writing(self: Journal, entry: Entry) -> None:
        await write(self, entry)
        if entry.kind is StatusKind.STARTED:
            fake.faults = Faults(rates={Fault.SERVER_ERROR: 1.0})

    monkeypatch.setattr(Journal, "write", writing)
    poll = Poll(interval=1.0, ceiling=2.0, outage=10.0)
    await run(oc, path, Start(fake.event(), "quick", key="0"), poll=poll)
    found = await item(path)
    assert (found.word, found.server_start, found.failed_operation) == ("unobserved", None, "")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def operation(name: str, state: str, start: float | None = None, end: float | None = None, **more: Any) -> Operation:
    return Operation(
        operation=name,
        state=OperationState.read(state),
        state_text=state,
        start=None if start is None else at(start),
        completion=None if end is None else at(end),
        **more,
    )


def ended(state: State, *operations: Operation) -> Workflow:
    return Workflow(id=7, state=state, state_text=state.value, event_id="e", operations=operations)


@pytest.mark.parametrize(
    ("state", "operations", "start", "end"),
    [
        (State.SUCCEEDED, [("a", "succeeded", 0, 5), ("b", "succeeded", 5, 9)], 0, 9),
        (State.SUCCEEDED, [("a", "skipped", 1), ("b", "succeeded", 2, 9), ("c", "skipped", 10)], 1, 10),
        (State.FAILED, [("a", "succeeded", 0, 5), ("b", "failed", 5, 7), ("c", "instantiated")], 0, 7),
        (State.STOPPED, [("a", "succeeded", 0, 5), ("b", "running", 5, None)], 0, None),
        (State.STOPPED, [("a", "succeeded", 0, 5), ("b", "running", 6, None)], 0, None),
        (State.FAILED, [("a", "succeeded", 0, 5), ("b", "failed", 30, 20)], 0, None),
        (State.SUCCEEDED, [("a", "succeeded", 8, 6), ("b", "succeeded", 9, 12)], 8, 12),
        (State.STOPPED, [("a", "instantiated")], None, None),
        (State.STOPPED, [], None, None),
        (State.RUNNING, [("a", "succeeded", 0, 5), ("b", "running", 5)], 0, None),
    ],
)
def test_the_end_time_is_none_if_the_server_does_not_say(
    state: State, operations: list[tuple[Any, ...]], start: float | None, end: float | None
) -> None:
    found = read_details(ended(state, *(operation(*each) for each in operations)))
    assert found["server_start"] == (None if start is None else at(start))
    assert found["server_end"] == (None if end is None else at(end))


def test_operations_that_were_not_requested_give_no_details() -> None:
    found = read_details(Workflow(id=7, state=State.FAILED, state_text="failed", event_id="e"))
    assert found == NO_DETAILS


def test_the_failed_operation_is_that_of_the_record() -> None:
    failed = ended(State.FAILED, operation("a", "failed", failed_attempts=2), operation("b", "failed", host="h"))
    reported = read_details(failed)
    assert (reported["failed_operation"], reported["failed_attempt"], reported["failed_host"]) == ("b", None, "h")
    assert failure_text(failed) == "in b (host h)"
    assert read_details(ended(State.FAILED, operation("a", "failed", failed_attempts=None)))["failed_attempt"] is None


def test_a_failed_operation_of_a_workflow_that_succeeded_is_ignored() -> None:
    assert read_details(ended(State.SUCCEEDED, operation("a", "failed", 0, 1, failed_attempts=1))) == {
        **NO_DETAILS,
        "server_start": at(0),
        "server_end": at(1),
        "operations": (OperationDuration("a", 1.0),),
    }


@pytest.mark.parametrize(
    ("workflow", "reported"),
    [
        (None, ""),
        (ended(State.SUCCEEDED, operation("a", "failed", failed_attempts=1)), ""),
        (ended(State.RUNNING, operation("a", "running", 0)), ""),
        (ended(State.STOPPED, operation("a", "running", 0)), "in a"),
        (ended(State.STOPPED), ""),
        (ended(State.FAILED, operation("a", "failed", failed_attempts=1)), "in a (attempt 1 of 1)"),
    ],
)
def test_the_step_of_a_workflow_that_did_not_succeed_is_in_its_failure_text(
    workflow: Workflow | None, reported: str
) -> None:
    assert failure_text(workflow) == reported


def test_a_failed_step_of_a_preservica_is_recorded_if_the_record_has_it() -> None:
    def record(state: PreservicaState, step: str | None) -> PreservicaWorkflow:
        return PreservicaWorkflow(id=7, state=state, state_text=state.name, current_step=step, finished=NOON)

    assert read_details(record(PreservicaState.FAILED, "Store"))["failed_operation"] == "Store"
    assert read_details(record(PreservicaState.FAILED, None))["failed_operation"] == ""
    assert read_details(record(PreservicaState.COMPLETED, "Store"))["failed_operation"] == ""
    assert read_details(record(PreservicaState.ACTIVE, "Store"))["server_end"] is None


def test_a_record_with_neither_times_nor_operations_gives_no_details() -> None:
    class Bare:
        id, phase, state_text, step = 7, Phase.SUCCEEDED, "done", None

    assert read_details(Bare()) == NO_DETAILS


# Texts

UNUSUAL_TEXTS = [
    "bad \ud800 thing",
    "\udfff",
    "a\0b",
    "\ud83d\ude00",
    "\x1b]0;x\x07",
    "",
    "\U0001f5a4 %s' \" ;--",
    "\u2028\r\n",
]
STORED = {"bad \ud800 thing": "bad \\ud800 thing", "\udfff": "\\udfff", "\ud83d\ude00": "\\ud83d\\ude00"}
"""A lone surrogate cannot be written as UTF-8, so its escape is written."""


@pytest.mark.parametrize("text", UNUSUAL_TEXTS)
async def test_every_text_of_a_server_can_be_written_and_read(path: Path, text: str) -> None:
    journal, _ = await open_journal(path, "opencast", SERVER)
    await journal.write(intent("a"))
    entry = Entry(
        at=NOON, key="a", kind=StatusKind.ENDED, word="failed", text=text, failed_operation=text, failed_host=text
    )  # fmt: skip
    await journal.write(entry)
    await journal.write(Entry(at=NOON, key=f"key {text}", kind=StatusKind.NOT_STARTED, word="refused", text=text))
    await journal.close()
    items = (await read_journal(path)).items
    stored = STORED.get(text, text)
    assert (items["a"].detail, items["a"].failed_operation, items["a"].failed_host) == (stored, stored, stored)
    assert items[f"key {stored}"].detail == stored


class Speaking:
    """An Opencast with the same text in every text field."""

    def __init__(self, text: str, *, refuses: bool) -> None:
        self.text, self.refuses = text, refuses

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and self.refuses:
            return self.answer(400, {"message": self.text})
        if request.url.path == "/api/version":
            return self.answer(200, {"default": "v1.7.0", "versions": ["v1.7.0"]})
        if request.url.path == "/api/events":
            return self.answer(200, [{"identifier": "e", "title": self.text, "processing_state": ""}])
        if request.url.path == "/api/workflows" and request.method == "GET":
            return self.answer(200, [])
        if request.url.path.startswith("/api/workflows"):
            return self.answer(201 if request.method == "POST" else 200, self.workflow())
        return self.answer(404, {"message": self.text})

    def workflow(self) -> dict[str, object]:
        operation = {"operation": self.text, "state": "failed", "host": self.text, "failed_attempts": 1}
        names = {"workflow_definition_identifier": self.text, "title": self.text, "event_identifier": "e"}
        return {"identifier": 7, "state": "failed", **names, "operations": [operation]}

    def answer(self, status: int, tree: object) -> httpx.Response:
        return httpx.Response(status, content=json.dumps(tree), headers={"content-type": "application/json"})


@pytest.fixture(params=["bad \ud800 thing", "\udc80", "nul \0"])
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("refuses", [True, False])
async def test_an_unusual_text_of_a_server_does_not_end_a_batch(path: Path, text: str, *, refuses: bool) -> None:
    http = httpx.AsyncClient(transport=httpx.MockTransport(Speaking(text, refuses=refuses)))
    async with http, OpencastClient("https://oc.example.org", auth=("u", "p"), http=http) as client:
        reported = await run(client, path, Start("e", "fast", key="0"), poll=Poll(interval=0.01, ceiling=0.01))
    found = await item(path)
    stored = text.encode("utf-8", "backslashreplace").decode()
    assert isinstance(reported["0"], Rejected if refuses else Completed)
    assert stored in (found.detail if refuses else found.failed_operation)
    assert found.word == ("refused" if refuses else "failed")
