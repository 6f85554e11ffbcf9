"""Rows of the synchronous client, beside the asynchronous one and `requests`."""

from collections.abc import Iterator

from benchmarks.measure import Bench, Job, Line, cpu, required
from benchmarks.serving import serving

MICRO = 1e6
CONCURRENCY = (1, 16)
GOALS = {"asynchronous": 1.5, "requests": 1.0}
"""The greatest allowed ratio to the CPU time of a peer."""


def requests(bench: Bench) -> Iterator[Line]:
    """Measure single requests of threads that share one client."""
    with serving() as url:
        for at_once in CONCURRENCY:
            yield from _lines(bench, {"url": url, "count": 2000, "at_once": at_once}, at_once)


def _lines(bench: Bench, options: dict[str, object], at_once: int) -> Iterator[Line]:
    jobs = {
        "synchronous": Job("requesting.synchronous_get", options),
        "asynchronous": Job("requesting.client_get", options),
        "requests": Job("peers.by_requests", options, peer=True),
    }
    found = bench.run(jobs)
    client = required(cpu(found["synchronous"], MICRO))
    for name, goal in GOALS.items():
        peer = cpu(found.get(name), MICRO)
        yield Line(
            row="synchronous",
            what=f"CPU per request of a synchronous client, {at_once} concurrent",
            unit="us",
            client=client,
            peer_name=name,
            peer=peer,
            goal=f"<= {goal:g}x",
            reached=None if peer is None else client.value <= goal * peer.value,
        )
