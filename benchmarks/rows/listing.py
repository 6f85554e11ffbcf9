"""Rows of complete listings, and of their first item."""

from collections.abc import Iterator, Mapping

from benchmarks.measure import Bench, Figure, Job, Line, cpu, required
from benchmarks.serving import serving

LARGE = 100_000
SMALL = 10_000
LATENCY = 0.02
PAGE = 100
AHEAD = 16
"""The default number of prefetched pages."""


def first(bench: Bench) -> Iterator[Line]:
    """Measure the first item of a listing."""
    with serving() as url:
        options = {"url": url, "latency": LATENCY}
        found = bench.run({"client": Job("listing.first_item", options), "bare": Job("listing.bare_request", options)})
    client, bare = required(cpu(found["client"])), required(cpu(found["bare"]))
    what = "the first item of a listing, 20 ms away, new client"
    yield _line("first", f"CPU of {what}", client, "one httpx request", bare, 1.25)
    latency = Figure(value=LATENCY)
    name = "one httpx request"
    yield _line("first", f"wall of {what}; floor is the latency", _wall(client), name, _wall(bare), 1.5, latency)


def near(bench: Bench) -> Iterator[Line]:
    """Measure the listing of 100,000 workflows without latency."""
    found = _run(bench, 0.0, {"client": {}})
    line = {name: required(cpu(figures)) for name, figures in found.items()}
    wall = {name: _wall(figure) for name, figure in line.items()}
    what = f"listing {LARGE:,} workflows, no latency"
    yield _line("list", f"CPU of {what}", line["client"], "pyPreservica", line.get("peer"), 0.5, line.get("floor"))
    yield _line("list", f"wall of {what}", wall["client"], "pyPreservica", wall.get("peer"), 0.4, wall.get("floor"))


def opencast(bench: Bench) -> Iterator[Line]:
    """Measure the listing of 10,000 workflows of an Opencast without latency."""
    with serving() as url:
        options = {"url": url, "count": SMALL}
        jobs = {
            "client": Job("listing.read_all", options | {"system": "opencast"}),
            "peer": Job("peers.ocpy_list_all", options, peer=True),
            "floor": Job("floor.pages", options | {"system": "opencast"}, peer=True),
        }
        found = bench.run(jobs)
    line = {name: required(cpu(figures)) for name, figures in found.items()}
    what = f"CPU of listing {SMALL:,} workflows of an Opencast, no latency"
    yield _line("list-opencast", what, line["client"], "ocpy", line.get("peer"), 0.4, line.get("floor"))


def far(bench: Bench) -> Iterator[Line]:
    """Measure the listing of 100,000 workflows 20 ms away, by the number of concurrent pages."""
    found = _run(bench, LATENCY, {"alone": {"ahead": 1}, "eight": {"ahead": 8}, "client": {}})
    wall = {name: _wall(required(cpu(figures))) for name, figures in found.items()}
    for name, pages, most in (("alone", 1, 1.0), ("eight", 8, 1 / 7), ("client", 16, 1 / 10)):
        what = f"wall of listing {LARGE:,} workflows, 20 ms away, concurrent pages: {pages}; floor is the latency"
        floor = Figure(value=LARGE / PAGE * LATENCY / pages)
        yield _line("list-far", what, wall[name], "pyPreservica", wall.get("peer"), most, floor)


def memory(bench: Bench) -> Iterator[Line]:
    """Measure the memory of a listing that is read row by row."""
    with serving() as url:
        found = bench.run_once(Job("listing.memory", {"url": url, "count": 2 * SMALL}))
    pages = found["peak"] / found["page"]
    yield Line(
        row="list-memory",
        what=f"pages held at the peak of reading {2 * SMALL:,} workflows row by row, {AHEAD} prefetched",
        unit="",
        client=Figure(value=pages),
        peer_name="prefetched pages",
        peer=Figure(value=AHEAD),
        goal=f"<= {2 * AHEAD}",
        reached=pages <= 2 * AHEAD,
    )
    yield Line(
        row="list-memory",
        what="bytes kept per yielded row to detect duplicates; peer is the row itself",
        unit="B",
        client=Figure(value=found["remembered"]),
        peer_name="its record",
        peer=Figure(value=found["page"] / PAGE),
    )


def _run(bench: Bench, latency: float, client: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, float]]:
    with serving() as url:
        options = {"url": url, "count": LARGE, "latency": latency}
        all_rows = options | {"system": "preservica"}
        jobs = {name: Job("listing.read_all", {**all_rows, **more}) for name, more in client.items()}
        peers = {"peer": Job("peers.list_all", options, peer=True)}
        if not latency:
            peers["floor"] = Job("floor.pages", all_rows, peer=True)
        return bench.run(jobs | peers, rounds=1 if latency else None)


def _wall(figure: Figure) -> Figure:
    return Figure(value=figure.wall or 0.0)


def _line(
    row: str, what: str, client: Figure, name: str, peer: Figure | None, most: float, floor: Figure | None = None
) -> Line:
    return Line(
        row=row,
        what=what,
        unit="s",
        client=client,
        peer_name=name,
        peer=peer,
        floor=floor,
        has_floor=floor is not None,
        goal=f"<= {most:.2g}x {name}",
        reached=None if peer is None else client.value <= most * peer.value,
    )
