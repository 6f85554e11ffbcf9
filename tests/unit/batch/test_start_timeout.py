"""How long a start may take: the whole of the call's deadline, or a timeout of its own."""

from typing import Any

import pytest

from tests.unit.batch.conftest import Connect, as_manager, posts, results, runs
from workflow_async import Clock, OpencastClient, Timeouts
from workflow_async.errors import DeadlineExceeded, InvalidArgument, StartOutcomeUnknown
from workflow_async.opencast import Start
from workflow_async.preservica import PreservicaClient
from workflow_async.sandbox import Faults
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

SLOW = Faults(latency=(0.25, 0.25), methods=("POST",))
SLOW_ON_PRESERVICA = Faults(latency=(0.25, 0.25), methods=("POST",), paths=("/sdb/",))
STALLED = Faults(latency=(60.0, 60.0), methods=("POST",))
HASTY = Timeouts(exchange=0.2)


async def test_a_start_that_takes_longer_than_an_exchange_is_not_cut_off(connect: Connect, fake: FakeOpencast) -> None:
    fake.faults = SLOW
    async with connect(timeouts=HASTY) as oc:
        started = await oc.workflows.start(fake.event(), "quick")
    assert [run.id for run in runs(fake)] == [started.id]


async def test_a_start_on_a_preservica_is_not_cut_off_either(archive: FakePreservica, clock: Clock) -> None:
    async with as_manager(archive, archive.url, clock, timeouts=HASTY) as pv:
        await pv.contexts.list().first()
        archive.faults = SLOW_ON_PRESERVICA
        started = await pv.workflows.start(42)
    assert archive.starts == [started.correlation_id]


async def test_a_batch_of_slow_starts_has_no_unknown_ones(connect: Connect, fake: FakeOpencast) -> None:
    fake.faults = SLOW
    starts = [Start(fake.event(), "quick", key=str(n)) for n in range(10)]
    async with connect(auth=("integration", "integration"), timeouts=HASTY) as oc:
        reported = await results(oc.workflows.run_all(starts, max_running=10))
    assert [each.succeeded for each in reported] == [True] * 10
    assert posts(fake) == 10


async def test_a_start_may_be_given_less_time_than_other_calls(oc: OpencastClient, fake: FakeOpencast) -> None:
    fake.faults = STALLED
    with pytest.raises(StartOutcomeUnknown) as caught:
        await oc.workflows.start(fake.event(), "quick", timeout=0.5)
    assert isinstance(caught.value.cause, DeadlineExceeded)
    assert "within 0.5 s" in str(caught.value)


async def test_a_ticket_may_be_given_more_time_than_other_calls(connect: Connect, fake: FakeOpencast) -> None:
    fake.faults = SLOW
    async with connect(timeouts=Timeouts(call=0.2, exchange=0.2)) as oc:
        ticket = oc.workflows.prepare_start(fake.event(), "quick")
        started = await oc.workflows.start(ticket, timeout=30.0)
    assert [run.id for run in runs(fake)] == [started.id]


async def test_a_start_on_a_preservica_may_be_given_less_time(archive: FakePreservica, pv: PreservicaClient) -> None:
    await pv.contexts.list().first()
    archive.faults = STALLED
    with pytest.raises(StartOutcomeUnknown, match="within 0.5 s"):
        await pv.workflows.start(42, timeout=0.5)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), True, "30"])
async def test_a_timeout_that_is_no_time_is_refused_before_anything_is_sent(
    oc: OpencastClient, pv: PreservicaClient, fake: FakeOpencast, archive: FakePreservica, timeout: Any
) -> None:
    with pytest.raises(InvalidArgument, match="^timeout: must be a number of seconds above 0"):
        await oc.workflows.start("e", "quick", timeout=timeout)
    with pytest.raises(InvalidArgument, match="^timeout: must be a number of seconds above 0"):
        await pv.workflows.start(42, timeout=timeout)
    assert fake.requests == archive.requests == []
