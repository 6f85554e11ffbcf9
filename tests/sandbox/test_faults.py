"""Fault plans: rates, scripts, coverage and their reproducible random values."""

from collections import Counter

import pytest
from hypothesis import given, strategies as st

from workflow_async.sandbox import CannedResponse, Fault, Faults, Trouble
from workflow_async.sandbox.hashing import hash_choice, hash_float, hash_uuid

SEEDS = st.integers()
NUMBERS = st.integers(0, 10**9)


@given(SEEDS, NUMBERS)
def test_the_same_seed_and_number_give_the_same_fault(seed: int, n: int) -> None:
    plan = {Fault.CUT_BODY: 0.3, Fault.LOGIN_PAGE: 0.3}
    assert Faults(seed, rates=plan).fault_for(n) is Faults(seed, rates=plan).fault_for(n)


@given(SEEDS, NUMBERS)
def test_the_default_plan_has_no_faults(seed: int, n: int) -> None:
    assert Faults(seed).fault_for(n) is None


@given(SEEDS, NUMBERS, st.sampled_from(Fault))
def test_a_rate_of_1_applies_to_every_exchange(seed: int, n: int, fault: Fault) -> None:
    assert Faults(seed, rates={fault: 1.0}).fault_for(n) is fault


def test_rates_are_frequencies_over_many_exchanges() -> None:
    plan = Faults(rates={Fault.RATE_LIMITED: 0.2, Fault.CUT_BEFORE: 0.05})
    counts = Counter(plan.fault_for(n) for n in range(20_000))
    assert counts[Fault.RATE_LIMITED] / 20_000 == pytest.approx(0.2, abs=0.01)
    assert counts[Fault.CUT_BEFORE] / 20_000 == pytest.approx(0.05, abs=0.01)


def test_rates_of_responses_and_of_faults_mix() -> None:
    teapot = CannedResponse.empty(418)
    rates: dict[Trouble, float] = {teapot: 0.5, Fault.SERVER_ERROR: 0.5}
    plan = Faults(rates=rates)
    assert {plan.fault_for(n) for n in range(100)} == {teapot, Fault.SERVER_ERROR}


def test_the_script_comes_before_the_rates() -> None:
    plan = Faults(script=(None, Fault.CUT_BODY), rates={Fault.UNAUTHORIZED: 1.0})
    assert [plan.fault_for(n) for n in range(3)] == [None, Fault.CUT_BODY, Fault.UNAUTHORIZED]


@given(SEEDS, NUMBERS)
def test_a_delay_lies_between_its_bounds(seed: int, n: int) -> None:
    assert 0.25 <= Faults(seed, latency=(0.25, 0.5)).delay_for(n) <= 0.5


def test_without_latency_there_is_no_delay() -> None:
    assert Faults().delay_for(7) == 0.0


def test_a_plan_covers_every_exchange_by_default() -> None:
    assert Faults().covers("DELETE", "/anything")


def test_a_plan_covers_its_methods_and_paths_only() -> None:
    plan = Faults(methods=("POST",), paths=("/api/workflows", "/sdb"))
    assert plan.covers("POST", "/sdb/rest/workflow/instances")
    assert not plan.covers("GET", "/api/workflows")
    assert not plan.covers("POST", "/api/events")


def test_one_method_or_path_can_be_a_string() -> None:
    plan = Faults(methods="POST", paths="/api")
    assert (plan.methods, plan.paths) == (("POST",), ("/api",))


@pytest.mark.parametrize("rates", [{Fault.CUT_BODY: 1.5}, {Fault.CUT_BODY: -0.1}, dict.fromkeys(Fault, 0.5)])
def test_rates_that_are_not_probabilities_are_refused(rates: dict[Fault, float]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        Faults(rates=rates)


@pytest.mark.parametrize("latency", [(-1.0, 0.0), (2.0, 1.0)])
def test_a_latency_that_is_not_a_range_is_refused(latency: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="latency"):
        Faults(latency=latency)


def test_a_negative_retry_after_is_refused() -> None:
    with pytest.raises(ValueError, match="retry_after"):
        Faults(retry_after=-1)


@given(st.text(), NUMBERS)
def test_a_hashed_float_is_in_the_unit_interval(about: str, n: int) -> None:
    assert 0 <= hash_float(about, n) < 1


def test_a_hashed_choice_reaches_every_choice() -> None:
    assert {hash_choice("abc", n) for n in range(50)} == set("abc")


def test_a_hashed_uuid_is_unique_and_reproducible() -> None:
    assert len({hash_uuid("event", n) for n in range(1000)}) == 1000
    assert hash_uuid("event", 1) == hash_uuid("event", 1)
