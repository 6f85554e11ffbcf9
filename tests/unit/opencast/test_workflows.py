"""Workflows of an Opencast, over a socket against the sandbox."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.opencast_releases import on_11, on_12_and_later, on_all
from workflow_async import OpencastClient, Phase, Poll, Retry
from workflow_async.errors import (
    AlreadyFinished,
    BadRequest,
    Conflict,
    Forbidden,
    InvalidArgument,
    ListingNotSupported,
    NotFound,
    ServerError,
    StartConflict,
    StartLimited,
    StartOutcomeUnknown,
    WaitTimeout,
    WorkflowFailed,
    WorkflowParked,
)
from workflow_async.opencast import State, calls
from workflow_async.sandbox import Fault, Faults, ManualClock, Sandbox, Step, StepResult

Connect = Callable[..., OpencastClient]


def paths(sandbox: Sandbox, method: str = "GET") -> list[str]:
    return [request.path for request in sandbox.opencast.requests if request.method == method]


# Listing


@pytest.mark.sweep
@on_11
async def test_ten_thousand_workflows_come_page_by_page(sandbox: Sandbox, oc: OpencastClient) -> None:
    ids = sandbox.opencast.seed(10_000)
    sizes = [len(page.items) async for page in oc.workflows.list().pages()]
    assert (sum(sizes), max(sizes)) == (10_000, 100)
    assert 101 <= len(paths(sandbox)) < 101 + 16  # the end is unknown until it is read
    assert {workflow.id async for workflow in oc.workflows.list(page_size=1000)} == set(ids)


@on_11
async def test_only_the_needed_pages_are_requested(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(300)
    async for _ in oc.workflows.list():
        break
    assert len(paths(sandbox)) == 1


@on_11
async def test_a_listing_can_be_iterated_again(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(5)
    listing = oc.workflows.list()
    assert [workflow.id async for workflow in listing] == [workflow.id async for workflow in listing]


@on_11
async def test_a_limit_is_kept_and_reaches_the_wire(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(300)
    assert len([workflow async for workflow in oc.workflows.list(limit=150)]) == 150
    assert [request.parameters["limit"] for request in sandbox.opencast.requests] == [["100"], ["50"]]


@on_11
async def test_filters_and_sorts_take_effect_on_the_server(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(60, definitions=["fast", "fails", "noop"], age=60)
    finished = oc.workflows.list(state_not=["running", "instantiated", "paused", "failing"])
    assert all([workflow.phase.final async for workflow in finished])
    some = [w async for w in oc.workflows.list(state=["succeeded", "failed"], sort="definition_id:asc")]
    assert {workflow.state for workflow in some} == {State.SUCCEEDED, State.FAILED}
    assert [w.definition_id for w in some] == sorted(w.definition_id for w in some)


@on_11
async def test_operations_and_configuration_are_returned_on_request(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(3)
    plain = await oc.workflows.list().first()
    full = await oc.workflows.list(with_operations=True, with_configuration=True).first()
    assert plain is not None
    assert (plain.operations, plain.configuration) == (None, None)
    assert full is not None
    assert full.operations
    assert full.configuration is not None


@on_12_and_later
async def test_what_only_a_list_supports_is_an_error_with_the_version_and_what_to_do(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    await oc.workflows.list().first()
    with pytest.raises(ListingNotSupported) as caught:
        await oc.workflows.list(offset=1).first()
    assert caught.value.version == (await oc.version()).default
    assert caught.value.version in str(caught.value)
    assert "Without the list offset is not possible: leave it out" in str(caught.value)
    assert paths(sandbox).count("/api/workflows") == 2


async def test_a_missing_list_is_reported_even_if_the_version_is_unknown(connect: Connect) -> None:
    async with connect(auth=("viewer", "viewer"), run_as_user=None) as oc:
        with pytest.raises(ListingNotSupported):
            await oc.workflows.list().first()


@on_12_and_later
async def test_busy_events_and_their_workflows_replace_the_list(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    events = [sandbox.opencast.event() for _ in range(3)]
    started = [(await oc.workflows.start(event, "publish")).id for event in events]
    time.advance(30)
    busy = [event async for event in oc.events.list(status="processing", page_size=2)]
    assert {event.id for event in busy} == set(events)
    assert {event.processing_state for event in busy} == {State.RUNNING}
    found = await oc.workflows.for_event(events[0])
    assert [(workflow.id, workflow.state, workflow.event_id) for workflow in found] == [
        (started[0], State.RUNNING, events[0])
    ]


async def test_an_event_can_have_several_workflows_or_none(sandbox: Sandbox, oc: OpencastClient) -> None:
    event = sandbox.opencast.event()
    assert await oc.workflows.for_event(event) == ()
    for _ in range(2):
        await oc.workflows.wait((await oc.workflows.start(event, "noop")).id)
    assert [workflow.phase for workflow in await oc.workflows.for_event(event)] == [Phase.SUCCEEDED] * 2


async def test_an_events_id_can_contain_a_semicolon(sandbox: Sandbox, oc: OpencastClient) -> None:
    event = sandbox.opencast.event(identifier="a;b:(c)._-d")
    started = await oc.workflows.start(event, "noop")
    assert [workflow.id for workflow in await oc.workflows.for_event(event)] == [started.id]


async def test_the_workflows_of_an_event_are_for_admins_only(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(auth=("integration", "integration")) as oc:
        for _ in range(2):
            with pytest.raises(Forbidden, match="needs ROLE_ADMIN"):
                await oc.workflows.for_event(sandbox.opencast.event())
    assert paths(sandbox).count("/api/workflows") == 1


@pytest.mark.parametrize("auth", [("admin", "opencast"), ("integration", "integration")])
@on_11
async def test_the_workflows_of_an_event_come_from_the_list_where_there_is_one(
    sandbox: Sandbox, connect: Connect, time: ManualClock, auth: tuple[str, str]
) -> None:
    event = sandbox.opencast.event()
    async with connect(auth=auth) as oc:
        assert await oc.workflows.for_event(event) == ()
        ids = [sandbox.opencast.start(event, "noop")]
        for _ in range(2):
            time.advance(60)
            ids.append(sandbox.opencast.start(event, "noop"))
        time.advance(60)
        found = await oc.workflows.for_event(event)
        assert [(w.id, w.superseded_by, w.source) for w in found] == [
            (ids[0], ids[1], "list"),
            (ids[1], ids[2], "list"),
            (ids[2], None, "list"),
        ]
        assert all(w.operations and w.configuration is not None for w in found)
    assert sum(path.startswith("/workflow/") for path in paths(sandbox)) == 1


async def test_each_workflow_of_an_event_says_which_one_came_next(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    event = sandbox.opencast.event()
    ids = []
    for _ in range(3):
        ids.append(sandbox.opencast.start(event, "noop"))
        time.advance(60)
    found = await oc.workflows.for_event(event)
    assert [w.id for w in found] == ids
    assert [(w.superseded_by, w.source) for w in found] == [*((id, "event") for id in ids[1:]), (None, "event")]
    assert found[0] == (await oc.workflows.for_event(event))[0]


async def test_an_id_that_no_filter_can_hold_is_not_searched_in_a_list(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(auth=("integration", "integration")) as oc:
        with pytest.raises(Forbidden):
            await oc.workflows.for_event("a,b")
    assert "/api/workflows" not in paths(sandbox)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": True},
        {"page_size": 0},
        {"offset": -1},
        {"state": "runing"},
        {"sort": "event_id:asc"},
        {"event_title": "a,b"},
    ],
)
def test_invalid_arguments_are_refused_when_the_listing_is_created(wrong: dict[str, object]) -> None:
    oc = OpencastClient("https://oc.example.org", auth=("admin", "opencast"))
    with pytest.raises(InvalidArgument):
        oc.workflows.list(**wrong)  # type: ignore[arg-type]  # wrong on purpose


# One workflow


@on_all
async def test_a_workflow_is_returned_with_the_requested_fields(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    (id,) = sandbox.opencast.seed(1, definitions=["fast"])
    time.advance(60)
    workflow = await oc.workflows.get(str(id), with_operations=True, with_configuration=True)
    assert (workflow.id, workflow.state) == (id, State.SUCCEEDED)
    assert workflow.operations is not None
    assert all(operation.completion is not None for operation in workflow.operations)
    assert workflow.configuration is not None


async def test_an_unknown_workflow_is_not_found(oc: OpencastClient) -> None:
    with pytest.raises(NotFound):
        await oc.workflows.get(999_999)


@pytest.mark.parametrize("wrong", ["", "..", "1/../../admin", "1;x", -1, True, 2**63, "1603.0"])
async def test_an_invalid_id_is_refused_before_anything_is_sent(
    sandbox: Sandbox, oc: OpencastClient, wrong: int | str
) -> None:
    for call in (oc.workflows.get, oc.workflows.stop, oc.workflows.delete, oc.workflows.wait):
        with pytest.raises(InvalidArgument, match="workflow_id: must be a whole number"):
            await call(wrong)
    assert not sandbox.opencast.requests


# Starting


@on_all
async def test_a_start_returns_the_workflow_and_the_configuration_of_the_event(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    event = sandbox.opencast.event()
    first = await oc.workflows.start(event, "noop", configuration={"earlier": 1})
    await oc.workflows.wait(first.id)
    second = await oc.workflows.start(event, "fast", configuration={"publishLive": False}, with_configuration=True)
    assert (second.phase, second.event_id, second.definition_id) == (Phase.WAITING, event, "fast")
    assert second.configuration is not None
    assert second.configuration.items() >= {"earlier": "1", "publishLive": "false"}.items()


@on_all
async def test_a_second_start_on_a_busy_event_is_a_conflict_with_the_servers_message(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    event = sandbox.opencast.event()
    await oc.workflows.start(event, "publish")
    sandbox.opencast.state.commit()
    with pytest.raises(StartConflict) as caught:
        await oc.workflows.start(event, "publish")
    assert caught.value.message
    assert not caught.value.message.startswith("{")


async def test_a_start_without_such_an_event_or_definition_is_not_found(sandbox: Sandbox, oc: OpencastClient) -> None:
    with pytest.raises(NotFound):
        await oc.workflows.start("no-such-event", "fast")
    with pytest.raises(NotFound):
        await oc.workflows.start(sandbox.opencast.event(), "no-such-definition")


@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.CUT_BODY, Fault.CUT_BEFORE, Fault.SERVER_ERROR])
async def test_a_start_whose_response_is_lost_is_unknown_and_sent_once(
    sandbox: Sandbox, oc: OpencastClient, fault: Fault
) -> None:
    event = sandbox.opencast.event()
    sandbox.opencast.faults = Faults(script=(fault,), methods=("POST",))
    with pytest.raises(StartOutcomeUnknown) as caught:
        await oc.workflows.start(event, "fast")
    assert paths(sandbox, "POST") == ["/api/workflows"]
    assert event in caught.value.look_for
    executed = await oc.workflows.for_event(event)
    assert len(executed) == (0 if fault is Fault.SERVER_ERROR else 1)


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED])
async def test_a_refused_start_is_not_unknown_and_not_repeated(
    sandbox: Sandbox, oc: OpencastClient, fault: Fault
) -> None:
    event = sandbox.opencast.event()
    sandbox.opencast.faults = Faults(script=(fault,), methods=("POST",))
    with pytest.raises(StartLimited, match="429 StartLimited"):
        await oc.workflows.start(event, "fast")
    assert await oc.workflows.for_event(event) == ()


async def test_a_start_answered_with_a_login_page_is_unknown(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.faults = Faults(script=(Fault.LOGIN_PAGE,), methods=("POST",))
    with pytest.raises(StartOutcomeUnknown):
        await oc.workflows.start(sandbox.opencast.event(), "fast")


# Changing


@on_all
async def test_a_workflow_is_paused_and_resumed(sandbox: Sandbox, oc: OpencastClient, time: ManualClock) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "publish")
    time.advance(10)
    assert (await oc.workflows.pause(workflow.id)).phase is Phase.PARKED
    await oc.workflows.resume(workflow.id)
    assert (await oc.workflows.wait(workflow.id)).phase is Phase.SUCCEEDED


@on_all
async def test_a_running_workflow_is_stopped(sandbox: Sandbox, oc: OpencastClient, time: ManualClock) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "publish")
    time.advance(10)
    assert (await oc.workflows.stop(workflow.id)).state is State.STOPPED


@on_all
@pytest.mark.parametrize("change", ["stop", "pause"])
async def test_a_finished_workflow_keeps_its_result(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, change: str
) -> None:
    (id,) = sandbox.opencast.seed(1, definitions=["fast"])
    time.advance(60)
    with pytest.raises(AlreadyFinished, match="succeeded already"):
        await getattr(oc.workflows, change)(id)
    assert not paths(sandbox, "PUT")
    assert (await oc.workflows.get(id)).state is State.SUCCEEDED


async def test_resuming_a_running_workflow_is_a_conflict_with_the_servers_message(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "publish")
    with pytest.raises(ServerError):
        await oc.workflows.resume(workflow.id)
    await oc.workflows.wait(workflow.id)
    with pytest.raises(Conflict, match="Cannot resume from workflow state 'succeeded'") as caught:
        await oc.workflows.resume(workflow.id)
    assert caught.value.status == 409


async def test_a_workflow_on_hold_pauses_again(sandbox: Sandbox, oc: OpencastClient, time: ManualClock) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "holds")
    parked = await oc.workflows.wait(workflow.id, parked="return")
    assert (parked.phase, parked.step) == (Phase.PARKED, "error-resolution")
    await oc.workflows.resume(workflow.id)
    time.advance(60)
    assert (await oc.workflows.get(workflow.id)).phase is Phase.PARKED


@on_11
async def test_configuration_and_state_are_changed_in_two_requests(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "publish", configuration={"a": "1", "b": "2"})
    time.advance(10)
    changed = await oc.workflows.update(workflow.id, state="paused", configuration={"c": True}, with_configuration=True)
    assert (changed.state, changed.configuration) == (State.PAUSED, {"c": "true"})
    bodies = [request.body for request in sandbox.opencast.requests if request.method == "PUT"]
    assert [body.partition(b"=")[0] for body in bodies] == [b"configuration", b"state"]


@on_11
async def test_a_configuration_is_replaced_by_one_request(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "publish", configuration={"a": "1", "b": "2"})
    time.advance(10)
    changed = await oc.workflows.replace_configuration(workflow.id, {"c": True}, with_configuration=True)
    assert (changed.id, changed.configuration, changed.operations) == (workflow.id, {"c": "true"}, None)
    assert [request.body for request in sandbox.opencast.requests if request.method == "PUT"] == [
        b"configuration=%7B%22c%22%3A+%22true%22%7D"
    ]


async def test_an_update_without_arguments_only_reads(sandbox: Sandbox, oc: OpencastClient) -> None:
    (id,) = sandbox.opencast.seed(1)
    assert (await oc.workflows.update(id)).id == id
    assert not paths(sandbox, "PUT")


@pytest.mark.parametrize("state", ["succeeded", "failed", "instantiated", "nonsense", State.FAILING])
async def test_a_state_that_cannot_be_requested_is_refused(sandbox: Sandbox, oc: OpencastClient, state: State) -> None:
    with pytest.raises(InvalidArgument, match="state: must be 'paused', 'running' or 'stopped'"):
        await oc.workflows.update(1, state=state, configuration={"a": "b"})
    assert not sandbox.opencast.requests


@pytest.mark.parametrize("state", ["PAUSED", "Paused", "paused", State.PAUSED])
async def test_a_state_can_be_given_in_any_case(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, state: Any
) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "publish")
    time.advance(10)
    assert (await oc.workflows.update(workflow.id, state=state)).state is State.PAUSED


async def test_the_error_of_newer_servers_that_replace_a_configuration_is_raised(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "publish", configuration={"a": "1", "b": "2"})
    with pytest.raises(ServerError, match="reason: 'null'"):
        await oc.workflows.update(workflow.id, configuration={"c": "3"})


# Deleting


@on_all
async def test_a_finished_workflow_is_deleted(sandbox: Sandbox, oc: OpencastClient, time: ManualClock) -> None:
    (id,) = sandbox.opencast.seed(1, definitions=["fast"])
    time.advance(60)
    await oc.workflows.delete(id)
    with pytest.raises(NotFound):
        await oc.workflows.get(id)
    with pytest.raises(NotFound):
        await oc.workflows.delete(id)


async def test_a_running_workflow_is_not_deleted(sandbox: Sandbox, oc: OpencastClient, time: ManualClock) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "publish")
    time.advance(10)
    with pytest.raises(Conflict):
        await oc.workflows.delete(workflow.id)


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.ERROR_AFTER])
async def test_a_delete_whose_response_is_lost_succeeds_if_it_took_effect(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, fault: Fault
) -> None:
    (id,) = sandbox.opencast.seed(1, definitions=["fast"])
    time.advance(60)
    sandbox.opencast.faults = Faults(script=(fault,), methods=("DELETE",))
    await oc.workflows.delete(id)
    assert [request.status for request in sandbox.opencast.requests if request.method == "DELETE"][-1] == 404


# Waiting


@on_all
@pytest.mark.parametrize(
    ("definition", "phase"), [("fast", Phase.SUCCEEDED), ("fails", Phase.FAILED), ("fails-with-handler", Phase.FAILED)]
)
async def test_a_wait_ends_with_the_workflow(
    sandbox: Sandbox, oc: OpencastClient, definition: str, phase: Phase
) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), definition)
    done = await oc.workflows.wait(workflow.id)
    assert done.phase is phase
    assert done.operations is not None


async def test_a_definition_may_change_when_the_error_handler_takes_over(sandbox: Sandbox, oc: OpencastClient) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "fails-with-handler")
    assert (await oc.workflows.wait(workflow.id)).definition_id == "partial-error"


async def test_a_checked_wait_raises_unless_the_workflow_succeeded(sandbox: Sandbox, oc: OpencastClient) -> None:
    good = await oc.workflows.start(sandbox.opencast.event(), "fast")
    bad = await oc.workflows.start(sandbox.opencast.event(), "fails")
    assert (await oc.workflows.wait(good.id, check=True)).phase is Phase.SUCCEEDED
    with pytest.raises(WorkflowFailed, match=f"workflow {bad.id} failed in encode"):
        await oc.workflows.wait(bad.id, check=True)


async def test_a_wait_has_a_timeout_and_keeps_the_last_record(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.define("long", [Step("encode", 10_000)])
    workflow = await oc.workflows.start(sandbox.opencast.event(), "long")
    with pytest.raises(WaitTimeout, match="not finished after 60 s") as caught:
        await oc.workflows.wait(workflow.id, timeout=60)
    assert caught.value.workflow is not None
    assert caught.value.workflow.state_text == "running"


async def test_a_parked_workflow_is_waited_for_returned_or_raised(sandbox: Sandbox, oc: OpencastClient) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "review")
    assert (await oc.workflows.wait(workflow.id, parked="return")).state is State.PAUSED
    with pytest.raises(WorkflowParked, match="waits for a person"):
        await oc.workflows.wait(workflow.id, parked="raise")
    with pytest.raises(WaitTimeout):
        await oc.workflows.wait(workflow.id, timeout=100)


async def test_a_wait_checks_less_often_while_nothing_changes(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.define("slow", [Step("encode", 3600)])
    workflow = await oc.workflows.start(sandbox.opencast.event(), "slow")
    await oc.workflows.wait(workflow.id, poll=Poll(interval=2, backoff=2, ceiling=60))
    assert 3600 / 60 <= len(paths(sandbox)) <= 3600 / 60 + 10


async def test_a_wait_survives_an_outage_and_a_temporary_404(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    sandbox.opencast.define("slow", [Step("encode", 300, StepResult.DONE)])
    workflow = await oc.workflows.start(sandbox.opencast.event(), "slow")
    outage = (None, *itertools.repeat(Fault.SERVER_ERROR, 12), *itertools.repeat(Fault.CUT_BEFORE, 8))
    sandbox.opencast.faults = Faults(script=outage, methods=("GET",))
    assert (await oc.workflows.wait(workflow.id)).phase is Phase.SUCCEEDED


# Failing servers


@pytest.mark.parametrize(
    "fault",
    [Fault.RATE_LIMITED, Fault.SERVER_ERROR, Fault.ERROR_AFTER, Fault.CUT_BODY, Fault.CUT_BEFORE, Fault.LOGIN_PAGE],
)
async def test_a_read_is_retried(sandbox: Sandbox, oc: OpencastClient, fault: Fault) -> None:
    (id,) = sandbox.opencast.seed(1)
    sandbox.opencast.faults = Faults(script=(fault,))
    assert (await oc.workflows.get(id)).id == id
    assert len(sandbox.opencast.requests) == 2


@on_11
async def test_a_listing_over_an_unreliable_connection_is_complete(sandbox: Sandbox, connect: Connect) -> None:
    ids = sandbox.opencast.seed(1000, age=86_400.0)
    rates = {Fault.SERVER_ERROR: 0.1, Fault.CUT_BODY: 0.1, Fault.CUT_BEFORE: 0.05, Fault.RATE_LIMITED: 0.05}
    sandbox.opencast.faults = Faults(seed=3, rates=rates)
    async with connect(retry=Retry(attempts=10)) as oc:
        assert {workflow.id async for workflow in oc.workflows.list(page_size=20)} == set(ids)


@on_11
async def test_a_page_that_is_repeated_repeats_no_row(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(100)
    sandbox.opencast.faults = Faults(script=(None, None, Fault.REPEATED_PAGE))
    ids = [workflow.id async for workflow in oc.workflows.list(page_size=20)]
    assert len(ids) == len(set(ids))


async def test_a_bad_request_has_the_servers_text_even_if_it_is_labelled_json(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    with pytest.raises(BadRequest) as caught:
        await oc._transport.send(calls.change_state(sandbox.opencast.seed(1)[0], "nonsense"))
    assert caught.value.message
