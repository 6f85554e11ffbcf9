"""Rows of single requests by every carrier, and of what there is before the first."""

from collections.abc import Iterator, Mapping

from benchmarks.measure import Bench, Figure, Job, Line, certain, cpu
from benchmarks.serving import serving

Found = Mapping[str, Mapping[str, float]]

MICRO = 1e6
CROWDS = (1, 16, 64, 256, 1000)
MEASURED = 16
"""The crowd that goals are for."""
GOALS = {"httpx": 0.9, "httpx2": 0.75, "aiohttp": 0.55}
"""Our CPU time by that of requests, by carrier."""
FLAT = 1.3
"""The most that any crowd may cost, by what one request at a time does."""
BARE = {"httpx": 64, "httpx2": 256, "aiohttp": 1000}
"""The largest crowd that a library as installed gets through in seconds."""
FAR = 0.02


def capacity(bench: Bench) -> Iterator[Line]:
    """Whether the stub is fast enough to measure by."""
    with serving() as url:
        options = {"url": url, "count": 5000, "at_once": 64}
        ours = Job("requesting.ours", options | {"http": "aiohttp"})
        found = bench.run({"ours": ours, "raw": Job("floor.requests", options, peer=True)})
    fastest, raw = Figure(value=1 / found["ours"]["wall"]), found.get("raw")
    floor = None if raw is None else Figure(value=1 / raw["wall"])
    yield Line(
        row="capacity",
        what="answers of the stub, 64 at once: floor is a raw client",
        unit="/s",
        ours=fastest,
        floor=floor,
        floored=True,
        goal="ours <= 0.33x",
        reached=None if floor is None else fastest.value <= 0.33 * floor.value,
    )


def one(bench: Bench) -> Iterator[Line]:
    """One request, by how many at once."""
    with serving() as url:
        found = {at_once: bench.run(_jobs(url, at_once)) for at_once in CROWDS}
    for carrier in GOALS:
        for at_once in CROWDS:
            yield _by_requests(carrier, at_once, found[at_once])
        yield _flatness(carrier, found)
    for carrier, most in BARE.items():
        for at_once in CROWDS:
            if at_once <= most:
                yield _by_itself(carrier, at_once, found[at_once])


def _jobs(url: str, at_once: int) -> dict[str, Job]:
    options = {"url": url, "count": 2000 if at_once != 64 else 1000, "at_once": at_once}
    jobs = {f"ours by {carrier}": Job("requesting.ours", options | {"http": carrier}) for carrier in GOALS}
    bare = {name: Job(f"requesting.bare_{name}", options) for name, most in BARE.items() if at_once <= most}
    peer = {
        "requests": Job("peers.by_requests", options, peer=True),
        "floor": Job("floor.requests", options, peer=True),
    }
    return jobs | bare | peer


def _by_requests(carrier: str, at_once: int, found: Found) -> Line:
    ours, peer = certain(cpu(found[f"ours by {carrier}"], MICRO)), cpu(found.get("requests"), MICRO)
    goal = GOALS[carrier] if at_once == MEASURED else None
    return Line(
        row="request",
        what=f"CPU a request by {carrier}, {at_once:,} at once",
        unit="us",
        ours=ours,
        peer_name="requests",
        peer=peer,
        floor=cpu(found.get("floor"), MICRO),
        floored=True,
        goal="" if goal is None else f"<= {goal:g}x",
        reached=None if goal is None or peer is None else ours.value <= goal * peer.value,
    )


def _flatness(carrier: str, found: Mapping[int, Found]) -> Line:
    costs = {at_once: certain(cpu(found[at_once][f"ours by {carrier}"], MICRO)) for at_once in CROWDS}
    alone, worst = costs[1], max(costs.values(), key=lambda cost: cost.value)
    return Line(
        row="request",
        what=f"CPU a request by {carrier}, the dearest crowd of 1 to 1,000",
        unit="us",
        ours=worst,
        peer_name="one at a time",
        peer=alone,
        goal=f"<= {FLAT:g}x",
        reached=worst.value <= FLAT * alone.value,
    )


def _by_itself(carrier: str, at_once: int, found: Found) -> Line:
    return Line(
        row="request",
        what=f"CPU a request by {carrier}, {at_once:,} at once, beside the library as installed",
        unit="us",
        ours=certain(cpu(found[f"ours by {carrier}"], MICRO)),
        peer_name=carrier,
        peer=cpu(found[carrier], MICRO),
    )


def burst(bench: Bench) -> Iterator[Line]:
    """1,000 at once on a fresh client."""
    with serving() as url:
        options = {"url": url, "count": 1000, "latency": FAR}
        jobs = {carrier: Job("requesting.burst", options | {"http": carrier}) for carrier in GOALS}
        found = bench.run(jobs | {"bare": Job("requesting.burst_httpx", options)}, rounds=1)
    bare = found["bare"]
    for carrier in GOALS:
        ours = found[carrier]
        yield Line(
            row="burst",
            what=f"answers of gather(1,000) on a fresh client by {carrier}, 20 ms away",
            unit="",
            ours=Figure(value=ours["succeeded"]),
            peer_name="httpx",
            peer=Figure(value=bare["succeeded"]),
            goal="1,000",
            reached=ours["succeeded"] == 1000,
        )
        yield Line(
            row="burst",
            what=f"CPU of it by {carrier}",
            unit="s",
            ours=certain(cpu(ours)),
            peer_name="httpx",
            peer=cpu(bare),
        )
        yield Line(
            row="burst",
            what=f"wall of it by {carrier}; floor is the latency, 16 at a time",
            unit="s",
            ours=Figure(value=ours["wall"]),
            peer_name="httpx",
            peer=Figure(value=bare["wall"]),
            floor=Figure(value=1000 * FAR / 16),
            floored=True,
        )


MADE = "OpencastClient('https://oc.example.org', auth=('user', 'secret'))"
IMPORTS = {
    "import workflow_async": 0.45,
    "from workflow_async import OpencastClient": 0.45,
    f"import workflow_async; workflow_async.{MADE}": None,
}
"""What is run, and our CPU time by that of pyPreservica's import."""
HELP = "import sys; from workflow_async.__main__ import main; sys.argv = ['workflow-async', '--help']; main()"
HELPED = 0.3
"""Seconds of CPU time."""


def imports(bench: Bench) -> Iterator[Line]:
    """The import: of the package, of a client, a client made (which imports its carrier); and `--help`."""
    jobs = {code: Job("imports.fresh", {"code": code, "times": 5}) for code in (*IMPORTS, HELP)}
    peer = Job("imports.fresh", {"code": "import pyPreservica", "times": 5}, peer=True)
    floor = Job("imports.fresh", {"code": "import httpx, attrs, cattrs, anyio", "times": 5})
    found = bench.run(jobs | {"peer": peer, "floor": floor}, rounds=1)
    for (code, goal), said in zip(IMPORTS.items(), ("the package", "a client's class", "a client, made"), strict=True):
        ours, theirs = Figure(value=found[code]["cpu"]), found.get("peer")
        yield Line(
            row="import",
            what=f"CPU of importing {said}, above a bare interpreter; floor is our dependencies'",
            unit="s",
            ours=ours,
            peer_name="pyPreservica",
            peer=None if theirs is None else Figure(value=theirs["cpu"]),
            floor=Figure(value=found["floor"]["cpu"]),
            floored=True,
            goal="" if goal is None else f"<= {goal:g}x",
            reached=None if goal is None or theirs is None else ours.value <= goal * theirs["cpu"],
        )
    helped = Figure(value=found[HELP]["cpu"])
    yield Line(
        row="import",
        what="CPU of `workflow-async --help`, above a bare interpreter",
        unit="s",
        ours=helped,
        goal=f"<= {HELPED:g} s",
        reached=helped.value <= HELPED,
    )
