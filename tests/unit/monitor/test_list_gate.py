"""When a list is not read because its mark is the same."""

import math

import pytest

from workflow_async.monitor._engine.list_gate import MIN_PAGES, ListGate

CEILING = 30.0
IDS = frozenset({1, 2, 3})


@pytest.fixture
def gate() -> ListGate:
    """Return the gate of a list that was read after its mark `a` had been requested, and showed no change."""
    gate = ListGate()
    gate.list_read("a", IDS, quiet=True)
    return gate


def test_the_mark_of_a_quiet_list_is_requested(gate: ListGate) -> None:
    assert gate.wants_mark(MIN_PAGES, 0.0)


def test_no_mark_is_requested_before_the_list_was_read() -> None:
    assert not ListGate().wants_mark(MIN_PAGES, 0.0)


def test_the_mark_of_a_short_list_saves_too_little(gate: ListGate) -> None:
    assert not gate.wants_mark(MIN_PAGES - 1, 0.0)


def test_the_mark_of_a_list_that_changes_is_not_worth_a_request(gate: ListGate) -> None:
    gate.list_read("b", IDS, quiet=False)
    assert not gate.wants_mark(MIN_PAGES, 0.0)


def test_after_a_failure_the_list_is_read_before_its_mark(gate: ListGate) -> None:
    gate.list_failed()
    assert not gate.wants_mark(MIN_PAGES, 0.0)
    assert not gate.may_skip("a", IDS, 0.0, CEILING)


@pytest.mark.parametrize("until", [300.0, math.inf])
def test_a_mark_that_failed_is_not_requested_for_a_while(gate: ListGate, until: float) -> None:
    gate.disable(until)
    assert not gate.wants_mark(MIN_PAGES, 299.0)
    assert gate.wants_mark(MIN_PAGES, 300.0) is (until < math.inf)


def test_a_list_with_the_same_mark_is_skipped(gate: ListGate) -> None:
    assert gate.may_skip("a", IDS, 0.0, CEILING)


def test_a_list_with_another_mark_is_read(gate: ListGate) -> None:
    assert not gate.may_skip("b", IDS, 0.0, CEILING)


def test_a_list_without_a_mark_is_read(gate: ListGate) -> None:
    gate.list_read(None, IDS, quiet=True)
    assert not gate.may_skip(None, IDS, 0.0, CEILING)


def test_a_list_that_has_not_shown_a_workflow_is_read(gate: ListGate) -> None:
    assert not gate.may_skip("a", IDS | {4}, 0.0, CEILING)


def test_a_list_is_read_at_the_latest_the_ceiling_after_the_first_skip(gate: ListGate) -> None:
    assert gate.skipped(100.0, 110.0, CEILING) == 110.0
    assert gate.skipped(110.0, 140.0, CEILING) == 130.0
    assert gate.may_skip("a", IDS, 129.0, CEILING)
    assert not gate.may_skip("a", IDS, 130.0, CEILING)


def test_after_the_list_was_read_the_ceiling_counts_anew(gate: ListGate) -> None:
    gate.skipped(100.0, 110.0, CEILING)
    gate.list_read("a", IDS, quiet=True)
    assert gate.may_skip("a", IDS, 500.0, CEILING)
    assert gate.skipped(500.0, 600.0, CEILING) == 530.0
