"""Rows of single requests, and of what there is before the first."""

from collections.abc import Iterator, Mapping

from benchmarks.measure import Bench, Figure, Job, Line, certain, cpu
from benchmarks.serving import serving

MICRO = 1e6
CROWDS = (1, 16, 64, 256, 1000)
BARE = frozenset({1, 16, 64})
"""Crowds that httpx as installed gets through in seconds."""
FAR = 0.02


def capacity(bench: Bench) -> Iterator[Line]:
    """Whether the stub is fast enough to measure by."""
    with serving() as url:
        options = {"url": url, "count": 5000, "at_once": 64}
        found = bench.run({"ours": Job("requesting.ours", options), "raw": Job("floor.requests", options, peer=True)})
    ours, raw = Figure(value=1 / found["ours"]["wall"]), found.get("raw")
    floor = None if raw is None else Figure(value=1 / raw["wall"])
    yield Line(
        row="capacity",
        what="answers of the stub, 64 at once: floor is a raw client",
        unit="/s",
        ours=ours,
        peer_name="",
        floor=floor,
        floored=True,
        goal="ours <= 0.33x",
        reached=None if floor is None else ours.value <= 0.33 * floor.value,
    )


def one(bench: Bench) -> Iterator[Line]:
    """One request, by how many at once."""
    with serving() as url:
        for at_once in CROWDS:
            options = {"url": url, "count": 2000 if at_once != 64 else 1000, "at_once": at_once}
            yield from _one(bench, options, at_once)


def _one(bench: Bench, options: Mapping[str, object], at_once: int) -> Iterator[Line]:
    jobs = {
        "ours": Job("requesting.ours", options),
        "requests": Job("peers.by_requests", options, peer=True),
        "aiohttp": Job("peers.by_aiohttp", options, peer=True),
        "floor": Job("floor.requests", options, peer=True),
    }
    if at_once in BARE:
        jobs["httpx"] = Job("requesting.bare_httpx", options)
    found = bench.run(jobs)
    for name in ("requests", "httpx", "aiohttp"):
        if name not in jobs:
            continue
        ours, peer = certain(cpu(found["ours"], MICRO)), cpu(found.get(name), MICRO)
        beaten = name != "aiohttp"
        yield Line(
            row="request",
            what=f"CPU a request, {at_once:,} at once",
            unit="us",
            ours=ours,
            peer_name=name,
            peer=peer,
            floor=cpu(found.get("floor"), MICRO),
            floored=True,
            goal="< 1x" if beaten else "",
            reached=ours.value < peer.value if beaten and peer is not None else None,
        )


def burst(bench: Bench) -> Iterator[Line]:
    """1,000 at once on a fresh client."""
    with serving() as url:
        options = {"url": url, "count": 1000, "latency": FAR}
        found = bench.run(
            {"ours": Job("requesting.burst", options), "httpx": Job("requesting.burst_httpx", options)}, rounds=1
        )
    ours, bare = found["ours"], found["httpx"]
    yield Line(
        row="burst",
        what="answers of gather(1,000) on a fresh client, 20 ms away",
        unit="",
        ours=Figure(value=ours["succeeded"]),
        peer_name="httpx",
        peer=Figure(value=bare["succeeded"]),
        goal="1,000",
        reached=ours["succeeded"] == 1000,
    )
    yield Line(
        row="burst",
        what="CPU of it",
        unit="s",
        ours=certain(cpu(ours)),
        peer_name="httpx",
        peer=cpu(bare),
    )


def first(bench: Bench) -> Iterator[Line]:
    """The first item of a listing."""
    with serving() as url:
        options = {"url": url, "latency": FAR}
        found = bench.run(
            {"ours": Job("requesting.first_item", options), "bare": Job("requesting.bare_request", options)}
        )
    ours, bare = certain(cpu(found["ours"])), certain(cpu(found["bare"]))
    yield Line(
        row="first",
        what="first item of a listing, 20 ms away, fresh client",
        unit="s",
        ours=ours,
        peer_name="one httpx request",
        peer=bare,
        goal="<= 1.25x",
        reached=ours.value <= 1.25 * bare.value,
    )


def imports(bench: Bench) -> Iterator[Line]:
    """The import."""
    found = bench.run(
        {
            "ours": Job("imports.fresh", {"module": "workflow_async", "times": 5}),
            "httpx": Job("imports.fresh", {"module": "httpx, attrs, cattrs, anyio", "times": 5}),
            "peer": Job("imports.fresh", {"module": "pyPreservica", "times": 5}, peer=True),
        },
        rounds=1,
    )
    ours, peer = Figure(value=found["ours"]["cpu"]), found.get("peer")
    yield Line(
        row="import",
        what="CPU of the import above a bare interpreter; floor is our dependencies'",
        unit="s",
        ours=ours,
        peer_name="pyPreservica",
        peer=None if peer is None else Figure(value=peer["cpu"]),
        floor=Figure(value=found["httpx"]["cpu"]),
        floored=True,
        goal="<= 0.45x",
        reached=None if peer is None else ours.value <= 0.45 * peer["cpu"],
    )
