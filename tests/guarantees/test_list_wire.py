"""T-LIST over real sockets: connections that break, and lists that change between pages."""

import asyncio
import itertools

import anyio
import anyio.lowlevel
import pytest

from tests.conftest import See
from tests.support.byte_server import SuspensionTrigger
from workflow_async import Clock, Limits, OpencastClient, PreservicaClient, Retry
from workflow_async._listing.scan import Consistency
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox

figure = pytest.mark.figure("T-LIST")
in_each_mode = pytest.mark.parametrize(
    ("consistency", "count"), [("fast", 2000), ("anchored", 10_000), ("partitioned", 1000)]
)
exact_modes = pytest.mark.parametrize("consistency", ["anchored", "partitioned"])

MANY_RETRIES = Retry(attempts=10)
BREAKING = Faults(
    seed=3,
    rates={Fault.CUT_BODY: 0.05, Fault.CUT_BEFORE: 0.05},
    paths=("/api/workflows", "/sdb/rest/workflow/instances"),
    methods=("GET",),
)


def advancing_clock(time: ManualClock) -> Clock:
    """Return a client's clock. Sleeping advances the sandbox's time."""

    async def sleep(seconds: float) -> None:
        time.advance(seconds)
        await anyio.lowlevel.checkpoint()

    return Clock(now=time, sleep=sleep, jitter=lambda: 0.5)


@figure
@in_each_mode
async def test_all_workflows_of_opencast_arrive_over_connections_that_break(
    consistency: Consistency, count: int, see: See
) -> None:
    time = ManualClock()
    async with Sandbox("11", time) as sandbox:
        ids = sandbox.opencast.seed(count, age=86_400.0)
        sandbox.opencast.faults = BREAKING
        async with OpencastClient(
            sandbox.opencast.url, auth=sandbox.opencast.auth, clock=advancing_clock(time), retry=MANY_RETRIES
        ) as oc:
            listing = oc.workflows.list(consistency=consistency, page_size=200)
            found = [workflow.id async for workflow in listing]
        cut = sum(exchange.fault is not None for exchange in sandbox.opencast.requests)
    assert sorted(found) == ids
    assert cut > 0
    see(f"{count:,} over sockets that break, {consistency}: all received in {listing.report.requests} requests")


@figure
@in_each_mode
async def test_all_workflows_of_preservica_arrive_over_connections_that_break(
    consistency: Consistency, count: int, see: See
) -> None:
    time = ManualClock()
    async with Sandbox("11", time) as sandbox:
        archive = sandbox.preservica
        ids = archive.seed(count, age=86_400.0)
        archive.faults = BREAKING
        async with PreservicaClient(
            archive.url,
            username=archive.username,
            password=archive.password,
            clock=advancing_clock(time),
            retry=MANY_RETRIES,
        ) as pv:
            listing = pv.workflows.list(consistency=consistency)
            found = [workflow.id async for workflow in listing]
    assert sorted(found) == ids
    see(f"{count:,} over sockets that break, {consistency}: all received in {listing.report.requests} requests")


@figure
@exact_modes
@pytest.mark.parametrize("ahead", [1, 8])
async def test_a_list_that_changes_between_pages_loses_no_row_that_stays(
    consistency: Consistency, ahead: int, see: See
) -> None:
    time = ManualClock()
    async with Sandbox("11", time) as sandbox:
        ids = sandbox.opencast.seed(600, age=3600.0)
        time.advance(10)
        async with OpencastClient(sandbox.opencast.url, auth=sandbox.opencast.auth, clock=advancing_clock(time)) as oc:
            found: list[int] = []
            deleted: set[int] = set()
            async for page in oc.workflows.list(consistency=consistency, page_size=20, ahead=ahead).pages():
                found += [workflow.id for workflow in page.items]
                ended = [workflow for workflow in page.items if workflow.phase.final]
                for workflow in ended[:6]:
                    await oc.workflows.delete(workflow.id)
                    deleted.add(workflow.id)
                await oc.workflows.start(sandbox.opencast.event(), "noop")
                time.advance(11)
    assert len(deleted) > 30
    assert not set(ids) - deleted - set(found)
    assert len(found) == len(set(found))
    see(f"{len(deleted)} rows deleted and others changed between pages, {consistency}: 0 lost, 0 twice")


@pytest.mark.parametrize("style", ["native", "scope"])
async def test_a_listing_cancelled_with_pages_in_flight_frees_every_connection(style: str) -> None:
    async with Sandbox("11", ManualClock()) as sandbox:
        archive = sandbox.preservica
        archive.seed(60)
        async with PreservicaClient(
            archive.url, username=archive.username, password=archive.password, limits=Limits(connections=2)
        ) as pv:

            async def read() -> int:
                return len([workflow async for workflow in pv.workflows.list(page_size=10)])

            async def cut(k: int) -> SuspensionTrigger:
                task, scope = asyncio.current_task(), anyio.CancelScope()
                assert task is not None
                step = SuspensionTrigger(k, task.cancel if style == "native" else scope.cancel)
                with scope:
                    await step.run(read())
                return step

            before = len(asyncio.all_tasks())
            for k in itertools.count(1):
                (outcome,) = await asyncio.gather(cut(k), return_exceptions=True)
                assert await read() == 60
                assert len(asyncio.all_tasks()) == before
                if isinstance(outcome, SuspensionTrigger) and outcome.count < k:
                    break
            assert k > 3
