"""The filters of workflows as one value: what it accepts, what it sends, and which rows match."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workflow_async.errors import InvalidArgument
from workflow_async.preservica import Context, State, Workflow
from workflow_async.preservica.query import WorkflowQuery

EVERY = "Aborted,Active,Completed,Finished_Mixed_Outcome,Pending,Suspended,Unknown,Failed"
NOON = datetime(2025, 11, 18, 12, tzinfo=UTC)


def sent_states(**filters: Any) -> str | None:
    """Return the `state` parameter of these filters."""
    return dict(WorkflowQuery.of(**filters).on_the_wire()).get("state")


def row(state: State) -> Workflow:
    return Workflow(id=7, state=state, state_text=state.value)


def test_without_a_state_every_state_is_named() -> None:
    assert sent_states() == EVERY


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("Active", "Active"),
        ("aCTIVE", "Active"),
        (State.FINISHED_MIXED_OUTCOME, "Finished_Mixed_Outcome"),
        ("finished mixed outcome", "Finished_Mixed_Outcome"),
        (["Active", State.PENDING], "Active,Pending"),
        ({"unknown"}, "Unknown"),
    ],
)
def test_states_are_sent_in_the_servers_own_spelling(given: Any, sent: str) -> None:
    assert sent_states(state=given) == sent


@pytest.mark.parametrize(
    "given", ["Running", "", "Active,Pending", "Cancelled", State.SUSPENDING, ["Active", "x"], [3]]
)
def test_an_unknown_state_is_refused_with_a_list_of_the_states(given: Any) -> None:
    with pytest.raises(
        InvalidArgument, match="^state: must be one of Aborted, Active, Completed, Finished_Mixed_Outcome"
    ):
        sent_states(state=given)


def test_an_empty_list_of_states_is_refused_because_the_server_would_return_everything() -> None:
    with pytest.raises(InvalidArgument, match="^state: must name at least one"):
        sent_states(state=[])


def test_every_filter_is_sent_under_the_servers_name_and_in_one_order() -> None:
    query = WorkflowQuery.of(
        until=NOON, since=NOON, creator="bob", context=Context(id="42", name="x"), type="Ingest", state="active"
    )
    assert query.on_the_wire(newest_first=True) == (
        ("type", "Ingest"),
        ("state", "Active"),
        ("contextId", "42"),
        ("creator", "bob"),
        ("from", "2025-11-18T12:00:00.000Z"),
        ("to", "2025-11-18T12:00:00.000Z"),
        ("latestFirst", "true"),
    )
    assert (query.since, query.until) == (NOON, NOON)


def test_a_filter_can_be_left_out() -> None:
    query = WorkflowQuery.of(state="Failed", type="Ingest")
    assert query.on_the_wire(without=("state",)) == (("type", "Ingest"), ("state", EVERY), ("latestFirst", "false"))
    assert query.on_the_wire(without=("type",)) == (("state", "Failed"), ("latestFirst", "false"))


def test_none_counts_as_not_given() -> None:
    given: Any = dict.fromkeys(("state", "type", "context", "creator", "since", "until"))
    assert WorkflowQuery.of(**given) == WorkflowQuery.of()


def test_filters_are_read_once_and_can_be_sent_repeatedly() -> None:
    def words() -> Iterator[str]:
        yield "Active"

    query = WorkflowQuery.of(state=words())
    assert query.on_the_wire() == query.on_the_wire() == (("state", "Active"), ("latestFirst", "false"))


def test_a_row_matches_by_its_state_alone() -> None:
    query = WorkflowQuery.of(state=["active", "Failed"], type="Ingest")
    assert {state for state in State if query.matches(row(state))} == {State.ACTIVE, State.FAILED}
    assert query.filters_states
    assert all(WorkflowQuery.of(type="Ingest").matches(row(state)) for state in State)
    assert not WorkflowQuery.of(type="Ingest").filters_states


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ({"sate": "Active"}, "sate: is not a filter of workflows. See WorkflowFilters"),
        ({"type": "Export"}, "type: must be one of Ingest"),
        ({"context": "a name"}, "context: must be a Context or its id"),
        ({"creator": "a,b"}, "creator: must not contain a comma"),
        ({"since": NOON.replace(tzinfo=None)}, "since: must be an aware datetime"),
        ({"since": NOON, "until": NOON - timedelta(seconds=1)}, "until: must not be before since"),
    ],
)
def test_an_invalid_filter_is_refused_with_the_reason(filters: Any, why: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{why}"):
        WorkflowQuery.of(**filters)
