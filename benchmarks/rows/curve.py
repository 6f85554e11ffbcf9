"""The growth of the cost of a poll with the number of workflows and of watches."""

from collections.abc import Iterator

from benchmarks.measure import Bench, Figure, Job, Line, PlotPoint

WORKFLOWS = (1_000, 10_000, 100_000, 1_000_000)
WATCHES = (1, 10, 100, 1_000, 10_000)
SHARED = 100
"""The number of workflows that every watch watches."""
PAGES = {"opencast": 200, "preservica": 100}
"""Rows per page."""
TOLERANCE = 1.25
CPU, REQUESTS = "CPU per poll (s)", "requests per poll"


def curve(bench: Bench) -> Iterator[Line]:
    """Measure one watch of more and more workflows, and more and more watches of the same workflows."""
    for system, rows in PAGES.items():
        yield from _by_workflows(bench, system, rows)
    for system in PAGES:
        yield from _by_watches(bench, system)


def _by_workflows(bench: Bench, system: str, rows: int) -> Iterator[Line]:
    jobs = {str(workflows): _poll_job(system, workflows, 1, max(1, 100_000 // workflows)) for workflows in WORKFLOWS}
    found = bench.run(jobs)
    tenth: float | None = None
    for workflows in WORKFLOWS:
        cpu, requests = found[str(workflows)]["cpu"], found[str(workflows)]["requests"]
        point = PlotPoint(panel=f"{CPU}, by workflows watched", series=system, x=workflows)
        what = f"{workflows:,} workflows, one watch, {system}"
        yield _line(f"{CPU}, {what}", cpu, "10x a tenth", tenth, point)
        point = PlotPoint(panel=f"{REQUESTS}, by workflows watched", series=system, x=workflows)
        yield _line(f"{REQUESTS}, {what}", requests, "full pages", workflows / rows, point)
        tenth = 10 * cpu


def _by_watches(bench: Bench, system: str) -> Iterator[Line]:
    found = bench.run({str(watches): _poll_job(system, SHARED, watches, 50) for watches in WATCHES})
    for watches in WATCHES:
        what = f"{SHARED} workflows, watched {watches:,} times, {system}"
        for name, key in {CPU: "cpu", REQUESTS: "requests"}.items():
            point = PlotPoint(panel=f"{name}, by watches of the same {SHARED} workflows", series=system, x=watches)
            yield _line(f"{name}, {what}", found[str(watches)][key], "once", found["1"][key], point)


def _poll_job(system: str, workflows: int, watches: int, times: int) -> Job:
    options = {"system": system, "workflows": workflows, "watches": watches, "times": times}
    return Job("curve.polls", options)


def _line(what: str, client: float, name: str, reference: float | None, point: PlotPoint) -> Line:
    return Line(
        row="curve",
        what=what,
        unit="",
        client=Figure(value=client),
        peer_name=name if reference is not None else "",
        peer=None if reference is None else Figure(value=reference),
        goal=f"<= {TOLERANCE:g}x" if reference is not None else "",
        reached=None if reference is None else client <= TOLERANCE * reference,
        point=point,
    )
