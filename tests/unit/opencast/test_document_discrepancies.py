"""Errors in the API's documentation. One test for each row of tests/contract/opencast.md, section 4.1, in its order."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx

from tests.support.opencast_releases import on_11, on_all
from workflow_async import Clock, OpencastClient
from workflow_async._core.call import Reply
from workflow_async.errors import Forbidden, InvalidArgument, NotFound, ServerError, StartConflict, StartOutcomeUnknown
from workflow_async.opencast import State, calls
from workflow_async.sandbox import ManualClock, Sandbox

Connect = Callable[..., OpencastClient]


@on_11
async def test_01_workflows_are_listed_at_their_own_path(sandbox: Sandbox, oc: OpencastClient) -> None:
    await oc.workflows.list(sort="event_created:desc", limit=5, definition_id="fast").first()
    assert sandbox.opencast.requests[0].path == "/api/workflows"


@on_11
async def test_02_several_state_not_mean_none_of_them(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(60, age=60)
    found = {w.state async for w in oc.workflows.list(state_not=["succeeded", "failed", "stopped"])}
    assert found
    assert not found & {State.SUCCEEDED, State.FAILED, State.STOPPED}


@on_11
async def test_03_the_text_filter_searches_the_event_and_not_the_definition(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    id = sandbox.opencast.start(sandbox.opencast.event(title="Abstract nonsense"), "noop")
    sandbox.opencast.state.commit()
    assert [w.id async for w in oc.workflows.list(text_filter="nonsense")] == [id]
    assert [w.id async for w in oc.workflows.list(text_filter="No operation at all")] == []


@pytest.mark.parametrize("sort", ["event_id:asc", "event_title:asc,event_created:desc"])
def test_04_a_sort_by_event_id_or_by_several_keys_is_never_sent(sort: Any) -> None:
    with pytest.raises(InvalidArgument, match="sort"):
        OpencastClient("https://oc.example.org", auth=("a", "b")).workflows.list(sort=sort)


@on_all
async def test_05_a_workflow_has_a_number_and_no_tags_or_panel(sandbox: Sandbox, oc: OpencastClient) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "fast")
    assert isinstance(workflow.id, int)
    assert (await oc.workflows.get(workflow.id)).definition_id == "fast"
    assert not workflow.extra


async def test_06_a_404_carries_the_servers_message(sandbox: Sandbox, oc: OpencastClient) -> None:
    with pytest.raises(NotFound) as getting:
        await oc.workflows.get(999_999)
    with pytest.raises(NotFound) as starting:
        await oc.workflows.start("no-such-event", "fast")
    assert getting.value.message
    assert starting.value.message
    assert getting.value.message != starting.value.message


async def test_07_a_start_can_conflict(sandbox: Sandbox, oc: OpencastClient) -> None:
    event = sandbox.opencast.event()
    await oc.workflows.start(event, "publish")
    with pytest.raises(StartConflict) as caught:
        await oc.workflows.start(event, "publish")
    assert caught.value.message


async def test_08_a_start_by_a_user_without_the_right_is_500_and_its_outcome_unknown(
    sandbox: Sandbox, connect: Connect
) -> None:
    async with connect(run_with_roles=("ROLE_API_WORKFLOW_INSTANCE_CREATE",)) as oc:
        with pytest.raises((StartOutcomeUnknown, NotFound)) as caught:
            await oc.workflows.start(sandbox.opencast.event(), "fast")
    assert not isinstance(caught.value, Forbidden)


async def test_09_a_workflow_that_has_not_started_cannot_be_resumed(sandbox: Sandbox, oc: OpencastClient) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "publish")
    with pytest.raises(ServerError):
        await oc.workflows.resume(workflow.id)


async def test_10_empty_values_are_left_out_by_the_server_and_read_as_empty(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "noop", with_operations=True, with_configuration=True)
    assert workflow.configuration == {}
    assert workflow.operations is not None
    assert (workflow.operations[0].id, workflow.operations[0].time_in_queue) == (None, None)


async def test_11_definitions_have_identifier_operation_booleans_and_numbers(oc: OpencastClient) -> None:
    definition = await oc.definitions.get("fast", with_operations=True)
    assert definition.operations is not None
    first = definition.operations[0]
    assert (definition.id, first.operation) == ("fast", "defaults")
    assert isinstance(first.fail_workflow_on_error, bool)
    assert isinstance(first.max_attempts, int)


@pytest.mark.parametrize(("sandbox", "unless"), [("11", "${skipAudio}"), ("16", "")], indirect=["sandbox"])
async def test_12_an_operation_has_no_unless_from_12_on(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock, unless: str
) -> None:
    workflow = await oc.workflows.start(sandbox.opencast.event(), "schedule-and-upload", with_operations=True)
    audio = next(o for o in workflow.operations or () if o.operation == "analyze-audio")
    assert audio.unless == unless


@respx.mock
async def test_13_definitions_may_fail_with_500_too() -> None:
    respx.get("https://oc.example.org/api/workflow-definitions/fast").mock(
        return_value=httpx.Response(500, text="Could not retrieve workflow definitions, reason: 'null'")
    )

    async def sleep(_: float) -> None: ...

    async with OpencastClient("https://oc.example.org", auth=("a", "b"), clock=Clock(sleep=sleep)) as oc:
        with pytest.raises(ServerError, match="reason: 'null'"):
            await oc.definitions.get("fast")


@on_11
async def test_14_the_limit_is_always_sent_because_the_default_is_20(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(30)
    assert len([w async for w in oc.workflows.list()]) == 30


@pytest.mark.parametrize(("sandbox", "there"), [("11", False), ("16", True)], indirect=["sandbox"])
async def test_15_there_is_a_panel_in_json_from_14_on(oc: OpencastClient, there: bool) -> None:  # noqa: FBT001 - a table's column
    definition = await oc.definitions.get("fast", with_configuration_panel_json=True)
    assert (definition.configuration_panel_json is not None) is there


async def test_16_users_are_switched_by_the_headers_that_servers_read(sandbox: Sandbox, connect: Connect) -> None:
    async with connect(run_as_user="integration", run_with_roles=("ROLE_X",)) as oc:
        await oc.me()
    headers = sandbox.opencast.requests[0].headers
    assert (headers["x-run-as-user"], headers["x-run-with-roles"]) == ("integration", "ROLE_X")
    assert not any(name.startswith("x-api") for name in headers)


async def test_17_acting_as_an_unknown_user_is_403_and_not_412(connect: Connect) -> None:
    async with connect(run_as_user="nobody-at-all") as oc:
        with pytest.raises(Forbidden):
            await oc.me()


async def test_18_basic_authentication_works_by_default(oc: OpencastClient) -> None:
    assert (await oc.me()).username == "admin"


def test_19_an_identifier_that_is_a_text_as_documented_is_read_too() -> None:
    reply = Reply(200, {}, b'{"identifier": "1603", "state": "running", "event_identifier": "e"}')
    assert calls.get_workflow(1603).read(reply).id == 1603
