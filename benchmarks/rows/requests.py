"""Rows of single requests with every backend, and of imports."""

from collections.abc import Iterator, Mapping

from benchmarks.measure import Bench, Figure, Job, Line, cpu, required
from benchmarks.serving import serving

Figures = Mapping[str, Mapping[str, float]]

MICRO = 1e6
CONCURRENCY = (1, 16, 64, 256, 1000)
GOAL_CONCURRENCY = 16
"""The concurrency that has a goal."""
GOALS = {"httpx": 0.5, "httpx2": 0.5, "aiohttp": 0.5}
"""The greatest allowed ratio to the CPU time of requests, by backend."""
BARE_GOALS = {"aiohttp": 1.35}
"""The greatest allowed ratio to the CPU time of the plain library, by backend."""
MAX_FACTOR = 1.3
"""The greatest allowed ratio of any concurrency to one request at a time."""
MAX_BARE = {"httpx": 64, "httpx2": 256, "aiohttp": 1000}
"""The greatest concurrency that the plain library completes within seconds."""
LATENCY = 0.02
OBSERVERS = ("on_event", "a middleware", "OpenTelemetry")
"""The observers of `benchmarks.jobs.observers`."""


def capacity(bench: Bench) -> Iterator[Line]:
    """Check that the stub is fast enough for measurements."""
    with serving() as url:
        options = {"url": url, "count": 5000, "at_once": 64}
        client = Job("requesting.client_get", options | {"http": "aiohttp"})
        found = bench.run({"client": client, "raw": Job("floor.requests", options, peer=True)})
    fastest, raw = Figure(value=1 / found["client"]["wall"]), found.get("raw")
    floor = None if raw is None else Figure(value=1 / raw["wall"])
    yield Line(
        row="capacity",
        what="responses of the stub, 64 concurrent; floor is a raw client",
        unit="/s",
        client=fastest,
        floor=floor,
        has_floor=True,
        goal="client <= 0.33x",
        reached=None if floor is None else fastest.value <= 0.33 * floor.value,
    )


def request(bench: Bench) -> Iterator[Line]:
    """Measure single requests, by concurrency."""
    with serving() as url:
        found = {at_once: bench.run(_jobs(url, at_once)) for at_once in CONCURRENCY}
    for backend in GOALS:
        for at_once in CONCURRENCY:
            yield _against_requests(backend, at_once, found[at_once])
        yield _flatness(backend, found)
    for backend, most in MAX_BARE.items():
        for at_once in CONCURRENCY:
            if at_once <= most:
                yield _against_bare(backend, at_once, found[at_once])


def _jobs(url: str, at_once: int) -> dict[str, Job]:
    options = {"url": url, "count": 2000 if at_once != 64 else 1000, "at_once": at_once}
    jobs = {f"client with {backend}": Job("requesting.client_get", options | {"http": backend}) for backend in GOALS}
    bare = {name: Job(f"requesting.bare_{name}", options) for name, most in MAX_BARE.items() if at_once <= most}
    peer = {
        "requests": Job("peers.by_requests", options, peer=True),
        "floor": Job("floor.requests", options, peer=True),
    }
    return jobs | bare | peer


def _against_requests(backend: str, at_once: int, found: Figures) -> Line:
    client, peer = required(cpu(found[f"client with {backend}"], MICRO)), cpu(found.get("requests"), MICRO)
    goal = GOALS[backend] if at_once == GOAL_CONCURRENCY else None
    return Line(
        row="request",
        what=f"CPU per request with {backend}, {at_once:,} concurrent",
        unit="us",
        client=client,
        peer_name="requests",
        peer=peer,
        floor=cpu(found.get("floor"), MICRO),
        has_floor=True,
        goal="" if goal is None else f"<= {goal:g}x",
        reached=None if goal is None or peer is None else client.value <= goal * peer.value,
    )


def _flatness(backend: str, found: Mapping[int, Figures]) -> Line:
    costs = {at_once: required(cpu(found[at_once][f"client with {backend}"], MICRO)) for at_once in CONCURRENCY}
    single, greatest = costs[1], max(costs.values(), key=lambda cost: cost.value)
    return Line(
        row="request",
        what=f"CPU per request with {backend}, the most expensive concurrency of 1 to 1,000",
        unit="us",
        client=greatest,
        peer_name="one at a time",
        peer=single,
        goal=f"<= {MAX_FACTOR:g}x",
        reached=greatest.value <= MAX_FACTOR * single.value,
    )


def _against_bare(backend: str, at_once: int, found: Figures) -> Line:
    client, peer = required(cpu(found[f"client with {backend}"], MICRO)), required(cpu(found[backend], MICRO))
    goal = BARE_GOALS.get(backend) if at_once == GOAL_CONCURRENCY else None
    return Line(
        row="request",
        what=f"CPU per request with {backend}, {at_once:,} concurrent, beside the plain library",
        unit="us",
        client=client,
        peer_name=backend,
        peer=peer,
        goal="" if goal is None else f"<= {goal:g}x",
        reached=None if goal is None else client.value <= goal * peer.value,
    )


def observed(bench: Bench) -> Iterator[Line]:
    """Measure what observers add to a request."""
    with serving() as url:
        options = {"url": url, "count": 2000, "at_once": 16, "http": "aiohttp"}
        jobs = {name: Job("requesting.client_get", options | {"observer": name}) for name in ("", *OBSERVERS)}
        found = bench.run(jobs)
    for name in OBSERVERS:
        yield Line(
            row="observe",
            what=f"CPU per request with aiohttp and {name}, 16 concurrent",
            unit="us",
            client=required(cpu(found[name], MICRO)),
            peer_name="without",
            peer=cpu(found[""], MICRO),
        )


def burst(bench: Bench) -> Iterator[Line]:
    """Measure 1,000 concurrent requests on a new client."""
    with serving() as url:
        options = {"url": url, "count": 1000, "latency": LATENCY}
        jobs = {backend: Job("requesting.burst", options | {"http": backend}) for backend in GOALS}
        found = bench.run(jobs | {"bare": Job("requesting.burst_httpx", options)}, rounds=1)
    bare = found["bare"]
    for backend in GOALS:
        client = found[backend]
        yield Line(
            row="burst",
            what=f"successes of gather(1,000) on a new client with {backend}, 20 ms away",
            unit="",
            client=Figure(value=client["succeeded"]),
            peer_name="httpx",
            peer=Figure(value=bare["succeeded"]),
            goal="1,000",
            reached=client["succeeded"] == 1000,
        )
        yield Line(
            row="burst",
            what=f"CPU of it with {backend}",
            unit="s",
            client=required(cpu(client)),
            peer_name="httpx",
            peer=cpu(bare),
        )
        yield Line(
            row="burst",
            what=f"wall of it with {backend}; floor is the latency, 16 at a time",
            unit="s",
            client=Figure(value=client["wall"]),
            peer_name="httpx",
            peer=Figure(value=bare["wall"]),
            floor=Figure(value=1000 * LATENCY / 16),
            has_floor=True,
        )


MAKE_CLIENT = "OpencastClient('https://oc.example.org', auth=('user', 'secret'))"
IMPORT_GOALS = {
    "import workflow_async": 0.45,
    "from workflow_async import OpencastClient": 0.45,
    f"import workflow_async; workflow_async.{MAKE_CLIENT}": 0.6,
}
"""The code, and the greatest allowed ratio to the CPU time of importing pyPreservica."""
HELP_CODE = "import sys; from workflow_async.__main__ import main; sys.argv = ['workflow-async', '--help']; main()"
HELP_GOAL = 0.2
"""Seconds of CPU time."""


def imports(bench: Bench) -> Iterator[Line]:
    """Measure importing the package, importing a client, creating a client (which imports its backend) and `--help`."""
    jobs = {code: Job("imports.fresh", {"code": code, "times": 5}) for code in (*IMPORT_GOALS, HELP_CODE)}
    peer = Job("imports.fresh", {"code": "import pyPreservica", "times": 5}, peer=True)
    floor = Job("imports.fresh", {"code": "import httpx, attrs, cattrs, anyio", "times": 5})
    found = bench.run(jobs | {"peer": peer, "floor": floor}, rounds=1)
    for (code, goal), subject in zip(
        IMPORT_GOALS.items(), ("the package", "a client's class", "a client, made"), strict=True
    ):
        client, other = Figure(value=found[code]["cpu"]), found.get("peer")
        yield Line(
            row="import",
            what=f"CPU of importing {subject}, above a bare interpreter; floor is our dependencies'",
            unit="s",
            client=client,
            peer_name="pyPreservica",
            peer=None if other is None else Figure(value=other["cpu"]),
            floor=Figure(value=found["floor"]["cpu"]),
            has_floor=True,
            goal=f"<= {goal:g}x",
            reached=None if other is None else client.value <= goal * other["cpu"],
        )
    help_cost = Figure(value=found[HELP_CODE]["cpu"])
    yield Line(
        row="import",
        what="CPU of `workflow-async --help`, above a bare interpreter",
        unit="s",
        client=help_cost,
        goal=f"<= {HELP_GOAL:g} s",
        reached=help_cost.value <= HELP_GOAL,
    )
