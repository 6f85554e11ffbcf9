"""Rows of whole listings, and of their first item."""

from collections.abc import Iterator, Mapping

from benchmarks.measure import Bench, Figure, Job, Line, certain, cpu
from benchmarks.serving import serving

MANY = 100_000
SOME = 10_000
FAR = 0.02
PAGE = 100
AHEAD = 16
"""Pages at once by default."""


def first(bench: Bench) -> Iterator[Line]:
    """The first item of a listing."""
    with serving() as url:
        options = {"url": url, "latency": FAR}
        found = bench.run({"ours": Job("listing.first_item", options), "bare": Job("listing.bare_request", options)})
    ours, bare = certain(cpu(found["ours"])), certain(cpu(found["bare"]))
    what = "the first item of a listing, 20 ms away, fresh client"
    yield _line("first", f"CPU of {what}", ours, "one httpx request", bare, 1.25)
    latency = Figure(value=FAR)
    name = "one httpx request"
    yield _line("first", f"wall of {what}; floor is the latency", _wall(ours), name, _wall(bare), 1.5, latency)


def near(bench: Bench) -> Iterator[Line]:
    """100,000 workflows, next door."""
    found = _listed(bench, 0.0, {"ours": {}})
    line = {name: certain(cpu(figures)) for name, figures in found.items()}
    wall = {name: _wall(figure) for name, figure in line.items()}
    what = f"listing {MANY:,} workflows, next door"
    yield _line("list", f"CPU of {what}", line["ours"], "pyPreservica", line.get("peer"), 0.5, line.get("floor"))
    yield _line("list", f"wall of {what}", wall["ours"], "pyPreservica", wall.get("peer"), 0.4, wall.get("floor"))


def opencast(bench: Bench) -> Iterator[Line]:
    """10,000 workflows of an Opencast, next door."""
    with serving() as url:
        options = {"url": url, "count": SOME}
        jobs = {
            "ours": Job("listing.whole", options | {"system": "opencast"}),
            "peer": Job("peers.ocpy_listing", options, peer=True),
            "floor": Job("floor.pages", options | {"system": "opencast"}, peer=True),
        }
        found = bench.run(jobs)
    line = {name: certain(cpu(figures)) for name, figures in found.items()}
    what = f"CPU of listing {SOME:,} workflows of an Opencast, next door"
    yield _line("list-opencast", what, line["ours"], "ocpy", line.get("peer"), 0.4, line.get("floor"))


def far(bench: Bench) -> Iterator[Line]:
    """100,000 workflows, 20 ms away, by how many pages at once."""
    found = _listed(bench, FAR, {"alone": {"ahead": 1}, "eight": {"ahead": 8}, "ours": {}})
    wall = {name: _wall(certain(cpu(figures))) for name, figures in found.items()}
    for name, pages, most in (("alone", 1, 1.0), ("eight", 8, 1 / 7), ("ours", 16, 1 / 10)):
        what = f"wall of listing {MANY:,} workflows, 20 ms away, pages at once: {pages}; floor is the latency"
        floor = Figure(value=MANY / PAGE * FAR / pages)
        yield _line("list-far", what, wall[name], "pyPreservica", wall.get("peer"), most, floor)


def memory(bench: Bench) -> Iterator[Line]:
    """What a listing holds that is read row by row."""
    with serving() as url:
        found = bench.once(Job("listing.memory", {"url": url, "count": 2 * SOME}))
    pages = found["peak"] / found["page"]
    yield Line(
        row="list-memory",
        what=f"pages held at the peak of reading {2 * SOME:,} workflows row by row, {AHEAD} at once",
        unit="",
        ours=Figure(value=pages),
        peer_name="pages at once",
        peer=Figure(value=AHEAD),
        goal=f"<= {2 * AHEAD}",
        reached=pages <= 2 * AHEAD,
    )
    yield Line(
        row="list-memory",
        what="bytes remembered of each row that was given, so that none is given twice; peer is the row itself",
        unit="B",
        ours=Figure(value=found["remembered"]),
        peer_name="its record",
        peer=Figure(value=found["page"] / PAGE),
    )


def _listed(bench: Bench, latency: float, ours: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, float]]:
    with serving() as url:
        options = {"url": url, "count": MANY, "latency": latency}
        whole = options | {"system": "preservica"}
        jobs = {name: Job("listing.whole", {**whole, **asked}) for name, asked in ours.items()}
        peers = {"peer": Job("peers.listing", options, peer=True)}
        if not latency:
            peers["floor"] = Job("floor.pages", whole, peer=True)
        return bench.run(jobs | peers, rounds=1 if latency else None)


def _wall(figure: Figure) -> Figure:
    return Figure(value=figure.wall or 0.0)


def _line(
    row: str, what: str, ours: Figure, name: str, peer: Figure | None, most: float, floor: Figure | None = None
) -> Line:
    return Line(
        row=row,
        what=what,
        unit="s",
        ours=ours,
        peer_name=name,
        peer=peer,
        floor=floor,
        floored=floor is not None,
        goal=f"<= {most:.2g}x {name}",
        reached=None if peer is None else ours.value <= most * peer.value,
    )
