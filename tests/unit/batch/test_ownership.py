"""A search never takes the workflow of another start, of the same batch or of another user."""

from collections.abc import Collection
from itertools import pairwise
from typing import Any

import pytest
from attrs import evolve

from tests.support.gateway import BUSY, Gateway, opencast
from tests.unit.batch.conftest import OFTEN, posts, results, runs
from workflow_async import Clock, OpencastClient
from workflow_async.batch import (
    Ambiguous,
    Completed,
    NoStartFound,
    OutcomeUnknown,
    ReconcileResult,
    StartFound,
    Ticket,
)
from workflow_async.batch.reconcile import OtherStarts
from workflow_async.opencast import Start
from workflow_async.preservica import PreservicaClient, Start as ContextStart
from workflow_async.sandbox import Fault, Faults, ManualClock, Step
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

on_11 = pytest.mark.parametrize("sandbox", ["11"], indirect=True)
on_all = pytest.mark.parametrize("sandbox", ["11", "16", "19"], indirect=True)
STARTS = ("POST",)
LOST = Faults(script=[Fault.SERVER_ERROR], methods=STARTS)
"""The start is not carried out, and the client cannot know that."""
CARRIED_OUT = Faults(script=[Fault.ERROR_AFTER], methods=STARTS)


async def results_by_key(client: OpencastClient, starts: Any, **settings: Any) -> dict[str, Any]:
    """Run a batch and return its results by key."""
    return {each.key: each for each in await results(client.workflows.run_all(starts, **{"poll": OFTEN, **settings}))}


async def reconciled(
    client: OpencastClient | PreservicaClient, ticket: Ticket, *, others: Collection[int] = (), contested: bool = False
) -> ReconcileResult[Any]:
    """Search for a start, given the workflows that belong to other starts, and return the result."""
    other_starts = OtherStarts(own=lambda id: id in others, may_own_same=lambda: contested)  # noqa: A006 - an id
    return await client.workflows._starts.reconcile(ticket, wait=0, other_starts=other_starts)


# Baselines that lag


@on_all
async def test_a_lost_start_does_not_get_the_workflow_of_an_earlier_equal_start(
    oc: OpencastClient, fake: FakeOpencast
) -> None:
    """Two equal starts are sent one after the other. The first runs 3 s. The request of the second never arrives."""
    fake.define("three", [Step("one", 1.0)])
    event = fake.event()
    fake.faults = Faults(script=[None, Fault.SERVER_ERROR], methods=STARTS)
    starts = [Start(event, "three", key=key) for key in "ab"]
    reported = await results_by_key(oc, starts, max_running=1)
    assert isinstance(reported["a"], Completed)
    assert reported["a"].succeeded
    assert isinstance(reported["b"], OutcomeUnknown)
    assert (posts(fake), len(runs(fake))) == (2, 1)


@on_all
@pytest.mark.parametrize("ago", [0.0, 1.0, 5.0, 9.0])
async def test_a_lost_start_does_not_get_a_workflow_that_another_user_started_just_before(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock, ago: float
) -> None:
    event = fake.event()
    fake.start(event, "quick")
    time.advance(ago)
    fake.faults = LOST
    reported = await results_by_key(oc, [Start(event, "quick", key="0")])
    assert isinstance(reported["0"], OutcomeUnknown)
    assert len(runs(fake)) == 1


@on_11
async def test_a_baseline_of_the_list_lags_unless_the_event_never_had_a_workflow(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    fresh, fleeting, old = fake.event(), fake.event(), fake.event()
    before = fake.start(old, "quick")
    time.advance(60)
    await oc.workflows.list().first()
    time.advance(5)
    fake.start(fleeting, "quick")
    renewed = [
        await oc.workflows._starts.refreshed(oc.workflows.prepare_start(e, "quick")) for e in (fresh, fleeting, old)
    ]
    assert [(ticket.baseline, ticket.baseline_lag) for ticket in renewed] == [(0, 0.0), (0, 12.0), (before, 12.0)]


async def test_the_baseline_of_a_database_does_not_lag(oc: OpencastClient, fake: FakeOpencast) -> None:
    event = fake.event()
    id = fake.start(event, "quick")
    ticket = await oc.workflows._starts.refreshed(oc.workflows.prepare_start(event, "quick"))
    assert (ticket.baseline, ticket.baseline_lag) == (id, 0.0)


@on_11
async def test_above_a_baseline_that_lags_only_age_excludes_a_workflow(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    event = fake.event()
    ticket = evolve(oc.workflows.prepare_start(event, "quick", baseline=0), baseline_lag=12.0)
    fake.start(event, "quick")
    time.advance(12)
    for advance in (0, 60, 600):  # a late begin proves nothing, because the workflow may have waited
        time.advance(advance)
        assert isinstance(await reconciled(oc, ticket), Ambiguous)
    much_later = evolve(oc.workflows.prepare_start(event, "quick", baseline=0), baseline_lag=12.0)
    assert isinstance(await reconciled(oc, much_later), NoStartFound)
    assert isinstance(await reconciled(oc, evolve(ticket, baseline=runs(fake)[0].id)), NoStartFound)


@on_11
async def test_without_a_baseline_a_workflow_that_began_soon_after_may_have_been_created_before(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    event = fake.event()
    fake.start(event, "quick")
    ticket = oc.workflows.prepare_start(event, "quick")  # the workflow before begins 2 s from now
    time.advance(12)
    result = await reconciled(oc, ticket)
    assert isinstance(result, Ambiguous)
    assert len(result.candidates) == 1


# Other starts of the batch


@on_all
async def test_a_workflow_of_another_start_is_not_a_candidate(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    event = fake.event()
    other_id = fake.start(event, "quick")
    time.advance(12)
    ticket = oc.workflows.prepare_start(event, "quick", baseline=0)
    assert isinstance(await reconciled(oc, ticket, others=[other_id]), NoStartFound)
    own_id = fake.start(event, "quick")
    time.advance(12)
    found = await reconciled(oc, ticket, others=[other_id])
    assert isinstance(found, StartFound)
    assert found.workflow.id == own_id


@on_all
async def test_a_workflow_that_two_starts_may_own_is_ambiguous(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    event = fake.event()
    id = fake.start(event, "quick")
    time.advance(12)
    result = await reconciled(oc, oc.workflows.prepare_start(event, "quick", baseline=0), contested=True)
    assert isinstance(result, Ambiguous)
    assert [workflow.id for workflow in result.candidates] == [id]
    assert result.why == "it may belong to another start of the batch whose outcome is unknown"


async def test_two_equal_lost_starts_do_not_get_the_workflow_of_the_other(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    """The first start is carried out late, while the second start, which is lost too, is searched for."""
    event = fake.event()
    gateway = Gateway(fake, lambda request: BUSY if request.method == "POST" else None)
    async with opencast(gateway, clock) as oc:
        starts = [Start(event, "quick", key=key) for key in "ab"]
        async with oc.workflows.run_all(starts, max_running=1, poll=OFTEN, settle=10.0) as outcomes:
            first = await anext(outcomes)
            while len(gateway.posts) < 2:
                await oc.version()
            fake.start(event, "quick")
            second = await anext(outcomes)
    assert isinstance(first, OutcomeUnknown)
    assert isinstance(second, OutcomeUnknown)
    assert isinstance(second.search_result, Ambiguous)


async def test_a_search_knows_the_starts_of_an_earlier_run(fake: FakeOpencast, clock: Clock, tmp_path: Any) -> None:
    event, path = fake.event(), tmp_path / "batch.sqlite"
    gateway = Gateway(fake, lambda request: BUSY if request.method == "POST" else None)
    async with opencast(gateway, clock) as oc:
        (lost,) = await results(
            oc.workflows.run_all([Start(event, "quick", key="a")], journal=path, poll=OFTEN, settle=4.0)
        )
        run = oc.workflows.run_all([Start(event, "quick", key="b")], journal=path, poll=OFTEN, settle=4.0)
        async with run as outcomes:
            reported = [await anext(outcomes)]
            while len(gateway.posts) < 2:
                await oc.version()
            fake.start(event, "quick")
            reported.append(await anext(outcomes))
    assert isinstance(lost, OutcomeUnknown)
    assert [(each.key, type(each)) for each in reported] == [("a", OutcomeUnknown), ("b", OutcomeUnknown)]


async def test_starts_of_other_events_and_definitions_do_not_make_a_search_ambiguous(
    oc: OpencastClient, fake: FakeOpencast
) -> None:
    fake.define("other", [Step("one", 1.0)])
    event = fake.event()
    fake.faults = Faults(script=[Fault.SERVER_ERROR, Fault.SERVER_ERROR, Fault.ERROR_AFTER], methods=STARTS)
    starts = [Start(event, "other", key="a"), Start(fake.event(), "quick", key="b"), Start(event, "quick", key="c")]
    reported = await results_by_key(oc, starts, max_running=1, settle=4.0)
    assert [type(reported[key]) for key in "abc"] == [OutcomeUnknown, OutcomeUnknown, Completed]
    assert reported["c"].succeeded


async def test_starts_with_equal_correlation_ids_are_distinguished_by_known_workflow_ids(
    pv: PreservicaClient, archive: FakePreservica
) -> None:
    ticket = pv.workflows.prepare_start(42, correlation_id="same")
    other_id = (await pv.workflows.start(ticket)).id
    assert other_id is not None
    assert isinstance(await reconciled(pv, ticket), StartFound)
    assert isinstance(await reconciled(pv, ticket, others=[other_id]), NoStartFound)
    assert isinstance(await reconciled(pv, ticket, contested=True), Ambiguous)
    own_id = (await pv.workflows.start(ticket)).id
    found = await reconciled(pv, ticket, others=[other_id])
    assert isinstance(found, StartFound)
    assert found.workflow.id == own_id


async def test_a_lost_start_does_not_get_the_workflow_of_a_start_with_the_same_correlation_id(
    pv: PreservicaClient, archive: FakePreservica
) -> None:
    await pv.contexts.list().first()
    archive.faults = Faults(script=[None, Fault.SERVER_ERROR], methods=STARTS, paths=("/sdb/",))
    tickets = [pv.workflows.prepare_start(42, correlation_id="same", key=key) for key in "ab"]
    reported = {
        each.key: each for each in await results(pv.workflows.run_all(tickets, max_running=1, poll=OFTEN, settle=4.0))
    }
    assert isinstance(reported["a"], Completed)
    assert isinstance(reported["b"], OutcomeUnknown)
    assert isinstance(reported["b"].search_result, NoStartFound)


async def test_starts_of_one_context_do_not_wait_for_each_other(pv: PreservicaClient, archive: FakePreservica) -> None:
    context = archive.context("Slow", "com.example.slow", "Ingest", [Step("one", 60.0)])
    starts = [ContextStart(context, {"n": n}) for n in range(4)]
    reported = await results(pv.workflows.run_all(starts, max_running=4, poll=OFTEN))
    assert [each.succeeded for each in reported] == [True] * 4
    assert max(run.created for run in runs(archive)) - min(run.created for run in runs(archive)) < 30


# The lag of the server's check


@on_11
@pytest.mark.parametrize(("seconds", "second"), [(0.5, "Completed"), (60.0, "Conflicted")])
async def test_two_starts_on_one_event_are_12_s_apart_if_the_servers_check_lags(
    oc: OpencastClient, fake: FakeOpencast, seconds: float, second: str
) -> None:
    event = fake.event()
    fake.define("one", [Step("one", seconds)])
    reported = await results_by_key(oc, [Start(event, "one", key=key) for key in "ab"], max_running=2)
    assert sorted(type(each).__name__ for each in reported.values()) == sorted(["Completed", second])
    sent = [exchange.status for exchange in fake.requests if exchange.method == "POST"]
    assert sent == [201, 201 if second == "Completed" else 409]
    assert all(after.created - before.created >= 12 for before, after in pairwise(runs(fake)))


@on_11
async def test_a_start_of_an_earlier_run_delays_the_next_start_on_its_event(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock, tmp_path: Any
) -> None:
    event, path = fake.event(), tmp_path / "batch.sqlite"
    fake.define("one", [Step("one", 0.5)])
    async with oc.workflows.run_all([Start(event, "one", key="a")], journal=path, poll=OFTEN) as outcomes:
        while "a" not in outcomes.items or outcomes.items["a"].id is None:
            await oc.version()
    reported = await results_by_key(oc, [Start(event, "one", key="b")], journal=path)
    assert [reported[key].succeeded for key in "ab"] == [True, True]
    assert runs(fake)[1].created - runs(fake)[0].created >= 12


async def test_two_starts_on_one_event_are_not_delayed_if_the_servers_check_does_not_lag(
    fake: FakeOpencast, clock: Clock, time: ManualClock
) -> None:
    event, gateway = fake.event(), Gateway(fake)
    async with opencast(gateway, clock) as oc:
        reported = await results_by_key(oc, [Start(event, "quick", key=key) for key in "ab"], max_running=2)
    assert sorted(type(each).__name__ for each in reported.values()) == ["Completed", "Conflicted"]
    assert gateway.posts == [201, 409]


async def test_a_start_waits_for_the_outcome_of_the_start_before_it_on_the_event(
    fake: FakeOpencast, clock: Clock
) -> None:
    event, gateway = fake.event(), Gateway(fake)
    order: list[str] = []

    def treat(request: Any) -> Any:
        if request.method == "POST":
            order.append("start")
            return BUSY if len(gateway.posts) == 0 else None
        if request.url.path.endswith("instances.json") and order:
            order.append("search")
        return None

    gateway.treat = treat
    async with opencast(gateway, clock) as oc:
        reported = await results_by_key(oc, [Start(event, "quick", key=key) for key in "ab"], max_running=2, settle=6.0)
    assert isinstance(reported["a"], OutcomeUnknown)
    assert reported["b"].succeeded
    assert order[:6] == [
        "start",
        *["search"] * 4,
        "search",
    ]  # four checks to find the first start, and one check before the second
    assert order[6] == "start"
