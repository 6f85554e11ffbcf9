"""Reconciling a start of unknown outcome: results have evidence, and nothing is ever started."""

from collections.abc import Iterator

import httpx
import pytest
from attrs import evolve

from tests.unit.batch.conftest import Connect, as_manager, posts
from workflow_async import Clock, OpencastClient
from workflow_async.batch import Ambiguous, NoStartFound, StartFound, Ticket
from workflow_async.errors import Forbidden, InvalidArgument, ServerError, StartOutcomeUnknown
from workflow_async.preservica import PreservicaClient
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox, Step
from workflow_async.sandbox.preservica.app import PreservicaState
from workflow_async.sandbox.server import Server, bind, url_of
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica

on_11 = pytest.mark.parametrize("sandbox", ["11"], indirect=True)
on_all = pytest.mark.parametrize("sandbox", ["11", "16", "19"], indirect=True)

EXECUTED = Faults(script=[Fault.ERROR_AFTER], methods=("POST",))
CUT = Faults(script=[Fault.CUT_BEFORE], methods=("POST",))
NOT_EXECUTED = Faults(script=[Fault.SERVER_ERROR], methods=("POST",))
INSTANCES = "/sdb/rest/workflow/instances"
ON_PRESERVICA = Faults(script=[Fault.ERROR_AFTER], methods=("POST",), paths=(INSTANCES,))


async def lost(client: OpencastClient | PreservicaClient, ticket: Ticket) -> Ticket:
    """Lose the response to a start, and return the ticket of the error."""
    with pytest.raises(StartOutcomeUnknown) as caught:
        await client.workflows.start(ticket)
    assert caught.value.ticket == ticket
    assert isinstance(caught.value.ticket, Ticket)
    return caught.value.ticket


# Opencast


@on_all
@pytest.mark.parametrize("fault", [EXECUTED, CUT])
async def test_a_start_that_happened_is_found(oc: OpencastClient, fake: FakeOpencast, fault: Faults) -> None:
    event = fake.event()
    fake.faults = fault
    ticket = await lost(oc, oc.workflows.prepare_start(event, "quick", baseline=0))
    result = await oc.workflows.reconcile(ticket)
    assert isinstance(result, StartFound)
    assert (result.workflow.event_id, result.workflow.definition_id) == (event, "quick")
    assert result.evidence == f"the only workflow 'quick' on event {event} above 0"
    assert posts(fake) == 1


@on_all
async def test_a_start_that_was_not_carried_out_is_not_found(
    oc: OpencastClient, fake: FakeOpencast, sandbox: Sandbox, time: ManualClock
) -> None:
    fake.faults = NOT_EXECUTED
    ticket = await lost(oc, oc.workflows.prepare_start(fake.event(), "quick", baseline=0))
    began = time()
    result = await oc.workflows.reconcile(ticket, wait=5)
    assert isinstance(result, NoStartFound)
    assert result.checks > 1
    assert result.observed_for == time() - began
    assert posts(fake) == 1


@on_11
async def test_a_list_that_lags_is_searched_for_longer_than_its_lag(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    assert isinstance(await oc.workflows.reconcile(oc.workflows.prepare_start("e", "quick"), wait=0), NoStartFound)
    event = fake.event()
    ticket = oc.workflows.prepare_start(event, "quick", baseline=0)
    fake.start(event, "quick")
    began = time()
    assert isinstance(await oc.workflows.reconcile(ticket, wait=0), StartFound)
    assert 0 < time() - began <= 12


async def test_without_a_lag_wait_0_makes_one_check(oc: OpencastClient, fake: FakeOpencast) -> None:
    assert await oc.workflows.reconcile(oc.workflows.prepare_start("e", "quick", baseline=0), wait=0) == NoStartFound(
        0, 1
    )


@on_all
async def test_an_earlier_workflow_is_not_taken_for_that_of_the_start(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    event = fake.event()
    earlier = fake.start(event, "quick")
    time.advance(60)
    fake.faults = NOT_EXECUTED
    ticket = await lost(oc, oc.workflows.prepare_start(event, "quick", baseline=earlier))
    assert isinstance(await oc.workflows.reconcile(ticket, wait=2), NoStartFound)


@on_all
@pytest.mark.parametrize(("ago", "result"), [(3600, NoStartFound), (60, Ambiguous), (-60, StartFound)])
async def test_without_a_baseline_dates_decide_and_close_dates_are_ambiguous(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock, ago: float, result: type
) -> None:
    event = fake.event()
    made = oc.workflows.prepare_start(event, "quick")
    if ago > 0:
        fake.start(event, "quick")
        time.advance(ago)
        ticket = oc.workflows.prepare_start(event, "quick")
    else:
        time.advance(-ago)
        fake.start(event, "quick")
        time.advance(60)
        ticket = made
    found = await oc.workflows.reconcile(ticket, wait=0)
    assert type(found) is result


@on_all
async def test_two_workflows_that_may_belong_to_the_start_are_candidates(
    oc: OpencastClient, fake: FakeOpencast, time: ManualClock
) -> None:
    event = fake.event()
    ids = []
    for _ in range(2):
        ids.append(fake.start(event, "quick"))
        time.advance(60)
    result = await oc.workflows.reconcile(oc.workflows.prepare_start(event, "quick", baseline=0), wait=0)
    assert isinstance(result, Ambiguous)
    assert [workflow.id for workflow in result.candidates] == ids
    assert result.why == f"2 workflows 'quick' on event {event} may belong to it"


async def test_a_later_workflow_of_another_definition_may_be_an_error_handlers(
    oc: OpencastClient, fake: FakeOpencast
) -> None:
    event = fake.event()
    fake.start(event, "noop")
    result = await oc.workflows.reconcile(oc.workflows.prepare_start(event, "quick", baseline=0), wait=0)
    assert isinstance(result, Ambiguous)
    assert "error handler" in result.why


async def test_a_user_who_may_not_read_an_events_workflows_gets_the_state_of_the_event(
    connect: Connect, fake: FakeOpencast
) -> None:
    async with connect(auth=("integration", "integration")) as client:
        idle, busy = fake.event(), fake.event()
        fake.start(busy, "quick")
        prepare, reconcile = client.workflows.prepare_start, client.workflows.reconcile
        assert isinstance(await reconcile(prepare(idle, "quick"), wait=0), NoStartFound)
        result = await reconcile(prepare(busy, "quick"), wait=0)
        assert isinstance(result, Ambiguous)
        assert result.candidates == ()
        assert f"may not read the workflows of event {busy} (403 Forbidden" in result.why
        assert result.why.endswith(("its latest workflow is instantiated", "its latest workflow is running"))
        unshown = await reconcile(prepare("no such event", "quick"), wait=0)
        assert isinstance(unshown, Ambiguous)
        assert unshown.why.endswith("the event is not listed")


async def test_a_user_who_may_read_nothing_gets_an_error(connect: Connect, fake: FakeOpencast) -> None:
    async with connect(auth=("viewer", "viewer")) as client:
        with pytest.raises(Forbidden):
            await client.workflows.reconcile(client.workflows.prepare_start(fake.event(), "quick"))


# Failed checks


async def test_a_failed_check_is_repeated(oc: OpencastClient, fake: FakeOpencast) -> None:
    event = fake.event()
    fake.start(event, "quick")
    fake.faults = Faults(script=[Fault.SERVER_ERROR] * 9, methods=("GET",))
    result = await oc.workflows.reconcile(oc.workflows.prepare_start(event, "quick", baseline=0), wait=30)
    assert isinstance(result, StartFound)


async def test_if_every_check_fails_the_last_error_is_raised(oc: OpencastClient, fake: FakeOpencast) -> None:
    fake.faults = Faults(rates={Fault.SERVER_ERROR: 1.0})
    with pytest.raises(ServerError):
        await oc.workflows.reconcile(oc.workflows.prepare_start("e", "quick", baseline=0), wait=5)


# Preservica


async def test_a_correlation_id_is_found(pv: PreservicaClient, archive: FakePreservica) -> None:
    archive.faults = ON_PRESERVICA
    ticket = await lost(pv, pv.workflows.prepare_start(42, {"n": 1}))
    result = await pv.workflows.reconcile(ticket)
    assert isinstance(result, StartFound)
    assert result.workflow.correlation_id == ticket.correlation_id
    assert result.evidence == f"it has the correlation id {ticket.correlation_id}"
    assert len(archive.starts) == 1


async def test_a_correlation_id_is_found_if_only_the_name_of_the_context_is_known(
    pv: PreservicaClient, archive: FakePreservica
) -> None:
    archive.faults = ON_PRESERVICA
    ticket = await lost(pv, pv.workflows.prepare_start("Ingest Packages"))
    result = await pv.workflows.reconcile(ticket)
    assert isinstance(result, StartFound)
    assert result.workflow.context_id == "43"
    query = archive.requests[-1].parameters
    assert "contextId" not in query


async def test_an_unused_correlation_id_is_not_found(pv: PreservicaClient, archive: FakePreservica) -> None:
    await pv.workflows.start(42)
    result = await pv.workflows.reconcile(pv.workflows.prepare_start(42), wait=10)
    assert result == NoStartFound(10.0, 6)
    assert len(archive.starts) == 1


async def test_a_search_reads_only_workflows_since_5_minutes_before_the_ticket(
    pv: PreservicaClient, archive: FakePreservica, time: ManualClock
) -> None:
    await pv.workflows.start(42, correlation_id="reused")
    time.advance(3600)
    ticket = pv.workflows.prepare_start(42, correlation_id="reused")
    assert isinstance(await pv.workflows.reconcile(ticket, wait=0), NoStartFound)
    await pv.workflows.start(ticket)
    assert isinstance(await pv.workflows.reconcile(ticket, wait=0), StartFound)


async def test_two_workflows_with_the_correlation_id_are_candidates(pv: PreservicaClient) -> None:
    ticket = pv.workflows.prepare_start(42)
    started = [await pv.workflows.start(ticket) for _ in range(2)]
    result = await pv.workflows.reconcile(ticket, wait=0)
    assert isinstance(result, Ambiguous)
    assert {workflow.id for workflow in result.candidates} == {each.id for each in started}


@pytest.fixture
def unmarked(time: ManualClock) -> Iterator[FakePreservica]:
    """Return a server that omits the correlation id of workflows with odd ids."""
    system = FakePreservica(PreservicaState(time, sparse=True))
    listener = bind("127.0.0.1", 0)
    system.url = url_of(listener)
    server = Server([(listener, system.app)])
    server.start()
    yield system
    server.stop()


async def test_workflows_without_a_correlation_id_make_the_result_ambiguous(
    unmarked: FakePreservica, clock: Clock
) -> None:
    async with as_manager(unmarked, unmarked.url, clock) as client:
        context = unmarked.context("Quick", "com.example.quick", "Ingest", [Step("one", 5.0)])
        unmarked.engine.next_id()
        ticket = client.workflows.prepare_start(context)
        search_results = []
        for _ in range(2):  # one of two consecutive ids is odd
            await client.workflows.start(context)
            search_results.append(await client.workflows.reconcile(ticket, wait=0))
        assert isinstance(search_results[-1], Ambiguous)
        assert search_results[-1].why == "the server reports no correlation id for these workflows"
        assert all(workflow.correlation_id is None for workflow in search_results[-1].candidates)


async def test_a_start_whose_response_has_no_id_is_unknown_if_the_id_is_needed(
    archive: FakePreservica, clock: Clock
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        login = httpx.Response(200, json={"success": True, "token": "t", "validFor": 15})
        return login if request.url.path.endswith("/login") else httpx.Response(201)

    http_client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with http_client, as_manager(archive, "pv.example.org", clock, http=http_client) as client:
        ticket = client.workflows.prepare_start(42)
        assert (await client.workflows.start(ticket)).id is None
        with pytest.raises(StartOutcomeUnknown, match="no Id") as caught:
            await client.workflows.start_and_wait(42, correlation_id="mine")
    assert (caught.value.correlation_id, caught.value.ticket.correlation_id) == ("mine", "mine")


async def test_a_ticket_of_another_server_is_not_searched_for(pv: PreservicaClient, archive: FakePreservica) -> None:
    with pytest.raises(InvalidArgument, match="ticket"):
        await pv.workflows.reconcile(evolve(pv.workflows.prepare_start(42), server="https://elsewhere.example.org"))
    assert archive.requests == []
