"""Rows of reading pages."""

from collections.abc import Iterator, Mapping

from attrs import evolve

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
        what = f"a JSON page of {ROWS} workflows x {operations} operations; floor is orjson.loads"
        line = _page("read-json", what, ours, ("by hand", hand), parsed, BY_HAND)
        yield line
        if operations:
            reached = None if parsed is None else ours.value <= PARSED * parsed.value
            yield evolve(line, goal=f"<= {PARSED:g}x the floor", reached=reached)
        bare = certain(cpu(found["bare"]))
        yield _page("read-json", f"{what}, orjson not installed", bare, ("installed", ours), parsed, None)
    yield _peak(bench.once(Job("reading.json_peak", {"rows": ROWS, "operations": 20})))


def _peak(found: Mapping[str, float]) -> Line:
    return Line(
        row="read-json",
        what=f"bytes at the peak of reading a page of {ROWS} x 20 operations, records included",
        unit="B",
        ours=Figure(value=found["ours"]),
        peer_name="orjson's tree of it",
        peer=Figure(value=found["tree"]),
    )


def xml_page(bench: Bench) -> Iterator[Line]:
    """A page of Preservica."""
    options = {"rows": ROWS, "times": 100}
    with serving() as url:
        found = bench.run(
            {
                "ours": Job("reading.xml_page", options),
                "hand": Job("reading.xml_by_hand", options),
                "parsed": Job("reading.xml_parsed", options),
                "peer": Job("peers.xml_page", options | {"url": url}, peer=True),
            }
        )
    ours, parsed = certain(cpu(found["ours"])), cpu(found["parsed"])
    what = f"an XML page of {ROWS} workflows; floor is ElementTree's tree alone"
    yield _page("read-xml", what, ours, ("ElementTree by hand", cpu(found["hand"])), parsed, ELEMENTS)
    yield _page("read-xml", what, ours, ("pyPreservica", cpu(found.get("peer"))), parsed, 1 / TIMES_FASTER)


def _page(
    row: str, what: str, ours: Figure, other: tuple[str, Figure | None], floor: Figure | None, most: float | None
) -> Line:
    """Ours beside another's, which it may cost so many times of; None is no goal."""
    name, peer = other
    return Line(
        row=row,
        what=what,
        unit="s",
        ours=ours,
        peer_name=name,
        peer=peer,
        floor=floor,
        floored=True,
        goal="" if most is None else f"<= {most:.3g}x {name}",
        reached=None if peer is None or most is None else ours.value <= most * peer.value,
    )
