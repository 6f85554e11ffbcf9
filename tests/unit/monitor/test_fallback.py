"""When a list or bulk checks that fail are disabled."""

import math

import pytest
from hypothesis import given, strategies as st

from workflow_async.errors import (
    CallError,
    ConnectFailed,
    DecodeError,
    Forbidden,
    ForeignResponse,
    ListingInconsistent,
    ListingNotSupported,
    NotFound,
    RateLimited,
    ServerError,
)
from workflow_async.monitor._engine.fallback import BULK_FAILURES, DISABLED_FOR, ONLY_LIST, BulkHealth, ListHealth

PASSING = [ServerError(503), RateLimited(429), ConnectFailed("refused"), DecodeError("$"), ForeignResponse(404)]
STAYING = [Forbidden(403), NotFound(404), ListingInconsistent("2 pages")]
passing = pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
staying = pytest.mark.parametrize("error", STAYING, ids=lambda error: type(error).__name__)

COVERED = {3, 5, 7}


# The list


@passing
def test_a_list_that_fails_while_gets_are_answered_is_disabled_and_then_judged_from_the_start(error: CallError) -> None:
    health = ListHealth()
    for _ in range(2):
        found = []
        for _ in range(ONLY_LIST):
            found.append(health.failed(error, COVERED))
            assert health.get_succeeded()
        assert [*found, health.failed(error, COVERED)] == [None] * ONLY_LIST + [DISABLED_FOR]
        assert (health.failures, health.probe) == (0, None)


@staying
def test_a_refused_list_is_disabled_immediately(error: CallError) -> None:
    assert ListHealth().failed(error, COVERED) == DISABLED_FOR


def test_an_unsupported_list_is_disabled_without_end_unless_it_was_read_before() -> None:
    health = ListHealth()
    assert health.failed(ListingNotSupported("404"), COVERED) == math.inf
    health.list_read(0)
    assert health.failed(ListingNotSupported("404"), COVERED) == DISABLED_FOR
    assert health.rows == 0


@passing
def test_a_list_that_fails_while_gets_fail_is_never_disabled(error: CallError) -> None:
    health = ListHealth()
    for _ in range(100):
        assert health.failed(error, COVERED) is None
        health.get_failed(1)


def test_a_failed_get_resets_the_count_of_answered_ones() -> None:
    health = ListHealth()
    for _ in range(10):
        assert health.failed(ServerError(503), COVERED) is None
        assert health.get_succeeded()
        health.get_failed(1)


def test_a_list_that_is_read_resets_the_count_of_its_failures() -> None:
    health = ListHealth()
    for rows in range(10):
        assert health.failed(ServerError(503), COVERED) is None
        assert health.get_succeeded()
        health.list_read(rows)
        assert (health.rows, health.failures) == (rows, 0)
    assert not health.get_succeeded()


def test_only_the_first_response_after_a_failure_makes_the_list_be_read_again() -> None:
    health = ListHealth()
    assert not health.get_succeeded()
    health.failed(ServerError(503), COVERED)
    assert [health.get_succeeded(), health.get_succeeded()] == [True, False]


def test_from_the_second_failure_on_another_workflow_gets_a_get_each_time() -> None:
    health, probes = ListHealth(), []
    health.failed(ServerError(503), COVERED)
    probes.append(health.probe)
    for _ in range(6):
        health.failed(ServerError(503), COVERED)
        probes.append(probe := health.probe)
        assert probe is not None
        assert not health.get_failed(1)
        assert health.get_failed(probe)
        health.get_finished([probe])
        assert not health.get_failed(probe)
    assert set(probes[1:]) == COVERED
    assert probes[0] is None


def test_only_one_get_at_a_time_is_a_probe() -> None:
    health = ListHealth()
    for _ in range(5):
        health.failed(ServerError(503), COVERED)
    probe = health.probe
    health.get_finished([1])
    health.failed(ServerError(503), COVERED)
    assert health.probe == probe is not None


@given(st.integers(1, 10))
def test_a_list_that_should_show_nothing_needs_no_get(failures: int) -> None:
    health = ListHealth()
    for _ in range(failures):
        assert health.failed(ServerError(503), ()) is None
    assert health.probe is None


# Bulk checks


@passing
def test_bulk_checks_are_disabled_after_several_failures_in_a_row(error: CallError) -> None:
    health = BulkHealth()
    found = [health.failed(error) for _ in range(BULK_FAILURES + 2)]
    assert found == [None] * (BULK_FAILURES - 1) + [DISABLED_FOR] * 3
    health.succeeded()
    assert health.failed(error) is None


@staying
def test_refused_bulk_checks_are_disabled_immediately(error: CallError) -> None:
    assert BulkHealth().failed(error) == DISABLED_FOR
