"""Batches: the limit, the results, and the independence of the starts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.unit.batch.conftest import OFTEN, Connect, most_at_once, posts, results, runs
from workflow_async import Limits, OpencastClient, Phase, Poll, Retry, Timeouts
from workflow_async.batch import (
    Ambiguous,
    Completed,
    Conflicted,
    NoStartFound,
    NotStarted,
    OutcomeUnknown,
    Rejected,
    Run,
    Skipped,
    StatusKind,
    Ticket,
)
from workflow_async.errors import (
    ConnectFailed,
    Forbidden,
    InvalidArgument,
    RateLimited,
    StartConflict,
    StartOutcomeUnknown,
)
from workflow_async.monitor import Finished, Parked, PollingFailed, Replaced, Vanished
from workflow_async.opencast import Start, Workflow
from workflow_async.preservica import PreservicaClient, Start as ContextStart
from workflow_async.sandbox import Boot, Fault, Faults, ManualClock, Sandbox, Step, StepResult
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

on_11 = pytest.mark.parametrize("sandbox", ["11"], indirect=True)
on_all = pytest.mark.parametrize("sandbox", ["11", "16", "19"], indirect=True)

STARTS = ("POST",)


def on_events(fake: FakeOpencast, *definitions: str) -> list[Start]:
    """Return one start of each definition, each on a new event. The keys are the positions."""
    return [Start(fake.event(), definition, key=str(n)) for n, definition in enumerate(definitions)]


async def run_all(client: OpencastClient, starts: Any, **settings: Any) -> dict[str, Any]:
    """Run a batch and return its results by key."""
    return {each.key: each for each in await results(client.workflows.run_all(starts, **{"poll": OFTEN, **settings}))}


# The limit


@on_all
async def test_no_more_than_max_running_workflows_run_on_an_opencast(oc: OpencastClient, fake: FakeOpencast) -> None:
    reported = await run_all(oc, on_events(fake, *["quick"] * 12), max_running=3)
    assert len(reported) == 12
    assert all(isinstance(each, Completed) and each.succeeded for each in reported.values())
    assert (most_at_once(fake), posts(fake)) == (3, 12)


async def test_no_more_than_max_running_workflows_run_on_a_preservica(
    pv: PreservicaClient, archive: FakePreservica
) -> None:
    context = archive.context("Quick", "com.example.quick", "Ingest", [Step("one", 5.0)])
    starts = [ContextStart(context, {"n": n}) for n in range(9)]
    reported = await results(pv.workflows.run_all(starts, max_running=4, poll=OFTEN))
    assert [each.succeeded for each in reported] == [True] * 9
    assert (most_at_once(archive), len(archive.starts)) == (4, 9)


async def test_results_are_yielded_as_soon_as_they_are_known(oc: OpencastClient, fake: FakeOpencast) -> None:
    fake.define("slow", [Step("one", 60.0)])
    run = oc.workflows.run_all(on_events(fake, "slow", "quick", "quick"), max_running=2, poll=OFTEN)
    assert [each.key for each in await results(run)] == ["1", "2", "0"]


async def test_an_iterator_of_starts_is_read_as_slots_become_free(oc: OpencastClient, fake: FakeOpencast) -> None:
    taken = []

    def endless() -> Iterator[Start]:
        while True:
            taken.append(fake.event())
            yield Start(taken[-1], "quick")

    async with oc.workflows.run_all(endless(), max_running=2, poll=OFTEN) as outcomes:
        seen = [await anext(outcomes) for _ in range(3)]
    assert all(each.succeeded for each in seen)
    assert len(taken) <= 3 + 2 + 1


async def test_after_the_limit_no_start_is_sent_until_the_low_watermark_is_reached(
    oc: OpencastClient, fake: FakeOpencast
) -> None:
    fake.define("slow", [Step("one", 9.0)])
    definitions = ["quick", "slow"] * 4
    await run_all(oc, on_events(fake, *definitions), max_running=4, low=0)
    load, rest = runs(fake)[:4], runs(fake)[4:]
    ended = max(run.finished or 0.0 for run in load)
    assert all(run.created >= ended for run in rest)
    assert most_at_once(fake) == 4


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"max_running": 0}, "max_running"),
        ({"max_running": True}, "max_running"),
        ({"low": 4}, "low"),
        ({"low": -1}, "low"),
        ({"on_conflict": "hope"}, "on_conflict"),
        ({"parked": "hope"}, "parked"),
    ],
)
async def test_settings_that_make_no_sense_are_refused_immediately(
    oc: OpencastClient, settings: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(InvalidArgument, match=f"^{wrong}: must"):
        oc.workflows.run_all([], **settings)


async def test_an_empty_batch_has_no_results(oc: OpencastClient) -> None:
    assert await run_all(oc, []) == {}


@on_all
async def test_workflows_of_other_users_count_with_count_others(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    fake.define("slow", [Step("one", 30.0)])
    for _ in range(2):
        fake.start(fake.event(), "slow")
    time.advance(10)  # the list of Opencast <= 11 lags
    await run_all(oc, on_events(fake, *["quick"] * 4), max_running=3, count_others=True)
    assert most_at_once(fake) == 3


async def test_workflows_of_other_users_count_on_a_preservica(pv: PreservicaClient, archive: FakePreservica) -> None:
    context = archive.context("Slow", "com.example.slow", "Ingest", [Step("one", 30.0)])
    for _ in range(2):
        await pv.workflows.start(context)
    starts = [ContextStart(context, {"n": n}) for n in range(4)]
    await results(pv.workflows.run_all(starts, max_running=3, count_others=True, poll=OFTEN))
    assert most_at_once(archive) == 3


async def test_nothing_is_started_while_the_count_fails(oc: OpencastClient, fake: FakeOpencast) -> None:
    fake.faults = Faults(script=[Fault.SERVER_ERROR] * 8, methods=("GET",))
    reported = await run_all(oc, on_events(fake, "quick"), count_others=True)
    assert reported["0"].succeeded
    before = [exchange.method for exchange in fake.requests].index("POST")
    assert [exchange.status for exchange in fake.requests[:before]].count(503) == 8


async def test_a_batch_that_may_not_count_others_raises_forbidden(connect: Connect, fake: FakeOpencast) -> None:
    async with connect(auth=("viewer", "viewer")) as client:
        with pytest.raises(Forbidden):
            await run_all(client, on_events(fake, "quick"), count_others=True)
    assert posts(fake) == 0


# Results


async def test_an_invalid_start_does_not_affect_the_other_starts(oc: OpencastClient, fake: FakeOpencast) -> None:
    bad: Any = [Start("", "quick"), Start("no such event", "quick"), Start(fake.event(), "fails"), "no start at all"]
    reported = await results(oc.workflows.run_all([*bad, *on_events(fake, "quick")], poll=OFTEN))
    rejected = [each.error for each in reported if isinstance(each, Rejected)]
    assert sorted(type(error).__name__ for error in rejected) == ["InvalidArgument", "InvalidArgument", "StartNotFound"]
    assert {each.key for each in reported} >= {"#1", "#4", "0"}
    ran = {each.key: each for each in reported if isinstance(each, Completed)}
    assert sorted(each.succeeded for each in ran.values()) == [False, True]


async def test_a_result_has_the_workflow_its_id_and_how_it_ended(oc: OpencastClient, fake: FakeOpencast) -> None:
    reported = await run_all(oc, on_events(fake, "quick", "fails"))
    good, bad = reported["0"], reported["1"]
    assert isinstance(good, Completed)
    assert isinstance(good.outcome, Finished)
    assert good.workflow is not None
    assert good.workflow.id == good.id == runs(fake)[0].id
    assert (bad.succeeded, bad.workflow.phase) == (False, Phase.FAILED)


async def test_tickets_are_starts_too(oc: OpencastClient, fake: FakeOpencast) -> None:
    ticket = oc.workflows.prepare_start(fake.event(), "quick", key="mine")
    reported = await run_all(oc, [ticket])
    assert reported["mine"].succeeded
    assert reported["mine"].ticket.correlation_id == ticket.correlation_id


async def test_a_ticket_of_another_server_is_refused(oc: OpencastClient, pv: PreservicaClient) -> None:
    ticket = pv.workflows.prepare_start(42, key="theirs")
    rejected = (await run_all(oc, [ticket]))["theirs"]
    assert isinstance(rejected, Rejected)
    assert isinstance(rejected.error, InvalidArgument)


async def test_the_same_start_twice_is_started_once(oc: OpencastClient, fake: FakeOpencast) -> None:
    start = Start(fake.event(), "quick")
    first, second = sorted(
        await results(oc.workflows.run_all([start, start], poll=OFTEN)), key=lambda each: each.succeeded
    )
    assert isinstance(first, Skipped)
    assert first.why == "the same key came before"
    assert second.succeeded
    assert posts(fake) == 1


async def test_a_parked_workflow_can_be_left_and_frees_its_slot(oc: OpencastClient, fake: FakeOpencast) -> None:
    fake.define("asks", [Step("one", 1.0, StepResult.HELD)])
    reported = await run_all(oc, on_events(fake, "asks", "quick"), max_running=1, parked="return")
    assert isinstance(reported["0"].outcome, Parked)
    assert reported["1"].succeeded


async def test_a_workflow_that_vanishes_is_reported_and_frees_its_slot(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    fake.define("slow", [Step("one", 3600.0)])
    async with oc.workflows.run_all(on_events(fake, "slow", "quick"), max_running=1, poll=OFTEN) as outcomes:
        while not runs(fake):
            await anyio.lowlevel.checkpoint()
            time.advance(0.1)
        fake.engine.remove(runs(fake)[0])
        reported = {each.key: each async for each in outcomes}
    assert isinstance(reported["0"], Completed)
    assert isinstance(reported["0"].outcome, Vanished)
    assert reported["1"].succeeded


async def test_a_workflow_that_cannot_be_observed_is_reported(connect: Connect, fake: FakeOpencast) -> None:
    fake.faults = Faults(rates={Fault.SERVER_ERROR: 1.0}, methods=("GET",), paths=("/api/workflows/",))
    async with connect() as client:
        reported = await run_all(client, on_events(fake, "quick"), poll=Poll(interval=1.0, ceiling=2.0, outage=10.0))
    assert isinstance(reported["0"].outcome, PollingFailed)


# Starts that fail


async def test_a_start_that_did_not_happen_is_sent_again_during_an_outage(
    oc: OpencastClient, fake: FakeOpencast
) -> None:
    fake.faults = Faults(script=[Fault.RATE_LIMITED] * 3, retry_after=3, methods=STARTS)
    reported = await run_all(oc, on_events(fake, "quick"))
    assert reported["0"].succeeded
    assert (posts(fake), len(runs(fake))) == (4, 1)


async def test_a_start_that_is_refused_for_the_whole_outage_is_reported(oc: OpencastClient, fake: FakeOpencast) -> None:
    fake.faults = Faults(rates={Fault.RATE_LIMITED: 1.0}, retry_after=7, methods=STARTS)
    rejected = (await run_all(oc, on_events(fake, "quick")))["0"]
    assert isinstance(rejected, Rejected)
    assert isinstance(rejected.error, RateLimited)
    assert posts(fake) == 6  # at 0, 7, 14, 21, 28 and 35 s


async def test_a_start_on_an_unreachable_server_is_reported_as_not_started(
    connect: Connect, fake: FakeOpencast
) -> None:
    async with OpencastClient("http://127.0.0.1:1", auth=fake.auth, retry=Retry(attempts=1)) as client:
        poll = Poll(interval=0.01, ceiling=0.02, outage=0.0)
        reported = await run_all(client, [Start("e", "quick", key="0")], poll=poll)
    assert isinstance(reported["0"], NotStarted)
    assert isinstance(reported["0"].error, ConnectFailed)


@on_all
@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.CUT_BEFORE, Fault.CUT_BODY])
async def test_a_start_whose_response_was_lost_is_found_and_watched(
    oc: OpencastClient, fake: FakeOpencast, fault: Fault
) -> None:
    fake.faults = Faults(script=[fault], methods=STARTS)
    reported = await run_all(oc, on_events(fake, "quick", "quick"))
    assert [reported["0"].succeeded, reported["1"].succeeded] == [True, True]
    assert (posts(fake), len(runs(fake))) == (2, 2)


async def test_a_start_whose_outcome_stays_unknown_is_reported_and_not_repeated(
    oc: OpencastClient, fake: FakeOpencast
) -> None:
    fake.faults = Faults(script=[Fault.SERVER_ERROR], methods=STARTS)
    reported = await run_all(oc, on_events(fake, "quick", "quick"), max_running=1)
    unknown = reported["0"]
    assert isinstance(unknown, OutcomeUnknown)
    assert isinstance(unknown.search_result, NoStartFound)
    assert isinstance(unknown.error, StartOutcomeUnknown)
    assert unknown.why.startswith("16 checks in 30 s did not find it (the start may have happened")
    assert unknown.ticket.baseline == 0
    assert reported["1"].succeeded
    assert (posts(fake), len(runs(fake))) == (2, 1)


async def test_a_user_who_may_not_read_an_events_workflows_gets_an_unknown_outcome(
    connect: Connect, fake: FakeOpencast
) -> None:
    fake.faults = Faults(script=[Fault.ERROR_AFTER], methods=STARTS)
    async with connect(auth=("integration", "integration")) as client:
        reported = await run_all(client, on_events(fake, "quick", "quick"), max_running=1, settle=4.0)
    assert isinstance(reported["0"], OutcomeUnknown)
    assert isinstance(reported["0"].search_result, Ambiguous)
    assert "may not read the workflows" in reported["0"].why
    assert reported["1"].succeeded
    baselines = [exchange for exchange in fake.requests if exchange.path.startswith("/workflow/mediaPackage")]
    assert baselines[0].status == 403
    assert reported["1"].ticket.baseline is None


async def test_a_start_whose_search_fails_is_reported_as_unknown(oc: OpencastClient, fake: FakeOpencast) -> None:
    fake.faults = Faults(script=[None, None, Fault.ERROR_AFTER], rates={Fault.SERVER_ERROR: 1.0})
    reported = await run_all(oc, on_events(fake, "quick"), settle=4.0)
    assert isinstance(reported["0"], OutcomeUnknown)
    assert reported["0"].search_result is None
    assert reported["0"].why.startswith("the search for it failed (GET")


# Conflicts


@pytest.fixture
def busy(fake: FakeOpencast) -> str:
    """Return an event whose workflow runs for 20 s."""
    fake.define("slow", [Step("one", 20.0)])
    event = fake.event()
    fake.start(event, "slow")
    fake.state.commit()
    return event


async def test_a_conflict_is_reported_with_its_error(oc: OpencastClient, fake: FakeOpencast, busy: str) -> None:
    reported = await run_all(oc, [Start(busy, "quick", key="busy"), *on_events(fake, "quick")])
    assert isinstance(reported["busy"], Conflicted)
    assert isinstance(reported["busy"].error, StartConflict)
    assert reported["0"].succeeded


async def test_a_busy_event_can_be_skipped(oc: OpencastClient, busy: str) -> None:
    reported = await run_all(oc, [Start(busy, "quick", key="busy")], on_conflict="skip")
    assert reported == {
        "busy": Skipped(key="busy", ticket=reported["busy"].ticket, why="another workflow is active on the event")
    }


@on_all
async def test_on_conflict_attach_watches_the_running_workflow(
    oc: OpencastClient, fake: FakeOpencast, sandbox: Sandbox, busy: str, time: ManualClock
) -> None:
    time.advance(12)
    reported = await run_all(oc, [Start(busy, "slow", key="busy")], on_conflict="attach")
    assert reported["busy"].succeeded
    assert reported["busy"].id == runs(fake)[0].id
    assert len(runs(fake)) == 1


async def test_on_conflict_attach_ignores_a_workflow_of_another_definition(oc: OpencastClient, busy: str) -> None:
    reported = await run_all(oc, [Start(busy, "quick", key="busy")], on_conflict="attach")
    assert isinstance(reported["busy"], Conflicted)


async def test_a_user_who_may_not_read_the_other_workflow_cannot_attach_to_it(connect: Connect, busy: str) -> None:
    async with connect(auth=("integration", "integration")) as client:
        reported = await run_all(client, [Start(busy, "slow", key="busy")], on_conflict="attach")
    assert isinstance(reported["busy"], Conflicted)


@on_all
async def test_a_wait_for_a_busy_event_takes_no_slot(oc: OpencastClient, fake: FakeOpencast, busy: str) -> None:
    starts = [Start(busy, "quick", key="busy"), *on_events(fake, "quick", "quick")]
    run = oc.workflows.run_all(starts, max_running=1, on_conflict="wait", poll=OFTEN)
    reported = await results(run)
    assert [each.key for each in reported] == ["0", "1", "busy"]
    assert all(each.succeeded for each in reported)
    assert len(runs(fake)) == 4


async def test_a_user_who_may_not_read_the_other_workflow_can_wait_for_its_end(connect: Connect, busy: str) -> None:
    async with connect(auth=("integration", "integration")) as client:
        reported = await run_all(client, [Start(busy, "quick", key="busy")], on_conflict="wait")
    assert reported["busy"].succeeded


async def test_two_starts_on_one_event_follow_each_other(oc: OpencastClient, fake: FakeOpencast) -> None:
    event = fake.event()
    starts = [Start(event, "quick", {"n": n}, str(n)) for n in range(3)]
    reported = await run_all(oc, starts, on_conflict="wait")
    assert [reported[key].succeeded for key in "012"] == [True] * 3
    assert most_at_once(fake) == 1


# Leaving


async def test_two_readers_of_one_batch_share_its_results_and_both_end(oc: OpencastClient, fake: FakeOpencast) -> None:
    found: list[str] = []

    async def read(outcomes: Run[Workflow]) -> None:
        found.extend([outcome.key async for outcome in outcomes])

    with anyio.fail_after(30):
        run = oc.workflows.run_all(on_events(fake, *["quick"] * 6), poll=OFTEN)
        async with run as outcomes, anyio.create_task_group() as group:
            group.start_soon(read, outcomes)
            group.start_soon(read, outcomes)
    assert sorted(found) == ["0", "1", "2", "3", "4", "5"]


async def test_workflows_run_on_after_the_block_is_left(oc: OpencastClient, fake: FakeOpencast) -> None:
    fake.define("slow", [Step("one", 3600.0)])
    async with oc.workflows.run_all(on_events(fake, "quick", "slow", "slow"), max_running=2, poll=OFTEN) as outcomes:
        first = await anext(outcomes)
    assert first.succeeded
    count = posts(fake)
    assert all(run.active for run in runs(fake) if run.definition == "slow")
    assert first.id is not None
    assert (await oc.workflows.get(first.id)).phase.final
    assert posts(fake) == count


async def test_an_error_in_the_block_is_raised_unchanged(oc: OpencastClient, fake: FakeOpencast) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is what is tested
        async with oc.workflows.run_all(on_events(fake, *["quick"] * 5), poll=OFTEN) as outcomes:
            async for _ in outcomes:
                raise ZeroDivisionError


async def test_an_error_of_the_iterable_is_raised_unchanged(oc: OpencastClient, fake: FakeOpencast) -> None:
    def starts() -> Iterator[Start]:
        yield Start(fake.event(), "quick")
        raise LookupError("no more rows")

    with pytest.raises(LookupError, match="no more rows"):
        await run_all(oc, starts())


async def test_a_batch_can_be_cancelled_at_any_time(connect: Connect, fake: FakeOpencast) -> None:
    fake.faults = Faults(latency=(0.005, 0.005))
    async with connect(limits=Limits(connections=2), timeouts=Timeouts(exchange=5.0)) as client:
        for n in range(12):
            with anyio.move_on_after(0.004 * n):
                await run_all(client, on_events(fake, *["quick"] * 4))
        fake.faults = Faults()
        assert (await client.version()).versions


async def test_the_status_of_each_start_can_be_read_while_the_batch_runs(
    oc: OpencastClient, fake: FakeOpencast
) -> None:
    run = oc.workflows.run_all(on_events(fake, "quick", "quick"), max_running=1, poll=OFTEN)
    async with run as outcomes:
        await anext(outcomes)
        seen = {key: item.word for key, item in run.items.items()}
        assert seen["0"] == "succeeded"
        async for _ in outcomes:
            pass
    assert {item.word for item in run.items.values()} == {"succeeded"}
    assert all(isinstance(item.ticket, Ticket) for item in run.items.values())


# Another workflow under the same id


@on_all
async def test_an_id_that_becomes_another_workflow_is_reported_and_affects_no_other_start(
    oc: OpencastClient, fake: FakeOpencast
) -> None:
    fake.define("slow", [Step("one", 60.0)])
    starts = on_events(fake, "slow", "quick")
    reported: dict[str, Any] = {}
    other = fake.event()
    async with oc.workflows.run_all(starts, poll=OFTEN) as outcomes:
        async for result in outcomes:
            reported[result.key] = result
            for run in runs(fake):
                run.subject = other if run.subject == starts[0].event_id else run.subject
    replaced = reported["0"]
    assert isinstance(replaced.outcome, Replaced)
    assert (replaced.succeeded, replaced.workflow.event_id, replaced.outcome.found.event_id) == (
        False, starts[0].event_id, other
    )  # fmt: skip
    assert outcomes.items["0"].kind is StatusKind.ENDED
    assert outcomes.items["0"].word == "replaced"
    assert "belongs to another workflow now" in outcomes.items["0"].detail
    assert reported["1"].succeeded


# A restart of the server


@on_all
@pytest.mark.parametrize("seconds", [60.0, 180.0])
@pytest.mark.parametrize("journaled", [False, True])
async def test_started_workflows_are_watched_across_a_restart_of_the_server(
    oc: OpencastClient, fake: FakeOpencast, tmp_path: Path, seconds: float, journaled: bool  # noqa: FBT001 - a case
) -> None:  # fmt: skip
    fake.define("slow", [Step("one", 300.0)])
    starts, observe = on_events(fake, "slow", "slow", "slow"), fake.engine.on_change
    boots = [Boot(seconds)]

    def boot_after_the_last(run: Any) -> None:
        if observe is not None:
            observe(run)
        if boots and len(fake.engine.runs) == len(starts):
            fake.faults = boots.pop()

    fake.engine.on_change = boot_after_the_last
    journal = tmp_path / "journal.sqlite" if journaled else None
    reported = await run_all(oc, starts, journal=journal, poll=Poll())
    assert [(type(each), each.succeeded) for each in reported.values()] == [(Completed, True)] * 3
    assert posts(fake) == 3
