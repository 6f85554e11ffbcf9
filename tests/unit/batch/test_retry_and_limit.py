"""`run_all(retry_failed=True)` and `run_all(limit=…)`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.batch.conftest import OFTEN, Connect, runs
from tests.unit.batch.test_search import STARTS, run
from workflow_async import OpencastClient
from workflow_async.batch import AlreadyDone, Completed, StatusKind, read_journal
from workflow_async.batch.entries import StartStatus
from workflow_async.batch.ownership import Ownership
from workflow_async.errors import InvalidArgument
from workflow_async.opencast import Start
from workflow_async.opencast.start_backend import INDEX_LAG
from workflow_async.preservica import PreservicaClient
from workflow_async.sandbox import Fault, Faults, ManualClock, Step, StepResult
from workflow_async.sandbox.systems import FakeOpencast


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "b.sqlite"


def broken(fake: FakeOpencast, *, repaired: bool = False) -> None:
    fake.define("breaks", [Step("encode", 5.0, StepResult.DONE if repaired else StepResult.FAILED)])


async def test_failed_workflows_are_started_again_if_the_caller_says_so(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    broken(fake)
    starts = [Start(fake.event(), name, key=name) for name in ("breaks", "quick")]
    first = await run(oc, starts, journal=path)
    kept = await run(oc, starts, journal=path)
    broken(fake, repaired=True)
    again = await run(oc, starts, journal=path, retry_failed=True)
    done = await run(oc, starts, journal=path, retry_failed=True)
    assert [each["breaks"].succeeded for each in (first, kept, again, done)] == [False, False, True, True]
    assert [type(each["quick"]) for each in (first, kept, again, done)] == [Completed, *[AlreadyDone] * 3]
    assert again["breaks"].id != first["breaks"].id
    assert (await read_journal(path)).items["breaks"].id == again["breaks"].id
    assert len(runs(fake)) == 3


async def test_a_workflow_that_fails_in_the_same_run_is_not_started_again(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    broken(fake)
    start = Start(fake.event(), "breaks", key="0")
    await run(oc, [start, start], journal=path, retry_failed=True)
    assert len(runs(fake)) == 1


async def test_a_second_start_whose_response_is_lost_does_not_find_the_failed_workflow(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    broken(fake)
    starts = [Start(fake.event(), "breaks", key="0")]
    await run(oc, starts, journal=path)
    fake.faults = Faults(script=[Fault.SERVER_ERROR], methods=STARTS)
    again = await run(oc, starts, journal=path, retry_failed=True)
    assert type(again["0"]).__name__ == "OutcomeUnknown"


@pytest.mark.parametrize(("sandbox", "waits"), [("16", False), ("11", True)], indirect=["sandbox"])
async def test_a_second_start_waits_out_the_lag_only_where_the_server_has_a_list(
    connect: Connect, fake: FakeOpencast, path: Path, time: ManualClock, *, waits: bool
) -> None:
    broken(fake)
    starts = [Start(fake.event(), "breaks", key="0")]
    async with connect() as client:
        await run(client, starts, journal=path)
    ended = time()
    async with connect() as client:  # it does not know the release yet
        await run(client, starts, journal=path, retry_failed=True)
    assert (max(each.created for each in runs(fake)) - ended >= INDEX_LAG) is waits
    assert sum(request.path == "/api/version" for request in fake.requests) == 1


def test_a_workflow_that_has_ended_belongs_to_no_start() -> None:
    ownership = Ownership()
    ownership.load(StartStatus(key="a", kind=StatusKind.ENDED, word="failed", id=1), "m")
    ownership.load(StartStatus(key="a", kind=StatusKind.STARTED, word="started", id=2), "m")
    others = ownership.other_starts("a", "m")
    assert (others.own(1), others.own(2)) == (True, False)


async def test_a_limit_starts_only_so_many_and_plans_the_others(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    starts = [Start(fake.event(), "quick", key=str(n)) for n in range(5)]
    results = [await run(oc, starts, journal=path, limit=2) for _ in range(3)]
    assert [len(each) for each in results] == [2, 4, 5]
    assert [sum(isinstance(result, Completed) for result in each.values()) for each in results] == [2, 2, 1]
    contents = await read_journal(path)
    assert (contents.total, len(runs(fake))) == (5, 5)


async def test_the_starts_beyond_the_limit_are_in_the_journal(
    oc: OpencastClient, fake: FakeOpencast, path: Path
) -> None:
    await run(oc, [Start(fake.event(), "quick", key=str(n)) for n in range(3)], journal=path, limit=1)
    contents = await read_journal(path)
    assert contents.total == 3
    assert [status.word for status in contents.items.values()] == ["succeeded", "planned", "planned"]


async def test_an_iterator_is_not_read_beyond_the_limit(oc: OpencastClient, fake: FakeOpencast, path: Path) -> None:
    read: list[int] = []

    def starts() -> Iterator[Start]:
        for n in range(5):
            read.append(n)
            yield Start(fake.event(), "quick", key=str(n))

    batch = oc.workflows.run_all(starts(), limit=2, journal=path, poll=OFTEN)
    async with batch:
        assert len([result async for result in batch]) == 2
    assert read == [0, 1]
    assert (await read_journal(path)).total is None


@pytest.mark.parametrize("limit", [0, -1, 1.5, "2"])
async def test_a_limit_below_one_is_refused(oc: OpencastClient, pv: PreservicaClient, limit: Any) -> None:
    for client in (oc, pv):
        with pytest.raises(InvalidArgument, match="limit"):
            client.workflows.run_all([], limit=limit)
