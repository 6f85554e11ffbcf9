"""Counting the workflows of a Preservica: over a socket against the sandbox, and the responses of other servers."""

from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given, strategies as st

from tests.support.stub_clients import NO_RETRIES, MockServer, page, row
from workflow_async import Clock
from workflow_async._core.call import Reply
from workflow_async.errors import DecodeError, Forbidden, InvalidArgument
from workflow_async.preservica import PreservicaClient, calls
from workflow_async.sandbox import CannedResponse, Fault, Faults
from workflow_async.sandbox.systems import FakePreservica

INSTANCES = "/sdb/rest/workflow/instances"


def queries(archive: FakePreservica) -> list[dict[str, list[str]]]:
    return [parse_qs(request.query) for request in archive.requests if request.path == INSTANCES]


# Over a socket


async def test_a_count_equals_the_length_of_the_list_and_costs_one_request(
    archive: FakePreservica, pv: PreservicaClient
) -> None:
    archive.seed(150)
    for filters in ({}, {"state": "Completed"}, {"state": ["Active", "Failed"], "type": "Ingest"}, {"creator": None}):
        archive.requests.clear()
        count = await pv.workflows.count(**filters)
        assert len(queries(archive)) == 1
        listed = [workflow async for workflow in pv.workflows.list(**filters)]
        assert count == len(listed)


async def test_one_row_is_requested_with_the_filters_of_the_list(archive: FakePreservica, pv: PreservicaClient) -> None:
    assert await pv.workflows.count(state="Active", type="Ingest", context=3, creator="me") == 0
    (query,) = queries(archive)
    assert query == {
        "type": ["Ingest"],
        "state": ["Active"],
        "contextId": ["3"],
        "creator": ["me"],
        "latestFirst": ["false"],
        "start": ["0"],
        "max": ["1"],
    }


async def test_a_count_is_retried_after_a_fault(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.seed(5)
    archive.faults = Faults(script=(Fault.SERVER_ERROR,), paths=INSTANCES)
    assert await pv.workflows.count() == 5


async def test_a_user_who_may_not_list_may_not_count(archive: FakePreservica, pv: PreservicaClient) -> None:
    archive.faults = Faults(rates={CannedResponse.empty(403): 1.0}, paths=INSTANCES)
    with pytest.raises(Forbidden):
        await pv.workflows.count()


@pytest.mark.parametrize(("argument", "value"), [("state", "baked"), ("state", []), ("creator", "a,b"), ("color", "x")])
async def test_a_filter_that_cannot_be_sent_is_refused_before_anything_is_sent(
    archive: FakePreservica, pv: PreservicaClient, argument: str, value: Any
) -> None:
    with pytest.raises(InvalidArgument, match=f"^{argument}: "):
        await pv.workflows.count(**{argument: value})
    assert archive.requests == []


# Responses of other servers


async def counted(clock: Clock, body: bytes) -> int:
    async with MockServer("preservica", lambda _: httpx.Response(200, content=body)).client(
        clock, retry=NO_RETRIES
    ) as pv:
        count: int = await pv.workflows.count()
        return count


async def test_a_response_without_a_total_is_an_error_that_names_it(clock: Clock) -> None:
    with pytest.raises(DecodeError, match=r"count the rows of workflows\.list\(\) instead @ /TotalCount") as caught:
        await counted(clock, page("preservica", [row("preservica", 7)]))
    assert "<Id>7</Id>" in caught.value.body


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"<R><TotalCount>many</TotalCount></R>", "expected a whole number, got a text @ /TotalCount"),
        (b"<R><TotalCount>-1</TotalCount></R>", "expected a count, got -1 @ /TotalCount"),
        (b"<R><Id>7</Id><TotalCount>1</TotalCount></R>", "expected WorkflowInstance elements, got Id @ /"),
        (b"<R/>", "required field missing, .* @ /TotalCount"),
        (b"3", "@"),
    ],
)
async def test_another_document_is_refused(clock: Clock, body: bytes, fault: str) -> None:
    with pytest.raises(DecodeError, match=fault):
        await counted(clock, body)


async def test_a_row_that_cannot_be_read_does_not_matter(clock: Clock) -> None:
    assert await counted(clock, page("preservica", [{"State": "?"}], 12)) == 12


@given(st.integers(0, 10**18))
def test_every_total_is_read(total: int) -> None:
    body = f"<I><TotalCount>{total}</TotalCount><Count>0</Count></I>".encode()
    assert calls.count_workflows(()).read(Reply(200, {}, body)) == total


def test_a_mark_is_the_total_and_the_newest_workflow() -> None:
    call = calls.list_mark((("latestFirst", "true"),))
    assert call.params == (("latestFirst", "true"), ("start", "0"), ("max", "1"))
    row = "<WorkflowInstance><Id>7</Id><State>ACTIVE</State></WorkflowInstance>"
    body = f'<W xmlns="{calls.NAMESPACE}"><TotalCount>3</TotalCount><Count>1</Count>{row}</W>'
    assert call.read(Reply(200, {}, body.encode())) == (3, 7)
    assert call.read(Reply(200, {}, b"<W><TotalCount>0</TotalCount></W>")) == (0, None)


def test_a_mark_without_a_total_is_refused() -> None:
    with pytest.raises(DecodeError, match="TotalCount"):
        calls.list_mark(()).read(Reply(200, {}, b"<W/>"))
