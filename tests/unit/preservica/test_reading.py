"""Reading every response of the workflow service, without event loop and socket."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from workflow_async import Phase
from workflow_async._core.call import Call, Page, Reply, UnreadableRow
from workflow_async.errors import DecodeError, ResponseMismatch, UnexpectedContent
from workflow_async.preservica import Context, Started, State, Workflow, calls
from workflow_async.preservica.records import AcceptedCounts

T = TypeVar("T")
Sample = Callable[[str], bytes]


def read(call: Call[T], body: bytes, status: int = 200) -> T:
    return call.read(Reply(status, {}, body))


def page(body: bytes, start: int = 0) -> Page[Workflow]:
    return read(calls.list_workflows((("state", "Active"),), size=100, start=start), body)


def unreadable(row: object) -> UnreadableRow:
    """Return the unreadable row that stands in the place of a record."""
    assert isinstance(row, UnreadableRow)
    return row


def instances(*rows: str, **counts: int) -> bytes:
    head = "".join(f"<{name}>{count}</{name}>" for name, count in counts.items())
    return f'<R xmlns="http://workflow.preservica.com">{head}{"".join(rows)}</R>'.encode()


def instance(id: int, **children: str) -> str:
    inner = "".join(f"<{name}>{text}</{name}>" for name, text in {"Id": str(id), "State": "ACTIVE", **children}.items())
    return f"<WorkflowInstance>{inner}</WorkflowInstance>"


def one(**children: str) -> Workflow:
    return read(calls.get_workflow(7), instance(7, **children).encode())


# Contexts


def test_contexts_have_an_id_a_name_and_all_other_elements(sample: Sample) -> None:
    first, second = read(calls.list_contexts(()), sample("contexts.xml")).items
    assert first == Context(id="42", name="Ingest OPEX (Incremental)")
    assert (second.id, second.name, second.extra) == ("184", "Web Crawl & Ingest", {"Active": "true"})


def test_a_single_context_is_a_list_with_any_name_of_root_and_prefix(sample: Sample) -> None:
    assert read(calls.list_contexts(()), sample("contexts-one.xml")).items == (Context(id="42", name="Ingest"),)


def test_no_contexts_are_no_items(sample: Sample) -> None:
    assert read(calls.list_contexts(()), sample("contexts-none.xml")) == Page(())


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"<R><Message>no</Message></R>", "expected WorkflowContext elements, got Message @ /"),
        (b"<R>no</R>", "expected elements, got a text @ /"),
        (b"", "not XML: no element found in line 1 @ /"),
        (b"{}", "not XML: not well-formed (invalid token) in line 1 @ /"),
        (b'<!DOCTYPE R [<!ENTITY a "b">]><R/>', "a DOCTYPE is not allowed @ /"),
    ],
)
def test_a_response_that_is_not_a_list_of_contexts_is_refused_with_its_path(body: bytes, fault: str) -> None:
    with pytest.raises(DecodeError) as caught:
        read(calls.list_contexts(()), body)
    assert caught.value.faults == (fault,)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (b"<WorkflowContext><Name>x</Name></WorkflowContext>", "required field missing @ $[1].Id"),
        (b"<WorkflowContext/>", "expected an object, got a text @ $[1]"),
        (b"<WorkflowContext><Id><A/></Id></WorkflowContext>", "required field missing @ $[1].Id"),
    ],
)
def test_a_context_without_an_id_hides_no_other_context(row: bytes, fault: str) -> None:
    fine = b"<WorkflowContext><Id>42</Id></WorkflowContext>"
    one, bad, two = read(calls.list_contexts(()), b"<R>" + fine + row + fine + b"</R>").items
    assert one == two == Context(id="42")
    assert unreadable(bad).faults == (fault,)


def test_a_login_page_in_place_of_a_list_is_unexpected_content() -> None:
    with pytest.raises(UnexpectedContent):
        read(calls.list_contexts(()), b"<!DOCTYPE html><html></html>")


# Rows


def test_a_row_is_read_completely(sample: Sample) -> None:
    found = page(sample("instances.xml"))
    workflow = found.items[0]
    assert found.total == 423
    assert (workflow.id, workflow.state, workflow.state_text) == (51234, State.COMPLETED, "COMPLETED")
    assert (workflow.phase, workflow.step, workflow.display_state) == (Phase.SUCCEEDED, None, "Completed")
    assert workflow.started == datetime(2025, 11, 18, 9, 15, 2, 123000, tzinfo=UTC)
    assert workflow.finished == datetime(2025, 11, 18, 9, 17, 44, 901000, tzinfo=UTC)
    assert workflow.correlation_id == "604f70a6-7609-4c9f-b714-ee153877c5ec"
    assert (workflow.archival_process_id, workflow.group_id) == ("50011", "8c1f0d5e-17a4-4b52-9f10-3f6f8c1e2a77")
    assert workflow.monitor_id == "aacb79d7c91db789ce0f7c5abe02bf7a"
    assert (workflow.context_id, workflow.context_name) == ("42", "Ingest OPEX (Incremental)")
    assert workflow.definition_id == "com.preservica.core.workflow.ingest.opex.incremental"
    assert (workflow.definition_name, workflow.creator) == ("Ingest OPEX (Incremental)", "manager@example.org")
    assert workflow.extra == {"TopLevelDURecord": "9c43a1"}


def test_an_active_row_has_its_step(sample: Sample) -> None:
    workflow = page(sample("instances.xml")).items[1]
    assert (workflow.step, workflow.finished, workflow.creator) == ("DeleteIngestedFromSource", None, None)


def test_a_row_of_id_and_state_is_enough_and_a_single_row_is_a_list(sample: Sample) -> None:
    (workflow,) = page(sample("instances-sparse.xml")).items
    assert workflow == Workflow(id=7, state=State.PENDING, state_text="PENDING")


@pytest.mark.parametrize("missing", ["Id", "State"])
def test_a_row_without_id_or_state_is_named_by_its_place_and_hides_no_other_row(missing: str) -> None:
    row = instance(8).replace(f"<{missing}>", "<X>").replace(f"</{missing}>", "</X>")
    one, bad, two = page(instances(instance(7), row, instance(9))).items
    assert (one.id, two.id) == (7, 9)
    assert unreadable(bad).faults == (f"required field missing @ $[1].{missing}",)


@pytest.mark.parametrize(
    ("children", "fault"),
    [
        ({"Id": "x"}, "expected a whole number, got a text @ $[0].Id"),
        ({"Id": "<A/>"}, "required field missing @ $[0].Id"),
        ({"State": " "}, "expected a text that is not blank @ $[0].State"),
        ({"State": "<Word>ACTIVE</Word>"}, "required field missing @ $[0].State"),
    ],
)
def test_a_required_value_that_cannot_be_read_is_named_by_its_place(children: dict[str, str], fault: str) -> None:
    (bad,) = page(instances(instance(7, **children))).items
    assert unreadable(bad).faults == (fault,)
    assert unreadable(bad).row["Id"] == ({"A": ""} if children.get("Id") == "<A/>" else children.get("Id", "7"))


ODD_DATES = ["yesterday", "2025-10-26 02:30:00", "2025-10-26T02:30:00", "2025-02-30T00:00:00Z", "1761438600000"]


@pytest.mark.parametrize("said", ODD_DATES)
@pytest.mark.parametrize(("tag", "name"), [("Started", "started"), ("Finished", "finished")])
def test_a_date_that_cannot_be_read_is_none_and_kept_raw(tag: str, name: str, said: str) -> None:
    rows = [instance(id, **({tag: said} if id == 3 else {tag: "2025-10-26T02:30:00Z"})) for id in range(40)]
    found = page(instances(*rows)).items
    assert [workflow.id for workflow in found] == list(range(40))
    assert {workflow.state for workflow in found} == {State.ACTIVE}
    bad = found[3]
    assert (getattr(bad, name), bad.extra) == (None, {tag: said})
    assert all(getattr(workflow, name) for workflow in found if workflow is not bad)
    alone = one(**{tag: said})
    assert (alone.id, alone.state, getattr(alone, name), alone.extra) == (7, State.ACTIVE, None, {tag: said})


def test_blanks_around_a_value_are_ignored() -> None:
    workflow = one(State="\n  ACTIVE  ", Started=" 2025-11-18T09:15:02Z\n", Finished=" ")
    assert (workflow.state_text, workflow.finished) == ("ACTIVE", None)
    assert workflow.started == datetime(2025, 11, 18, 9, 15, 2, tzinfo=UTC)


def test_an_error_document_is_not_an_empty_list() -> None:
    with pytest.raises(DecodeError, match="expected WorkflowInstance elements, got Message @ /"):
        page(b"<ErrorResponse><Message>no</Message></ErrorResponse>")


# Pages


def test_the_next_page_begins_after_the_received_rows(sample: Sample) -> None:
    following = page(sample("instances.xml")).next
    assert following == calls.list_workflows((("state", "Active"),), size=100, start=2)


@pytest.mark.parametrize(
    ("rows", "counts", "start"), [(2, {"TotalCount": 9}, 7), (0, {"TotalCount": 9, "Count": 0}, 3), (0, {}, 3)]
)
def test_a_listing_ends_at_the_total_and_at_an_empty_page(rows: int, counts: dict[str, int], start: int) -> None:
    found = page(instances(*(instance(id) for id in range(rows)), **counts), start)
    assert (len(found.items), found.next) == (rows, None)


def test_without_a_total_a_listing_goes_on_until_a_page_is_empty() -> None:
    found = page(instances(instance(1)))
    assert found.total is None
    assert found.next is not None
    assert found.next.params[-2:] == (("start", "1"), ("max", "100"))


def test_a_total_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(DecodeError, match="expected a whole number, got a text @ /TotalCount"):
        page(b"<R><TotalCount>many</TotalCount></R>")


# States


@pytest.mark.parametrize(
    ("word", "state", "phase"),
    [
        ("PENDING", State.PENDING, Phase.WAITING),
        ("Active", State.ACTIVE, Phase.RUNNING),
        ("SUSPENDING", State.SUSPENDING, Phase.RUNNING),
        ("suspended", State.SUSPENDED, Phase.PARKED),
        ("COMPLETED", State.COMPLETED, Phase.SUCCEEDED),
        ("FINISHED_MIXED_OUTCOME", State.FINISHED_MIXED_OUTCOME, Phase.PARTIAL),
        ("Finished Mixed Outcome", State.FINISHED_MIXED_OUTCOME, Phase.PARTIAL),
        ("FAILED", State.FAILED, Phase.FAILED),
        ("ABORTED", State.ABORTED, Phase.STOPPED),
        ("CANCELLED", State.CANCELLED, Phase.STOPPED),
        ("UNKNOWN", State.UNKNOWN, Phase.UNKNOWN),
        ("HIBERNATING", State.UNKNOWN, Phase.UNKNOWN),
    ],
)
def test_a_state_is_read_in_any_case_and_a_new_word_is_unknown_and_kept(word: str, state: State, phase: Phase) -> None:
    workflow = one(State=word)
    assert (workflow.state, workflow.phase, workflow.state_text) == (state, phase, word)


def test_every_state_has_a_phase_and_unknown_is_not_final() -> None:
    assert all(isinstance(state.phase, Phase) for state in State)
    assert not State.UNKNOWN.phase.final


# One workflow


def test_children_of_unknown_or_unexpected_shape_are_kept_and_never_fatal(sample: Sample) -> None:
    workflow = read(calls.get_workflow(51234), sample("instance-failed.xml"))
    assert (workflow.state, workflow.finished, workflow.display_state) == (State.FAILED, None, "Failed")
    assert (workflow.current_step, workflow.creator) == (None, None)
    extra: Any = workflow.extra
    assert extra["CurrentStepName"] == ["VirusCheck", "Characterise"]
    assert extra["Creator"] == {"Name": "manager"}
    assert extra["TopLevelDURecord"] == ["a", "b"]
    assert extra["Errors"]["Error"][1] == {"@step": "VirusCheck", "Message": "Step VirusCheck failed"}
    assert set(extra) == {"Steps", "Errors", "TopLevelDURecord", "CurrentStepName", "Creator"}


def test_a_response_about_another_workflow_is_a_mismatch(sample: Sample) -> None:
    with pytest.raises(ResponseMismatch, match="requested workflow 8, but the response is about workflow 51234"):
        read(calls.get_workflow(8), sample("instance-failed.xml"))


@pytest.mark.parametrize("body", [b"<WorkflowInstance/>", b"<R><WorkflowInstance><Id>7</Id></WorkflowInstance></R>"])
def test_a_response_without_a_workflow_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError, match=r"required field missing @ \$\.Id"):
        read(calls.get_workflow(7), body)


# Starts, retries, terminations


def started(body: bytes) -> Started:
    return read(calls.start_workflow("42", None, None, "mark-1"), body, 201)


def test_a_start_returns_the_new_workflow_and_its_correlation_id(sample: Sample) -> None:
    found = started(sample("started.xml"))
    assert (found.id, found.correlation_id) == (51300, "mark-1")
    assert found.workflow is not None
    assert (found.workflow.id, found.workflow.phase) == (51300, Phase.WAITING)


def test_a_start_whose_response_has_only_an_id_returns_the_id(sample: Sample) -> None:
    assert started(sample("started-id-only.xml")) == Started(id=51300, correlation_id="mark-1")


@pytest.mark.parametrize("body", [b"", b" \n", b"<WorkflowInstance/>", b"<R><Id>x</Id></R>"])
def test_a_start_whose_response_is_empty_has_happened(body: bytes) -> None:
    assert started(body) == Started(id=None, correlation_id="mark-1")


@pytest.mark.parametrize("body", [b"<html></html>", b"created", b"<R>", b"<R><Name>x</Name></R>"])
def test_a_start_with_an_unrelated_response_cannot_be_read(body: bytes) -> None:
    with pytest.raises(DecodeError):
        started(body)


def test_a_retry_counts_accepted_and_refused_workflows(sample: Sample) -> None:
    assert read(calls.retry_workflows([1]), sample("retried.xml")) == AcceptedCounts(successful=2, failed=1)


@pytest.mark.parametrize("body", [b"", b"<R/>", b"<R><Id>1</Id></R>"])
def test_a_retry_without_counts_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError, match="required field missing @ /SuccessfulNumber"):
        read(calls.retry_workflows([1]), body)


@pytest.mark.parametrize("body", [b"", b"Accepted", b"{}", b"<R/>", b"<R><FailedNumber/></R>"])
def test_a_termination_is_accepted_whatever_the_body_unless_it_counts_failures(body: bytes) -> None:
    assert read(calls.terminate_workflows([1]), body, 202).failed == 0


def test_a_termination_returns_the_counted_failures(sample: Sample) -> None:
    assert read(calls.terminate_workflows([1]), sample("retried.xml"), 202) == AcceptedCounts(successful=2, failed=1)
