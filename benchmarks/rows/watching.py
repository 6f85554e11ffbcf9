"""Rows of watching: what ten thousand waits cost, and how well they see."""

from collections.abc import Iterator

from benchmarks.measure import Bench, Figure, Job, Line, certain, cpu
from benchmarks.serving import SANDBOX, serving

COUNT = 10_000
PAGES = 100
CHANGED = 20
TIMES_LESS = 30
"""How many times less than a get each a tick by the list shall cost."""
WAITER = 5 * 1024
WATCHED = 1024
POLLS = 1_000_000
SYSTEMS = ("opencast", "preservica")


def listed(bench: Bench) -> Iterator[Line]:
    """10,000 waits on a server with a list."""
    for system in SYSTEMS:
        with serving() as url:
            yield from _ticks(bench, system, url)
    yield from _sandboxed(bench)


def _ticks(bench: Bench, system: str, url: str) -> Iterator[Line]:
    options = {"system": system, "url": url, "count": COUNT}
    jobs = {
        "tick": Job("watching.tick", options | {"ticks": 2}),
        "changed": Job("watching.tick", options | {"ticks": 2, "changed": CHANGED}),
        "each": Job("watching.get_each", options),
        "floor": Job("floor.pages", options, peer=True),
    }
    if system == "preservica":
        jobs["pyPreservica"] = Job("peers.listing", {"url": url, "count": COUNT}, peer=True)
    found = bench.run(jobs)
    tick, floor = certain(cpu(found["tick"])), cpu(found.get("floor"))
    yield _tick(system, tick, "a get each", cpu(found["each"]), floor, 1 / TIMES_LESS)
    if system == "preservica":
        yield _tick(system, tick, "pyPreservica", cpu(found.get("pyPreservica")), floor, 1.0)
    yield _requests(system, "nothing new", found["tick"]["requests"], 0)
    yield _requests(system, f"{CHANGED} ended", found["changed"]["requests"], CHANGED)


def _tick(system: str, ours: Figure, name: str, peer: Figure | None, floor: Figure | None, most: float) -> Line:
    return Line(
        row="watch-list",
        what=f"CPU of a tick, {COUNT:,} waits, {system}",
        unit="s",
        ours=ours,
        peer_name=name,
        peer=peer,
        floor=floor,
        floored=True,
        goal=f"<= {most:.2g}x {name}",
        reached=None if peer is None else ours.value <= most * peer.value,
    )


def _requests(system: str, what: str, requests: float, changes: int) -> Line:
    return Line(
        row="watch-list",
        what=f"requests a tick, {what}, {system}",
        unit="",
        ours=Figure(value=requests),
        peer_name="a get each",
        peer=Figure(value=COUNT),
        floor=Figure(value=PAGES + changes),
        floored=True,
        goal=f"<= {PAGES} + {changes}",
        reached=requests <= PAGES + changes,
    )


def _sandboxed(bench: Bench) -> Iterator[Line]:
    """The same requests counted by the sandbox, to show that the stub flatters nobody."""
    for system in SYSTEMS:
        with serving(SANDBOX, system, str(COUNT)) as url:
            found = bench.once(Job("watching.real", {"system": system, "url": url, "count": COUNT}))
        yield _requests(system, "nothing new, on the sandbox", found["requests"], 0)


def memory(bench: Bench) -> Iterator[Line]:
    """What a wait holds."""
    with serving() as url:
        for system in SYSTEMS:
            options = {"system": system, "url": url, "count": COUNT}
            found = bench.run(
                {"traced": Job("watching.memory", options), "resident": Job("watching.resident", options)}, rounds=1
            )
            held = found["traced"]["waiter"]
            yield Line(
                row="watch-memory",
                what=f"bytes a waiter above its record, {system}",
                unit="B",
                ours=Figure(value=held),
                goal=f"<= {WAITER:,}",
                reached=held <= WAITER,
            )
            resident = Figure(value=found["resident"]["resident"])
            yield Line(row="watch-memory", what=f"RSS a waiter with its record, {system}", unit="B", ours=resident)
        for system, lists in (("opencast", 1), ("opencast", 0), ("preservica", 1)):
            yield _watched(bench, system, url, lists)


def _watched(bench: Bench, system: str, url: str, lists: int) -> Line:
    held = bench.once(Job("watching.watched", {"system": system, "url": url, "count": COUNT, "lists": lists}))[
        "watched"
    ]
    return Line(
        row="watch-memory",
        what=f"bytes a watched id above its record, {'by the list' if lists else 'by gets'}, {system}",
        unit="B",
        ours=Figure(value=held),
        goal=f"<= {WATCHED:,}",
        reached=held <= WATCHED,
    )


LAGS = {
    "by the list": {"count": 5000, "interval": 1.0, "ends": 200},
    "by glances": {"count": 5000, "interval": 2.0, "ends": 200, "lists": 0},
    "by gets": {"count": 2000, "interval": 2.0, "ends": 200, "lists": 0, "glances": 0},
}


def lag(bench: Bench) -> Iterator[Line]:
    """How late ends are seen, in real time."""
    with serving() as url:
        for way, options in LAGS.items():
            found = bench.run({"ours": Job("lagging.lag", {"url": url} | options)}, rounds=1)["ours"]
            what = f"{way}, {options['count']:,} waits at {found['busy']:.0%} of a core"
            yield _intervals(f"median lag, {what}", found["lag"], 1)
            yield _intervals(f"longest gap, {what}", found["gap"], 2)


def _intervals(what: str, intervals: float, most: int) -> Line:
    ours = Figure(value=intervals)
    goal = f"<= {most} intervals"
    return Line(row="watch-lag", what=what, unit="intervals", ours=ours, goal=goal, reached=intervals <= most)


def spread(bench: Bench) -> Iterator[Line]:
    """10,000 workflows on a server without any list, on virtual time."""
    job = Job("virtual.spread", {"count": COUNT, "interval": 30.0, "intervals": 4})
    peak = bench.once(job)["peak"]
    yield Line(
        row="watch-spread",
        what=f"peak by mean rate of requests, {COUNT:,} ids by gets",
        unit="",
        ours=Figure(value=peak),
        goal="<= 1.2",
        reached=peak <= 1.2,
    )


def same(bench: Bench) -> Iterator[Line]:
    """10,000 waits for one workflow."""
    with serving() as url:
        options = {"system": "opencast", "url": url, "count": COUNT, "ticks": 5}
        found = bench.run({"ours": Job("watching.same", options)})["ours"]
    requests = found["requests"]
    what = f"{COUNT:,} waits for one workflow"
    yield Line(
        row="watch-one",
        what=f"requests an interval, {what}",
        unit="",
        ours=Figure(value=requests),
        goal="1",
        reached=requests == 1,
    )
    yield Line(row="watch-one", what=f"CPU an interval, {what}", unit="s", ours=certain(cpu(found)))


def glanced(bench: Bench) -> Iterator[Line]:
    """10,000 waits on an Opencast from 12 on, which has no list but tells of events."""
    with serving() as url:
        options = {"system": "opencast", "url": url, "count": COUNT}
        found = bench.run(
            {
                "glance": Job("watching.glancing", options | {"interval": 5.0, "intervals": 3}),
                "each": Job("watching.get_each", options),
            },
            rounds=1,
        )
    ours, each = found["glance"], found["each"]
    yield Line(
        row="watch-glance",
        what=f"CPU an interval without a list, {COUNT:,} waits, opencast",
        unit="s",
        ours=Figure(value=ours["cpu"]),
        peer_name="a get each",
        peer=cpu(each),
    )
    yield Line(
        row="watch-glance",
        what=f"requests an interval without a list, {COUNT:,} waits, opencast",
        unit="",
        ours=Figure(value=ours["requests"]),
        peer_name="a get each",
        peer=Figure(value=COUNT),
    )


def soak(bench: Bench) -> Iterator[Line]:
    """A million polls, half of them by gets and half by the list."""
    for way, lists in {"gets": False, "the list": True}.items():
        found = bench.once(Job("virtual.soak", {"count": 1000, "polls": POLLS // 2, "lists": lists}))
        yield Line(
            row="soak",
            what=f"bytes held after {POLLS // 2:,} polls by {way}, against the warm-up's",
            unit="B",
            ours=Figure(value=found["end"]),
            peer_name="when warm",
            peer=Figure(value=found["warm"]),
            goal="<= 1.02x",
            reached=found["growth"] <= 1.02,
        )
