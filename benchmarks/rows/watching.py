"""Rows of watching: the cost of 10,000 waits, and the quality of detection."""

from collections.abc import Iterator

from benchmarks.measure import Bench, Figure, Job, Line, cpu, required
from benchmarks.serving import SANDBOX, serving

COUNT = 10_000
PAGES = 100
ENDED = 20
TIMES_FEWER = 30
"""The CPU time of a poll by the list has to be this many times smaller than that of one GET each."""
MAX_BYTES_PER_WAITER = 5 * 1024
MAX_BYTES_PER_ID = 1024
POLLS = 1_000_000
SYSTEMS = ("opencast", "preservica")


def by_list(bench: Bench) -> Iterator[Line]:
    """Measure 10,000 waits on a server with a list."""
    for system in SYSTEMS:
        with serving() as url:
            yield from _polls(bench, system, url)
    yield from _on_sandbox(bench)


def _polls(bench: Bench, system: str, url: str) -> Iterator[Line]:
    options = {"system": system, "url": url, "count": COUNT}
    jobs = {
        "poll": Job("watching.poll", options | {"polls": 2}),
        "changed": Job("watching.poll", options | {"polls": 2, "changed": ENDED}),
        "each": Job("watching.get_each", options),
        "floor": Job("floor.pages", options, peer=True),
    }
    if system == "preservica":
        jobs["pyPreservica"] = Job("peers.list_all", {"url": url, "count": COUNT}, peer=True)
    found = bench.run(jobs)
    poll, floor = required(cpu(found["poll"])), cpu(found.get("floor"))
    yield _cpu_line(system, poll, "one GET each", cpu(found["each"]), floor, 1 / TIMES_FEWER)
    if system == "preservica":
        yield _cpu_line(system, poll, "pyPreservica", cpu(found.get("pyPreservica")), floor, 1.0)
    yield _requests_line(system, "nothing new", found["poll"]["requests"], 0)
    yield _requests_line(system, f"{ENDED} ended", found["changed"]["requests"], ENDED)


def _cpu_line(system: str, client: Figure, name: str, peer: Figure | None, floor: Figure | None, most: float) -> Line:
    return Line(
        row="watch-list",
        what=f"CPU of a poll, {COUNT:,} waits, {system}",
        unit="s",
        client=client,
        peer_name=name,
        peer=peer,
        floor=floor,
        has_floor=True,
        goal=f"<= {most:.2g}x {name}",
        reached=None if peer is None else client.value <= most * peer.value,
    )


def _requests_line(system: str, what: str, requests: float, changes: int) -> Line:
    return Line(
        row="watch-list",
        what=f"requests per poll, {what}, {system}",
        unit="",
        client=Figure(value=requests),
        peer_name="one GET each",
        peer=Figure(value=COUNT),
        floor=Figure(value=PAGES + changes),
        has_floor=True,
        goal=f"<= {PAGES} + {changes}",
        reached=requests <= PAGES + changes,
    )


def _on_sandbox(bench: Bench) -> Iterator[Line]:
    """Count the same requests on the sandbox, to check the stub."""
    for system in SYSTEMS:
        with serving(SANDBOX, system, str(COUNT)) as url:
            found = bench.run_once(Job("watching.poll_sandbox", {"system": system, "url": url, "count": COUNT}))
        yield _requests_line(system, "nothing new, on the sandbox", found["requests"], 0)


def memory(bench: Bench) -> Iterator[Line]:
    """Measure the memory of a wait."""
    with serving() as url:
        for system in SYSTEMS:
            options = {"system": system, "url": url, "count": COUNT}
            found = bench.run(
                {
                    "traced": Job("watching.waiter_memory", options),
                    "resident": Job("watching.waiter_resident", options),
                },
                rounds=1,
            )
            held = found["traced"]["waiter"]
            yield Line(
                row="watch-memory",
                what=f"bytes per waiter, without its record, {system}",
                unit="B",
                client=Figure(value=held),
                goal=f"<= {MAX_BYTES_PER_WAITER:,}",
                reached=held <= MAX_BYTES_PER_WAITER,
            )
            resident = Figure(value=found["resident"]["resident"])
            yield Line(row="watch-memory", what=f"RSS per waiter, with its record, {system}", unit="B", client=resident)
        for system, lists in (("opencast", 1), ("opencast", 0), ("preservica", 1)):
            yield _memory_of_watch(bench, system, url, lists)


def _memory_of_watch(bench: Bench, system: str, url: str, lists: int) -> Line:
    held = bench.run_once(
        Job("watching.watch_memory", {"system": system, "url": url, "count": COUNT, "listing": lists})
    )["watched"]
    return Line(
        row="watch-memory",
        what=f"bytes per watched id, without its record, {'by the list' if lists else 'by GETs'}, {system}",
        unit="B",
        client=Figure(value=held),
        goal=f"<= {MAX_BYTES_PER_ID:,}",
        reached=held <= MAX_BYTES_PER_ID,
    )


LAG_JOBS = {
    "by the list": {"count": 5000, "interval": 1.0, "ends": 200},
    "by bulk checks": {"count": 5000, "interval": 2.0, "ends": 200, "listing": 0},
    "by GETs": {"count": 2000, "interval": 2.0, "ends": 200, "listing": 0, "events_readable": 0},
}


def lag(bench: Bench) -> Iterator[Line]:
    """Measure the lag of detected ends in real time."""
    with serving() as url:
        for method, options in LAG_JOBS.items():
            found = bench.run({"client": Job("lagging.lag", {"url": url} | options)}, rounds=1)["client"]
            what = f"{method}, {options['count']:,} waits at {found['busy']:.0%} of a core"
            yield _lag_line(f"median lag, {what}", found["lag"], 1)
            yield _lag_line(f"longest gap, {what}", found["gap"], 2)


def _lag_line(what: str, intervals: float, most: int) -> Line:
    client = Figure(value=intervals)
    goal = f"<= {most} intervals"
    return Line(row="watch-lag", what=what, unit="intervals", client=client, goal=goal, reached=intervals <= most)


def spread(bench: Bench) -> Iterator[Line]:
    """Measure 10,000 workflows on a server without a list, on virtual time."""
    job = Job("virtual.spread", {"count": COUNT, "interval": 30.0, "intervals": 4})
    peak = bench.run_once(job)["peak"]
    yield Line(
        row="watch-spread",
        what=f"peak by mean rate of requests, {COUNT:,} ids by GETs",
        unit="",
        client=Figure(value=peak),
        goal="<= 1.2",
        reached=peak <= 1.2,
    )


def one_workflow(bench: Bench) -> Iterator[Line]:
    """Measure 10,000 waits for one workflow."""
    with serving() as url:
        options = {"system": "opencast", "url": url, "count": COUNT, "polls": 5}
        found = bench.run({"client": Job("watching.one_workflow", options)})["client"]
    requests = found["requests"]
    what = f"{COUNT:,} waits for one workflow"
    yield Line(
        row="watch-one",
        what=f"requests per interval, {what}",
        unit="",
        client=Figure(value=requests),
        goal="1",
        reached=requests == 1,
    )
    yield Line(row="watch-one", what=f"CPU per interval, {what}", unit="s", client=required(cpu(found)))


def bulk_checks(bench: Bench) -> Iterator[Line]:
    """Measure 10,000 waits on Opencast 12 or later, which has no list but shows states of events."""
    with serving() as url:
        options = {"system": "opencast", "url": url, "count": COUNT}
        found = bench.run(
            {
                "bulk": Job("watching.bulk_checks", options | {"interval": 5.0, "intervals": 3}),
                "each": Job("watching.get_each", options),
            },
            rounds=1,
        )
    client, each = found["bulk"], found["each"]
    yield Line(
        row="watch-bulk",
        what=f"CPU per interval without a list, {COUNT:,} waits, opencast",
        unit="s",
        client=Figure(value=client["cpu"]),
        peer_name="one GET each",
        peer=cpu(each),
    )
    yield Line(
        row="watch-bulk",
        what=f"requests per interval without a list, {COUNT:,} waits, opencast",
        unit="",
        client=Figure(value=client["requests"]),
        peer_name="one GET each",
        peer=Figure(value=COUNT),
    )


def soak(bench: Bench) -> Iterator[Line]:
    """Measure the memory of a million checks, half of them by GETs and half by the list."""
    for method, by_list in {"GETs": False, "the list": True}.items():
        found = bench.run_once(Job("virtual.soak", {"count": 1000, "polls": POLLS // 2, "by_list": by_list}))
        yield Line(
            row="soak",
            what=f"bytes held after {POLLS // 2:,} checks by {method}, compared with the warm-up",
            unit="B",
            client=Figure(value=found["end"]),
            peer_name="after the warm-up",
            peer=Figure(value=found["warm"]),
            goal="<= 1.02x",
            reached=found["growth"] <= 1.02,
        )
