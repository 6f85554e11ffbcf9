"""Counting the workflows of an Opencast: over a socket against the sandbox, and the responses of other servers."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from tests.support.opencast_releases import on_11, on_12_and_later, on_all
from tests.support.stub_clients import NO_RETRIES, MockServer
from workflow_async import Clock, OpencastClient
from workflow_async._core.call import Reply
from workflow_async.errors import (
    CountNotSupported,
    DecodeError,
    Forbidden,
    ForeignResponse,
    InvalidArgument,
    ServerError,
    UnexpectedContent,
)
from workflow_async.opencast import State
from workflow_async.opencast.count_calls import count_calls
from workflow_async.sandbox import Boot, Fault, Faults, ManualClock, Sandbox, Step

Connect = Callable[..., OpencastClient]

BY = [
    {"definition_id": "noop"},
    {"current_operation": "encode"},
    {"state": "running", "definition_id": "x", "current_operation": "y"},
]


def queries(sandbox: Sandbox) -> list[tuple[str, str]]:
    return [(request.path, request.query) for request in sandbox.opencast.requests]


WITHOUT_TOTAL: tuple[Any, ...] = ({}, [], {"workflows": ""}, {"workflows": {"count": 1}})


# Over a socket


@on_all
async def test_the_counts_of_all_states_add_up_to_the_count_without_a_filter(
    sandbox: Sandbox, oc: OpencastClient
) -> None:
    sandbox.opencast.seed(50)
    states = [state for state in State if state is not State.UNKNOWN]
    counts = [await oc.workflows.count(state=state) for state in states]
    assert (sum(counts), await oc.workflows.count()) == (50, 50)
    assert 0 < counts[0] + counts[1] < 50


@on_all
async def test_several_states_cost_one_request_each_and_are_counted_once(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(50)
    expected = await oc.workflows.count(state="succeeded") + await oc.workflows.count(state=State.RUNNING)
    sandbox.opencast.requests.clear()
    assert await oc.workflows.count(state=["Running", State.SUCCEEDED, "RUNNING"]) == expected
    assert queries(sandbox) == [("/workflow/count", "state=RUNNING"), ("/workflow/count", "state=SUCCEEDED")]


@on_11
async def test_up_to_opencast_11_workflows_are_counted_by_definition_and_operation_in_one_request(
    sandbox: Sandbox, oc: OpencastClient, time: ManualClock
) -> None:
    for name, count in {"one": 2, "two": 1}.items():
        sandbox.opencast.define(name, [Step("encode", 1000.0)])
        for _ in range(count):
            sandbox.opencast.start(sandbox.opencast.event(), name)
    time.advance(60)
    assert await oc.workflows.count(definition_id="one") == 2
    assert await oc.workflows.count(current_operation="encode") == 3
    assert await oc.workflows.count(state="failed", definition_id="two") == 0
    assert await oc.workflows.count(state=["running", "paused"], definition_id="two", current_operation="encode") == 1
    assert queries(sandbox)[-1] == (
        "/workflow/instances.json",
        "state=RUNNING&state=PAUSED&workflowdefinition=two&op=encode&count=1&compact=true",
    )
    assert len(queries(sandbox)) == 4


@on_11
async def test_up_to_opencast_11_a_count_equals_the_length_of_the_list(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(60)
    by: tuple[dict[str, Any], ...] = ({"definition_id": "fails"}, {"state": "running", "definition_id": "noop"})
    for filters in by:
        listed = [workflow async for workflow in oc.workflows.list(**filters)]
        assert await oc.workflows.count(**filters) == len(listed)


@on_12_and_later
@pytest.mark.parametrize("filters", BY)
async def test_from_opencast_12_on_other_filters_than_the_state_count_what_is_listed(
    sandbox: Sandbox, oc: OpencastClient, filters: dict[str, Any]
) -> None:
    sandbox.opencast.seed(60)
    listed = [workflow async for workflow in oc.workflows.list(**filters)]
    assert await oc.workflows.count(**filters) == len(listed)
    assert sum(path == "/workflow/instances.json" for path, _ in queries(sandbox)) == 1


@on_all
@pytest.mark.parametrize("filters", [{}, {"state": "running"}, *BY])
async def test_a_user_without_the_role_learns_which_role_is_needed(connect: Connect, filters: dict[str, Any]) -> None:
    async with connect(auth=("integration", "integration")) as oc:
        with pytest.raises(Forbidden, match="this call needs ROLE_ADMIN") as caught:
            await oc.workflows.count(**filters)
    assert (caught.value.role, caught.value.status) == ("ROLE_ADMIN", 403)


@on_all
async def test_a_count_is_retried_after_a_fault(sandbox: Sandbox, oc: OpencastClient) -> None:
    sandbox.opencast.seed(5)
    sandbox.opencast.faults = Faults(script=(Fault.SERVER_ERROR,))
    assert await oc.workflows.count() == 5
    assert len(queries(sandbox)) == 2


@on_all
async def test_a_starting_server_is_not_taken_for_one_without_a_count(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.opencast.faults = Boot(1_000_000.0)
    async with connect(retry=NO_RETRIES) as oc:
        with pytest.raises((ForeignResponse, ServerError)):
            await oc.workflows.count()
        with pytest.raises((ForeignResponse, ServerError)):
            await oc.workflows.count(current_operation="encode")


@pytest.mark.parametrize(
    ("argument", "value", "reason"),
    [
        ("state", "baked", "must be one of instantiated, running"),
        ("state", State.UNKNOWN, "must be one of"),
        ("state", [], "must name at least one"),
        ("definition_id", " ", "must be a text that is not blank"),
        ("definition_id", 7, "must be a text that is not blank"),
        ("current_operation", "", "must be a text that is not blank"),
        ("current_operation", "-encode", "must not begin with -, which the server reads as a negation"),
    ],
)
async def test_a_filter_that_cannot_be_sent_is_refused_before_anything_is_sent(
    sandbox: Sandbox, oc: OpencastClient, argument: str, value: Any, reason: str
) -> None:
    with pytest.raises(InvalidArgument, match=f"^{argument}: {reason}"):
        await oc.workflows.count(**{argument: value})
    assert queries(sandbox) == []


# Responses of other servers


async def counted(clock: Clock, response: httpx.Response, **filters: Any) -> tuple[int, MockServer]:
    server = MockServer("opencast", lambda _: response)
    async with server.client(clock, retry=NO_RETRIES) as oc:
        return await oc.workflows.count(**filters), server


async def test_a_count_by_state_accepts_plain_text(clock: Clock) -> None:
    count, server = await counted(clock, httpx.Response(200, text=" 42\n"), state="paused")
    assert count == 42
    assert (server.requests[0].headers["accept"], server.requests[0].url.query) == ("text/plain", b"state=PAUSED")


@pytest.mark.parametrize("text", ["", "-1", "1.0", "many", "1 2", "٣", '{"count":1}', "9" * 20])
async def test_a_text_that_is_not_a_number_is_refused(clock: Clock, text: str) -> None:
    with pytest.raises(DecodeError, match="expected a whole number @"):
        await counted(clock, httpx.Response(200, text=text))


async def test_a_page_in_place_of_the_number_is_refused(clock: Clock) -> None:
    with pytest.raises(UnexpectedContent, match="got a page of markup"):
        await counted(clock, httpx.Response(200, html="<!DOCTYPE html><html></html>"))


async def test_a_total_may_be_a_number_or_its_digits(clock: Clock) -> None:
    for total in (224, "224"):
        found, _ = await counted(
            clock, httpx.Response(200, json={"workflows": {"totalCount": total}}), current_operation="x"
        )
        assert found == 224


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        *[(wrong, "required field missing") for wrong in WITHOUT_TOTAL],
        ({"workflows": {"totalCount": "many"}}, "expected a whole number, got a text"),
        ({"workflows": {"totalCount": None}}, "expected a whole number, got null"),
        ({"workflows": {"totalCount": -1}}, "expected a count, got -1"),
    ],
)
async def test_a_response_without_a_total_is_refused_with_its_key(clock: Clock, tree: Any, fault: str) -> None:
    with pytest.raises(DecodeError, match=rf"{fault} @ \$\.workflows\.totalCount") as caught:
        await counted(clock, httpx.Response(200, json=tree), definition_id="noop")
    assert caught.value.body


async def test_a_future_server_without_the_endpoint_has_no_count_and_maybe_no_version(clock: Clock) -> None:
    answered = {"/workflow/count": 404, "/api/version": 200}

    def respond(request: httpx.Request) -> httpx.Response:
        status = answered[request.url.path]
        return httpx.Response(status, json={"default": "v2.0.0", "versions": []} if status == 200 else None)

    async with MockServer("opencast", respond).client(clock, retry=NO_RETRIES) as oc:
        with pytest.raises(CountNotSupported, match=r"\(API version v2.0.0\) cannot count workflows \(") as caught:
            await oc.workflows.count()
    assert caught.value.filters == ()


async def test_the_version_is_unknown_if_it_cannot_be_read(clock: Clock) -> None:
    versions = iter([200, 503])  # the control request, then the version

    def respond(request: httpx.Request) -> httpx.Response:
        status = next(versions) if request.url.path == "/api/version" else 405
        return httpx.Response(status, json={"default": "v2.0.0", "versions": []} if status == 200 else None)

    async with MockServer("opencast", respond).client(clock, retry=NO_RETRIES) as oc:
        with pytest.raises(CountNotSupported, match="API version unknown") as caught:
            await oc.workflows.count(state="running")
    assert caught.value.version is None


@given(st.integers(0, 10**19 - 1), st.sampled_from(["", " ", "\n"]))
def test_every_number_that_a_server_can_write_is_read(number: int, space: str) -> None:
    (call,) = count_calls(None, None, None)
    assert call.read(Reply(200, {}, f"{space}{number}{space}".encode())) == number
