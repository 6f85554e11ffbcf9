"""Rows of watching a server that is 20 ms away, where the seconds on the wall count."""

from collections.abc import Iterator, Mapping

from benchmarks.measure import Bench, Figure, Job, Line
from benchmarks.serving import serving

COUNT = 10_000
LATENCY = 0.02
ROWS = {"opencast": 200, "preservica": 100}
"""Of a page."""
LISTING = (16, 32)
"""Connections: ours by default, and twice as many."""
GETTING = 64
DISTANCES = (LATENCY, 3 * LATENCY)
"""The second for slow machines, where the processor and not the distance bounds a look at each of 10,000."""
CARRIERS = {"httpx": 2.3, "httpx2": 2.3, "aiohttp": 1.3}
"""How many times the bound a look at each may take, by what carries the bytes."""
TIMES_FASTER = 10


def listed(bench: Bench) -> Iterator[Line]:
    """10,000 waits on a server with a list."""
    with serving() as url:
        for system in ROWS:
            yield from _swept(bench, system, url)


def _swept(bench: Bench, system: str, url: str) -> Iterator[Line]:
    options = {"url": url, "count": COUNT, "latency": LATENCY}
    jobs = {
        str(connections): Job("watching.far", options | {"system": system, "connections": connections, "ticks": 3})
        for connections in LISTING
    }
    jobs["pyPreservica"] = Job("peers.listing", options, peer=True)
    found = bench.run(jobs)
    for connections in LISTING:
        yield _sweep(system, connections, found[str(connections)], found.get("pyPreservica"))


def _sweep(system: str, connections: int, ours: Mapping[str, float], peer: Mapping[str, float] | None) -> Line:
    rounds = 1 + (COUNT / ROWS[system] - 1) / connections
    return Line(
        row="watch-far",
        what=f"wall of a tick, {COUNT:,} waits, 20 ms away, {connections} connections, {system}; floor is the latency",
        unit="s",
        ours=Figure(value=ours["wall"]),
        peer_name="pyPreservica's list",
        peer=None if peer is None else Figure(value=peer["wall"]),
        floor=Figure(value=rounds * LATENCY),
        floored=True,
        goal=f"<= {1 / TIMES_FASTER:g}x",
        reached=None if peer is None else ours["wall"] <= peer["wall"] / TIMES_FASTER,
    )


def got(bench: Bench) -> Iterator[Line]:
    """A look at each of 10,000 on a server that can neither list nor glance, from two distances."""
    for latency in DISTANCES:
        yield from _got(bench, latency)


def _got(bench: Bench, latency: float) -> Iterator[Line]:
    options = {"count": COUNT, "latency": latency, "connections": GETTING}
    bound = COUNT * latency / GETTING
    with serving() as url:
        jobs = {name: Job("watching.first_looks", options | {"url": url, "carrier": name}) for name in CARRIERS}
        bare = {"url": url, "count": COUNT, "at_once": GETTING, "latency": latency}
        found = bench.run(jobs | {"bare": Job("requesting.bare_aiohttp", bare)})
    peer = Figure(value=found["bare"]["wall"] * COUNT)
    for name, most in CARRIERS.items():
        yield Line(
            row="watch-each",
            what=f"wall of a get each, {COUNT:,} ids, {latency * 1000:.0f} ms away, {GETTING} connections, {name}; "
            "floor is the latency",
            unit="s",
            ours=Figure(value=found[name]["wall"]),
            peer_name="aiohttp itself, unchecked",
            peer=peer,
            floor=Figure(value=bound),
            floored=True,
            goal=f"<= {most:g}x the floor",
            reached=found[name]["wall"] <= most * bound,
        )
