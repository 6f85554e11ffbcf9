"""Rows of reading pages, and of whole listings."""

from collections.abc import Iterator

from benchmarks.measure import Bench, Figure, Job, Line, certain, cpu
from benchmarks.serving import serving

ROWS = 100
MANY = 100_000
FAR = 0.02


def json_page(bench: Bench) -> Iterator[Line]:
    """A page of Opencast."""
    for operations, times in ((20, 20), (0, 300)):
        options = {"rows": ROWS, "operations": operations, "times": times}
        found = bench.run(
            {
                "ours": Job("reading.json_page", options),
                "hand": Job("reading.json_by_hand", options),
                "floor": Job("peers.orjson_page", options, peer=True),
            }
        )
        ours, floor = certain(cpu(found["ours"])), cpu(found.get("floor"))
        what = f"a JSON page of {ROWS} workflows x {operations} operations; floor is orjson.loads"
        yield _page("read-json", what, ours, "by hand", cpu(found["hand"]), floor, 1.5)


def xml_page(bench: Bench) -> Iterator[Line]:
    """A page of Preservica."""
    options = {"rows": ROWS, "times": 100}
    with serving() as url:
        found = bench.run(
            {
                "ours": Job("reading.xml_page", options),
                "hand": Job("reading.xml_by_hand", options),
                "peer": Job("peers.xml_page", options | {"url": url}, peer=True),
            }
        )
    ours, hand = certain(cpu(found["ours"])), cpu(found["hand"])
    what = f"an XML page of {ROWS} workflows; floor is ElementTree by hand"
    yield _page("read-xml", what, ours, "pyPreservica", cpu(found.get("peer")), hand, 0.5)


def _page(row: str, what: str, ours: Figure, name: str, peer: Figure | None, floor: Figure | None, most: float) -> Line:
    return Line(
        row=row,
        what=what,
        unit="s",
        ours=ours,
        peer_name=name,
        peer=peer,
        floor=floor,
        floored=True,
        goal=f"<= {most:g}x {name}",
        reached=None if peer is None else ours.value <= most * peer.value,
    )


def listing(bench: Bench) -> Iterator[Line]:
    """100,000 workflows, next door."""
    yield from _listing(bench, 0.0, "next door", 0.4)


def far(bench: Bench) -> Iterator[Line]:
    """100,000 workflows, 20 ms away."""
    yield from _listing(bench, FAR, "20 ms away", 1 / 7)


def _listing(bench: Bench, latency: float, where: str, most: float) -> Iterator[Line]:
    with serving() as url:
        options = {"url": url, "count": MANY, "latency": latency}
        ours = Job("reading.listing", options | {"system": "preservica"})
        peer = Job("peers.listing", options, peer=True)
        floor = Job("floor.pages", options | {"system": "preservica"}, peer=True)
        found = bench.run({"ours": ours, "peer": peer, "floor": floor}, rounds=1)
    line = {name: certain(cpu(figures)) for name, figures in found.items()}
    what = f"listing {MANY:,} workflows, {where}"
    yield _page("list", f"CPU of {what}", line["ours"], "pyPreservica", line.get("peer"), line.get("floor"), 0.5)
    wall = {name: Figure(value=figure.wall or 0.0) for name, figure in line.items()}
    yield _page("list", f"wall of {what}", wall["ours"], "pyPreservica", wall.get("peer"), wall.get("floor"), most)
