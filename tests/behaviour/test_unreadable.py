"""Values, rows and responses that cannot be read, with clients of both systems."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import FakeTime
from tests.support import virtual_time as virtual
from tests.support.stub_clients import SYSTEMS, MockServer, client_of, mock_server, page, row, running_clock, workflow
from workflow_async import Poll, Retry
from workflow_async.errors import DecodeError, RateLimited, ServerError, Unauthorized
from workflow_async.preservica.login_calls import LOGIN

KEYS = {"opencast": ("identifier", "state"), "preservica": ("Id", "State")}
UNREADABLE_VALUE: dict[str, dict[str, Any]] = {
    "opencast": {"title": ["odd"]},
    "preservica": {"Started": "2025-10-26 02:30:00"},
}
NO_ID: dict[str, dict[str, Any]] = {"opencast": {"identifier": "x"}, "preservica": {"Id": "x"}}
INCOMPLETE = {"opencast": b'{"identifier": 7}', "preservica": b"<WorkflowInstance><Id>7</Id></WorkflowInstance>"}
FAST_POLL = Poll(interval=2, backoff=1, ceiling=2, jitter=0)


def rows(system: str, changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return forty rows. The third one has changed values."""
    return [row(system, id, **(changes if id == 3 else {})) for id in range(1, 41)]


def list_server(system: str, changes: dict[str, Any]) -> MockServer:
    """Return a server that lists forty rows and returns each of them by its id."""

    def answer(request: httpx.Request) -> httpx.Response:
        last = request.url.path.rpartition("/")[2]
        if last.isdigit():
            return httpx.Response(200, content=workflow(system, int(last), **(changes if last == "3" else {})))
        return httpx.Response(200, content=page(system, rows(system, changes)[first_row(request) :], 40))

    return MockServer(system, answer)


def first_row(request: httpx.Request) -> int:
    """Return the first row of the requested page."""
    return int(request.url.params.get("offset") or request.url.params.get("start") or 0)


async def ids_and_error(listing: Any) -> tuple[list[int], DecodeError | None]:
    """Return the ids that a listing returns, and the error after them."""
    found: list[int] = []
    try:
        async for item in listing:
            found.append(item.id)  # noqa: PERF401 - items before an error must be kept
    except DecodeError as error:
        return found, error
    return found, None


# Values


@pytest.mark.parametrize("system", SYSTEMS)
async def test_an_unreadable_value_hides_neither_its_row_nor_the_list(system: str, fake_time: FakeTime) -> None:
    server = list_server(system, UNREADABLE_VALUE[system])
    async with server.client(fake_time.clock) as client:
        found = [workflow async for workflow in client.workflows.list(limit=40)]
        alone = await client.workflows.get(3)
    assert [workflow.id for workflow in found] == [*range(1, 41)]
    assert [dict(workflow.extra) for workflow in found if workflow.extra] == [UNREADABLE_VALUE[system]]
    assert (alone.id, alone.phase, alone.extra) == (3, found[2].phase, UNREADABLE_VALUE[system])
    assert (len(server.requests), fake_time.naps) == (2, [])


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_unreadable_value_does_not_end_a_wait(system: str) -> None:
    async def main() -> None:
        clock = running_clock()

        def answer(_: httpx.Request) -> httpx.Response:
            phase = "running" if clock.now() < 20 else "succeeded"
            return httpx.Response(200, content=workflow(system, 7, phase, **UNREADABLE_VALUE[system]))

        async with MockServer(system, answer).client(clock) as client:
            done = await client.workflows.wait(7, poll=FAST_POLL)
        assert done.phase.final
        assert done.extra == UNREADABLE_VALUE[system]

    virtual.run(main())


def test_unreadable_operations_are_not_requested_repeatedly() -> None:
    async def main() -> None:
        clock = running_clock()

        def answer(_: httpx.Request) -> httpx.Response:
            phase = "running" if clock.now() < 20 else "succeeded"
            return httpx.Response(200, content=workflow("opencast", 7, phase, operations=[{"state": "running"}]))

        server = MockServer("opencast", answer)
        async with (
            server.client(clock) as client,
            client.workflows.watch([7], poll=FAST_POLL, operations=True) as changes,
        ):
            events = [change async for change in changes]
        assert [change.workflow.state_text for change in events] == ["running", "succeeded"]
        assert events[-1].workflow.extra == {"operations": [{"state": "running"}]}
        assert len(server.requests) <= 14

    virtual.run(main())


# Rows


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_row_without_an_id_is_an_error_after_the_other_rows(system: str, fake_time: FakeTime) -> None:
    server = list_server(system, NO_ID[system])
    async with server.client(fake_time.clock) as client:
        listing = client.workflows.list(page_size=40)
        found, error = await ids_and_error(listing)
    assert found == [1, 2, *range(4, 41)]
    fault = f"page 1: expected a whole number, got a text @ $[2].{KEYS[system][0]}"
    assert error is not None
    assert error.faults == (fault,)
    assert str(error) == f"the response cannot be read: {fault}"
    assert [row.faults for row in listing.report.unreadable] == [(fault.removeprefix("page 1: "),)]
    assert fake_time.naps == []


CONTEXTS = b"<C><WorkflowContext><Id>1</Id></WorkflowContext><WorkflowContext><Name>n</Name></WorkflowContext></C>"
LISTS: dict[str, list[tuple[Callable[[Any, Any], Any], Any]]] = {
    "opencast": [
        (lambda oc, on: oc.workflows.list(unreadable=on), [row("opencast", 1), {}]),
        (lambda oc, on: oc.workflows.list(unreadable=on, consistency="anchored"), [row("opencast", 1), {}]),
        (lambda oc, on: oc.workflows.list(unreadable=on, consistency="partitioned"), [row("opencast", 1), {}]),
        (lambda oc, on: oc.definitions.list(unreadable=on), [{"identifier": "fast"}, {"title": "no id"}]),
        (lambda oc, on: oc.events.list(unreadable=on), [{"identifier": "e"}, {"identifier": 7}]),
    ],
    "preservica": [
        (lambda pv, on: pv.workflows.list(unreadable=on), page("preservica", [row("preservica", 1), {"Id": "2"}])),
        (lambda pv, on: pv.contexts.list(unreadable=on), CONTEXTS),
        (lambda pv, on: pv.processes.list(unreadable=on), {"configs": [{"apiId": "p"}, {"apiId": " "}]}),
        (lambda pv, on: pv.monitors.list(unreadable=on), {"value": {"monitors": [{"mappedId": "m"}, {}]}}),
        (lambda pv, on: pv.monitors.messages("m", unreadable=on), {"value": {"messages": [{"mappedId": "m"}, 7]}}),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("system", "index"), [(system, index) for system in SYSTEMS for index in range(5)])
async def test_every_list_can_skip_unreadable_rows_and_reports_them(
    system: str, index: int, fake_time: FakeTime
) -> None:
    start_listing, answer = LISTS[system][index]

    def respond(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, bytes):
            return httpx.Response(200, content=b"<I/>" if first_row(request) else answer)
        return httpx.Response(200, json=answer[first_row(request) :] if isinstance(answer, list) else answer)

    async with MockServer(system, respond).client(fake_time.clock) as client:
        skipping, raising = start_listing(client, "skip"), start_listing(client, "raise")
        assert len([row async for row in skipping]) == 1
        assert len(skipping.report.unreadable) == 1
        found, error = await ids_and_error(raising)
        assert len(found) == 1
        assert error is not None
        assert all(fault.startswith("page 1: ") and " @ $" in fault for fault in error.faults)
        assert raising.report.unreadable == skipping.report.unreadable


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_workflow_whose_row_is_unreadable_is_requested_by_its_id(system: str) -> None:
    """One row of the list of active workflows has no readable id, although the workflow runs."""

    async def main() -> None:
        clock = running_clock()

        def answer(request: httpx.Request) -> httpx.Response:
            last = request.url.path.rpartition("/")[2]
            ended = clock.now() >= 60
            if last.isdigit():
                return httpx.Response(200, content=workflow(system, int(last), "succeeded" if ended else "running"))
            active = [] if ended else rows(system, NO_ID[system])
            return httpx.Response(200, content=page(system, active[first_row(request) :], len(active)))

        server = MockServer(system, answer)
        async with server.client(clock) as client:
            outcomes = await client.workflows.wait_all(range(1, 41), poll=FAST_POLL)
        assert {outcome.workflow.phase.final for outcome in outcomes} == {True}
        lists = [request for request in server.requests if not request.url.path.rpartition("/")[2].isdigit()]
        assert len(lists) > 1

    virtual.run(main())


# Responses


@pytest.mark.parametrize("system", SYSTEMS)
async def test_an_unreadable_response_is_requested_once_more(system: str, fake_time: FakeTime) -> None:
    server = mock_server(system, INCOMPLETE[system])
    async with server.client(fake_time.clock) as client:
        with pytest.raises(DecodeError, match=rf"required field missing @ \$\.{KEYS[system][1]}") as caught:
            await client.workflows.get(7)
    assert caught.value.attempts == len(server.requests) == 2
    assert caught.value.body == INCOMPLETE[system].decode()


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_readable_second_response_is_used(system: str, fake_time: FakeTime) -> None:
    server = mock_server(system, INCOMPLETE[system], workflow(system, 7))
    async with server.client(fake_time.clock) as client:
        assert (await client.workflows.get(7)).id == 7
    assert len(server.requests) == 2


@pytest.mark.parametrize("system", SYSTEMS)
async def test_earlier_errors_of_other_kinds_do_not_use_up_this_retry(system: str, fake_time: FakeTime) -> None:
    rest = [httpx.Response(503), httpx.Response(200, content=b"cut {"), httpx.Response(200, content=INCOMPLETE[system])]
    server = MockServer(system, lambda _: rest.pop(0) if rest else httpx.Response(200, content=workflow(system, 7)))
    async with server.client(fake_time.clock, retry=Retry(attempts=9)) as client:
        assert (await client.workflows.get(7)).id == 7
    assert len(server.requests) == 4


@pytest.mark.parametrize("system", SYSTEMS)
async def test_unreadable_responses_count_even_with_other_errors_between_them(system: str, fake_time: FakeTime) -> None:
    incomplete = INCOMPLETE[system]
    rest = [httpx.Response(200, content=incomplete), httpx.Response(503), httpx.Response(200, content=incomplete)]
    server = MockServer(system, lambda _: rest.pop(0))
    async with server.client(fake_time.clock, retry=Retry(attempts=9)) as client:
        with pytest.raises(DecodeError) as caught:
            await client.workflows.get(7)
    assert [attempt.outcome for attempt in caught.value.history] == ["DecodeError", "ServerError", "DecodeError"]


LOGINS = [
    b'{"success": true, "user": "s3cret", "token": ""}',
    b'{"success": true, "tok": "s3cret"}',
    b'["s3cret"]',
    b"s3cret",
    b"",
    b'{"token": "s3cret',
    b"<html>s3cret</html>",
]


@pytest.mark.parametrize("body", LOGINS)
@pytest.mark.parametrize("status", [200, 401])
async def test_an_unreadable_login_keeps_nothing_of_its_response(body: bytes, status: int, fake_time: FakeTime) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == LOGIN
        return httpx.Response(status, content=body)

    http_client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with (
        http_client,
        client_of("preservica", "http://127.0.0.1", http=http_client, clock=fake_time.clock) as client,
    ):
        with pytest.raises((DecodeError, Unauthorized)) as caught:
            await client.workflows.get(7)
    assert vars(caught.value)["body"] == ""
    assert "s3cret" not in f"{caught.value!r} {caught.value} {vars(caught.value)}"


@pytest.mark.parametrize("kind", [ServerError, RateLimited])
async def test_an_error_status_keeps_its_body(kind: type[Any], fake_time: FakeTime) -> None:
    status = 501 if kind is ServerError else 429
    server = MockServer("opencast", lambda _: httpx.Response(status, content=b"no", headers={"retry-after": "9999"}))
    async with server.client(fake_time.clock) as client:
        with pytest.raises(kind) as caught:
            await client.workflows.get(7)
    assert caught.value.body == "no"
