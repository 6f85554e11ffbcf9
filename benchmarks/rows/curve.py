"""How the cost of a tick grows: with pages, and not with watchers."""

from collections.abc import Iterator

from benchmarks.measure import Bench, Figure, Job, Line, Spot

WORKFLOWS = (1_000, 10_000, 100_000, 1_000_000)
WATCHES = (1, 10, 100, 1_000, 10_000)
SHARED = 100
"""Workflows that every watch watches."""
PAGES = {"opencast": 200, "preservica": 100}
"""Rows of one."""
SPARE = 1.25
CPU, REQUESTS = "CPU a tick (s)", "requests a tick"


def curve(bench: Bench) -> Iterator[Line]:
    """One watch of ever more workflows, and ever more watches of the same."""
    for system, rows in PAGES.items():
        yield from _growing(bench, system, rows)
    for system in PAGES:
        yield from _shared(bench, system)


def _growing(bench: Bench, system: str, rows: int) -> Iterator[Line]:
    jobs = {str(workflows): _ticks(system, workflows, 1, max(1, 100_000 // workflows)) for workflows in WORKFLOWS}
    found = bench.run(jobs)
    tenth: float | None = None
    for workflows in WORKFLOWS:
        cpu, requests = found[str(workflows)]["cpu"], found[str(workflows)]["requests"]
        spot = Spot(panel=f"{CPU}, by workflows watched", series=system, x=workflows)
        what = f"{workflows:,} workflows, one watch, {system}"
        yield _line(f"{CPU}, {what}", cpu, "10x a tenth", tenth, spot)
        spot = Spot(panel=f"{REQUESTS}, by workflows watched", series=system, x=workflows)
        yield _line(f"{REQUESTS}, {what}", requests, "full pages", workflows / rows, spot)
        tenth = 10 * cpu


def _shared(bench: Bench, system: str) -> Iterator[Line]:
    found = bench.run({str(watches): _ticks(system, SHARED, watches, 50) for watches in WATCHES})
    for watches in WATCHES:
        what = f"{SHARED} workflows, watched {watches:,} times, {system}"
        for name, key in {CPU: "cpu", REQUESTS: "requests"}.items():
            spot = Spot(panel=f"{name}, by watches of the same {SHARED} workflows", series=system, x=watches)
            yield _line(f"{name}, {what}", found[str(watches)][key], "once", found["1"][key], spot)


def _ticks(system: str, workflows: int, watches: int, times: int) -> Job:
    options = {"system": system, "workflows": workflows, "watches": watches, "times": times}
    return Job("curve.ticks", options)


def _line(what: str, ours: float, name: str, reference: float | None, spot: Spot) -> Line:
    return Line(
        row="curve",
        what=what,
        unit="",
        ours=Figure(value=ours),
        peer_name=name if reference is not None else "",
        peer=None if reference is None else Figure(value=reference),
        goal=f"<= {SPARE:g}x" if reference is not None else "",
        reached=None if reference is None else ours <= SPARE * reference,
        spot=spot,
    )
