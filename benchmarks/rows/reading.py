"""Rows of reading pages."""

from collections.abc import Iterator

from benchmarks.measure import Bench, Figure, Job, Line, certain, cpu
from benchmarks.serving import serving

ROWS = 100
BY_HAND, PARSED = 1.15, 3.1
"""How many times what the same records cost by hand, and what orjson takes to parse alone, a page of JSON may cost."""
ELEMENTS, TIMES_FASTER = 1.3, 3
"""How many times what ElementTree by hand costs, and how many times faster than pyPreservica, a page of XML is."""


def json_page(bench: Bench) -> Iterator[Line]:
    """A page of Opencast."""
    for operations, times in ((20, 20), (0, 300)):
        options = {"rows": ROWS, "operations": operations, "times": times}
        found = bench.run(
            {
                "ours": Job("reading.json_page", options),
                "hand": Job("reading.json_by_hand", options),
                "parsed": Job("peers.orjson_page", options, peer=True),
                "bare": Job("reading.json_page", options | {"orjson": False}),
            }
        )
        ours, hand, parsed = certain(cpu(found["ours"])), cpu(found["hand"]), cpu(found.get("parsed"))
        what = f"a JSON page of {ROWS} workflows x {operations} operations"
        yield _page("read-json", what, ours, ("by hand", hand), BY_HAND)
        yield _page("read-json", what, ours, ("orjson.loads", parsed), PARSED if operations else None)
        bare = certain(cpu(found["bare"]))
        yield _page("read-json", f"{what}, orjson not installed", bare, ("installed", ours), None)


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
    ours, hand, peer = certain(cpu(found["ours"])), cpu(found["hand"]), cpu(found.get("peer"))
    what = f"an XML page of {ROWS} workflows"
    yield _page("read-xml", what, ours, ("ElementTree by hand", hand), ELEMENTS)
    yield _page("read-xml", what, ours, ("pyPreservica", peer), 1 / TIMES_FASTER)


def _page(row: str, what: str, ours: Figure, other: tuple[str, Figure | None], most: float | None) -> Line:
    """Ours beside another's, which it may cost so many times of; None is no goal."""
    name, peer = other
    return Line(
        row=row,
        what=what,
        unit="s",
        ours=ours,
        peer_name=name,
        peer=peer,
        goal="" if most is None else f"<= {most:.3g}x {name}",
        reached=None if peer is None or most is None else ours.value <= most * peer.value,
    )
