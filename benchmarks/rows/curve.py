"""The growth of the cost of a poll with the number of workflows and of watches."""

from collections.abc import Iterator

from benchmarks.measure import Bench, Figure, Job, Line, PlotPoint
from workflow_async.opencast import monitor_source as opencast
from workflow_async.preservica import monitor_source as preservica

WORKFLOWS = (1_000, 10_000, 100_000, 1_000_000)
WATCHES = (1, 10, 100, 1_000, 10_000)
SHARED = 100
"""The number of workflows that every watch watches."""
PAGES = {"opencast": opencast.PAGE_SIZE, "preservica": preservica.PAGE_SIZE}
"""Rows per page."""
LAST_PAGE = {"opencast": 1, "preservica": 0}
"""Pages that show that the list has ended. Opencast's list has no total."""
ONE_IN = 100
"""One in so many rows changes in a poll with changes."""
TOLERANCE = 1.25
CPU, REQUESTS = "CPU per poll (s)", "requests per poll"


def curve(bench: Bench) -> Iterator[Line]:
    """Measure one watch of more and more workflows, and more and more watches of the same workflows."""
    for system, rows in PAGES.items():
        yield from _by_workflows(bench, system, rows)
    for system in PAGES:
        yield from _by_watches(bench, system)


def _by_workflows(bench: Bench, system: str, rows: int) -> Iterator[Line]:
    jobs = {
        str(workflows): _poll_job(system, workflows, 1, max(1, 100_000 // workflows), ONE_IN) for workflows in WORKFLOWS
    }
    found = bench.run(jobs)
    tenths: dict[str, float] = {}
    for workflows in WORKFLOWS:
        figures = found[str(workflows)]
        for key, series in {"cpu": system, "changed": f"{system}, 1 % changed"}.items():
            point = PlotPoint(panel=f"{CPU}, by workflows watched", series=series, x=workflows)
            what = f"{CPU}, {workflows:,} workflows, one watch, {series}"
            yield _line(what, figures[key], "10x a tenth", tenths.get(key), point)
            tenths[key] = 10 * figures[key]
        point = PlotPoint(panel=f"{REQUESTS}, by workflows watched", series=system, x=workflows)
        what = f"{REQUESTS}, {workflows:,} workflows, one watch, {system}"
        yield _line(what, figures["requests"], "pages", workflows / rows + LAST_PAGE[system], point)


def _by_watches(bench: Bench, system: str) -> Iterator[Line]:
    found = bench.run({str(watches): _poll_job(system, SHARED, watches, 50) for watches in WATCHES})
    for watches in WATCHES:
        what = f"{SHARED} workflows, watched {watches:,} times, {system}"
        for name, key in {CPU: "cpu", REQUESTS: "requests"}.items():
            point = PlotPoint(panel=f"{name}, by watches of the same {SHARED} workflows", series=system, x=watches)
            yield _line(f"{name}, {what}", found[str(watches)][key], "once", found["1"][key], point)


def _poll_job(system: str, workflows: int, watches: int, times: int, one_in: int = 0) -> Job:
    options = {"system": system, "workflows": workflows, "watches": watches, "times": times, "one_in": one_in}
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
