"""Rows of watching a server that is 20 ms away, measured by the wall clock."""

from collections.abc import Iterator, Mapping

from benchmarks.measure import Bench, Figure, Job, Line
from benchmarks.serving import serving

COUNT = 10_000
LATENCY = 0.02
ROWS = {"opencast": 200, "preservica": 100}
"""Rows per page."""
LIST_CONNECTIONS = (16, 32)
"""Numbers of connections: the default, and twice the default."""
GET_CONNECTIONS = 64
DISTANCES = (LATENCY, 3 * LATENCY)
"""Latencies in seconds. With the second one, a slow machine is bound by the latency and not by its CPU."""
BACKENDS = {"httpx": 2.3, "httpx2": 2.3, "aiohttp": 1.3}
"""The greatest allowed ratio to the floor, by backend."""
TIMES_FASTER = 10


def by_list(bench: Bench) -> Iterator[Line]:
    """Measure 10,000 waits on a server with a list."""
    with serving() as url:
        for system in ROWS:
            yield from _by_list(bench, system, url)


def _by_list(bench: Bench, system: str, url: str) -> Iterator[Line]:
    options = {"url": url, "count": COUNT, "latency": LATENCY}
    jobs = {
        str(connections): Job(
            "watching.poll_with_latency", options | {"system": system, "connections": connections, "polls": 3}
        )
        for connections in LIST_CONNECTIONS
    }
    jobs["pyPreservica"] = Job("peers.list_all", options, peer=True)
    found = bench.run(jobs)
    for connections in LIST_CONNECTIONS:
        yield _line(system, connections, found[str(connections)], found.get("pyPreservica"))


def _line(system: str, connections: int, client: Mapping[str, float], peer: Mapping[str, float] | None) -> Line:
    rounds = 1 + (COUNT / ROWS[system] - 1) / connections
    return Line(
        row="watch-far",
        what=f"wall of a poll, {COUNT:,} waits, 20 ms away, {connections} connections, {system}; floor is the latency",
        unit="s",
        client=Figure(value=client["wall"]),
        peer_name="pyPreservica's list",
        peer=None if peer is None else Figure(value=peer["wall"]),
        floor=Figure(value=rounds * LATENCY),
        has_floor=True,
        goal=f"<= {1 / TIMES_FASTER:g}x",
        reached=None if peer is None else client["wall"] <= peer["wall"] / TIMES_FASTER,
    )


def by_get(bench: Bench) -> Iterator[Line]:
    """Measure one check of 10,000 workflows on a server without list and bulk checks, with two latencies."""
    for latency in DISTANCES:
        yield from _by_get(bench, latency)


def _by_get(bench: Bench, latency: float) -> Iterator[Line]:
    options = {"count": COUNT, "latency": latency, "connections": GET_CONNECTIONS}
    bound = COUNT * latency / GET_CONNECTIONS
    with serving() as url:
        jobs = {name: Job("watching.first_checks", options | {"url": url, "backend": name}) for name in BACKENDS}
        bare = {"url": url, "count": COUNT, "at_once": GET_CONNECTIONS, "latency": latency}
        found = bench.run(jobs | {"bare": Job("requesting.bare_aiohttp", bare)})
    peer = Figure(value=found["bare"]["wall"] * COUNT)
    for name, most in BACKENDS.items():
        yield Line(
            row="watch-each",
            what=f"wall of one GET each, {COUNT:,} ids, {latency * 1000:.0f} ms away, {GET_CONNECTIONS} connections, "
            f"{name}; floor is the latency",
            unit="s",
            client=Figure(value=found[name]["wall"]),
            peer_name="plain aiohttp, unchecked",
            peer=peer,
            floor=Figure(value=bound),
            has_floor=True,
            goal=f"<= {most:g}x the floor",
            reached=found[name]["wall"] <= most * bound,
        )
