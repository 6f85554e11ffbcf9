"""The ratios and counts of the benchmarks, on smaller jobs and with 25 % to spare. Seconds are never compared."""

from collections.abc import Iterator

import pytest

from benchmarks.measure import Bench, Job
from benchmarks.serving import serving

pytestmark = pytest.mark.sweep
by_hand = pytest.mark.soak
"""Marks the ratios that take the longest."""

SYSTEMS = ("opencast", "preservica")
TOLERANCE = 1.25


@pytest.fixture(scope="module")
def stub() -> Iterator[str]:
    with serving(pinned=False) as url:
        yield url


@pytest.fixture
def bench() -> Bench:
    return Bench(rounds=2, pinned=False)


@by_hand
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_list_check_costs_a_tenth_of_single_gets(bench: Bench, stub: str, system: str) -> None:
    options = {"system": system, "url": stub, "count": 2000}
    jobs = {"tick": Job("watching.poll", options), "each": Job("watching.get_each", options)}
    found = bench.run(jobs, rounds=1)
    assert found["tick"]["cpu"] <= found["each"]["cpu"] / 10


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_list_check_requests_pages_and_changed_workflows(bench: Bench, stub: str, system: str) -> None:
    found = bench.run_once(Job("watching.poll", {"system": system, "url": stub, "count": 1950, "changed": 7}))
    assert found["ended"] == 7
    assert found["requests"] <= 20 + 7


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_list_check_without_changes_costs_half_of_one_in_which_every_row_changed(
    bench: Bench, stub: str, system: str
) -> None:
    options = {"system": system, "url": stub, "count": 2000, "polls": 4}
    jobs = {str(changed): Job("watching.poll_rows", options | {"changed": changed}) for changed in (0, 2000)}
    found = bench.run(jobs)
    assert found["0"]["cpu"] <= found["2000"]["cpu"] / 2 * TOLERANCE


def test_a_thousand_waits_for_one_workflow_send_one_request_per_interval(bench: Bench, stub: str) -> None:
    found = bench.run_once(Job("watching.one_workflow", {"system": "opencast", "url": stub, "count": 1000, "polls": 3}))
    assert found["requests"] == 1


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_waiter_holds_five_kilobytes_above_its_record(bench: Bench, stub: str, system: str) -> None:
    found = bench.run_once(Job("watching.waiter_memory", {"system": system, "url": stub, "count": 2000}))
    assert found["waiter"] <= 5 * 1024 * TOLERANCE


@pytest.mark.parametrize(
    ("system", "listing"), [("opencast", 1), pytest.param("opencast", 0, marks=by_hand), ("preservica", 1)]
)
def test_a_watched_id_holds_a_kilobyte_above_its_record_and_its_row(
    bench: Bench, stub: str, system: str, listing: int
) -> None:
    count = 2000 if listing else 4000  # Used connections hold as much memory as 200 ids.
    found = bench.run_once(
        Job("watching.watch_memory", {"system": system, "url": stub, "count": count, "listing": listing})
    )
    assert found["watched"] <= 1024 * TOLERANCE
    assert found["rows"] <= 2


@by_hand
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_list_check_with_latency_requests_pages_concurrently(bench: Bench, stub: str, system: str) -> None:
    options = {"system": system, "url": stub, "count": 4000, "latency": 0.05, "polls": 1}
    jobs = {
        name: Job("watching.poll_with_latency", options | {"connections": number})
        for name, number in (("one", 1), ("eight", 8))
    }
    found = bench.run(jobs, rounds=1)
    assert found["eight"]["wall"] <= found["one"]["wall"] / 2
    assert found["eight"]["requests"] == found["one"]["requests"]


def test_a_listing_with_latency_prefetches_pages(bench: Bench, stub: str) -> None:
    options = {"system": "preservica", "url": stub, "count": 2000, "latency": 0.05}
    jobs = {str(ahead): Job("listing.read_all", options | {"ahead": ahead}) for ahead in (1, 8)}
    found = bench.run(jobs, rounds=1)
    assert found["8"]["wall"] <= found["1"]["wall"] / 2
    assert found["8"]["requests"] == found["1"]["requests"] == 20


def test_a_listing_holds_no_more_pages_than_it_prefetches(bench: Bench, stub: str) -> None:
    found = bench.run_once(Job("listing.memory", {"url": stub, "count": 5000}))
    assert found["peak"] <= 2 * 16 * TOLERANCE * found["page"]


def test_decoding_a_page_uses_less_memory_than_its_tree(bench: Bench) -> None:
    found = bench.run_once(Job("reading.json_peak", {"rows": 100, "operations": 20}))
    assert found["client"] <= found["tree"] / 4 * TOLERANCE


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_cost_of_a_list_check_grows_with_the_pages(bench: Bench, system: str) -> None:
    options = {"system": system, "watches": 1}
    jobs = {
        str(count): Job("curve.polls", options | {"workflows": count, "times": times})
        for count, times in ((1000, 30), (10_000, 4))
    }
    found = bench.run(jobs)
    assert found["10000"]["cpu"] <= 20 * found["1000"]["cpu"]  # It would be 100 if the cost grew quadratically.
    assert found["10000"]["requests"] <= 10 * found["1000"]["requests"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_cost_of_a_list_check_does_not_depend_on_the_number_of_watches(bench: Bench, system: str) -> None:
    options = {"system": system, "workflows": 200, "times": 50}
    jobs = {str(count): Job("curve.polls", options | {"watches": count}) for count in (1, 300)}
    found = bench.run(jobs)
    assert found["300"]["cpu"] <= 2 * TOLERANCE * found["1"]["cpu"]
    assert found["300"]["requests"] == found["1"]["requests"]


def test_gets_are_spread_evenly_over_the_interval(bench: Bench) -> None:
    found = bench.run_once(Job("virtual.spread", {"count": 3000, "interval": 30.0, "intervals": 2}))
    assert found["peak"] <= 1.2 * TOLERANCE


def test_memory_does_not_grow_with_the_number_of_polls(bench: Bench) -> None:
    found = bench.run_once(Job("virtual.soak", {"count": 200, "polls": 20_000, "by_list": True}))
    assert found["growth"] <= 1.02 * TOLERANCE


def test_16_concurrent_requests_cost_less_than_with_httpx(bench: Bench, stub: str) -> None:
    options = {"url": stub, "count": 200, "at_once": 16}
    found = bench.run({"client": Job("requesting.client_get", options), "httpx": Job("requesting.bare_httpx", options)})
    assert found["client"]["cpu"] <= found["httpx"]["cpu"] / TOLERANCE


def test_a_synchronous_request_costs_half_as_much_again_as_an_asynchronous_one(bench: Bench, stub: str) -> None:
    options = {"url": stub, "count": 400, "at_once": 16}
    jobs = {name: Job(f"requesting.{name}_get", options) for name in ("synchronous", "client")}
    found = bench.run(jobs)
    assert found["synchronous"]["cpu"] <= 1.5 * TOLERANCE * found["client"]["cpu"]


@pytest.mark.parametrize(
    ("client", "hand", "options", "goal"),
    [
        pytest.param("json_page", "json_by_hand", {"operations": 20, "times": 5}, 1.5, id="json with operations"),
        pytest.param("json_page", "json_by_hand", {"operations": 0, "times": 100}, 1.5, id="json"),
        pytest.param("xml_page", "xml_by_hand", {"times": 50}, 1.5, id="xml"),
    ],
)
def test_decoding_a_page_costs_little_more_than_hand_written_code(
    bench: Bench, client: str, hand: str, options: dict[str, int], goal: float
) -> None:
    jobs = {name: Job(f"reading.{job}", {"rows": 100} | options) for name, job in (("client", client), ("hand", hand))}
    found = bench.run(jobs)
    assert found["client"]["cpu"] <= goal * TOLERANCE * found["hand"]["cpu"]
