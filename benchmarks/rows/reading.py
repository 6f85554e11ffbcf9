"""Rows of decoding pages."""

from collections.abc import Iterator, Mapping

from attrs import evolve

from benchmarks.measure import Bench, Figure, Job, Line, cpu, required
from benchmarks.serving import serving

ROWS = 100
MAX_BY_HAND, MAX_BY_PARSER = 1.15, 3.1
"""The greatest allowed ratios of a JSON page: to hand-written code, and to parsing with orjson."""
MAX_BY_ELEMENTTREE, TIMES_FASTER = 1.3, 3
"""The goals of an XML page: the ratio to ElementTree by hand, and the speed-up over pyPreservica."""


def json_page(bench: Bench) -> Iterator[Line]:
    """Measure a page of Opencast."""
    for operations, times in ((20, 20), (0, 300)):
        options = {"rows": ROWS, "operations": operations, "times": times}
        found = bench.run(
            {
                "client": Job("reading.json_page", options),
                "hand": Job("reading.json_by_hand", options),
                "parsed": Job("peers.orjson_page", options, peer=True),
                "bare": Job("reading.json_page", options | {"orjson": False}),
            }
        )
        client, hand, parsed = required(cpu(found["client"])), cpu(found["hand"]), cpu(found.get("parsed"))
        what = f"a JSON page of {ROWS} workflows x {operations} operations; floor is orjson.loads"
        line = _page("read-json", what, client, ("by hand", hand), parsed, MAX_BY_HAND)
        yield line
        if operations:
            reached = None if parsed is None else client.value <= MAX_BY_PARSER * parsed.value
            yield evolve(line, goal=f"<= {MAX_BY_PARSER:g}x the floor", reached=reached)
        bare = required(cpu(found["bare"]))
        yield _page("read-json", f"{what}, orjson not installed", bare, ("installed", client), parsed, None)
    yield _peak(bench.run_once(Job("reading.json_peak", {"rows": ROWS, "operations": 20})))


def known_page(bench: Bench) -> Iterator[Line]:
    """Measure a page of Opencast that is read again, with no row, half of the rows and all rows changed."""
    for operations, times in ((20, 20), (0, 300)):
        options = {"rows": ROWS, "operations": operations, "times": times}
        jobs = {"plain": Job("reading.json_page", options)}
        for changed in (0, ROWS // 2, ROWS):
            jobs[str(changed)] = Job("reading.known_page", options | {"changed": changed})
        found = bench.run(jobs)
        for changed in (0, ROWS // 2, ROWS):
            what = f"a JSON page of {ROWS} workflows x {operations} operations, read again with {changed} rows changed"
            yield _page(
                "read-known", what, required(cpu(found[str(changed)])), ("read once", cpu(found["plain"])), None, None
            )


def _peak(found: Mapping[str, float]) -> Line:
    return Line(
        row="read-json",
        what=f"bytes at the peak of reading a page of {ROWS} x 20 operations, records included",
        unit="B",
        client=Figure(value=found["client"]),
        peer_name="orjson's tree of it",
        peer=Figure(value=found["tree"]),
    )


def xml_page(bench: Bench) -> Iterator[Line]:
    """Measure a page of Preservica."""
    options = {"rows": ROWS, "times": 100}
    with serving() as url:
        found = bench.run(
            {
                "client": Job("reading.xml_page", options),
                "hand": Job("reading.xml_by_hand", options),
                "parsed": Job("reading.xml_parsed", options),
                "peer": Job("peers.xml_page", options | {"url": url}, peer=True),
            }
        )
    client, parsed = required(cpu(found["client"])), cpu(found["parsed"])
    what = f"an XML page of {ROWS} workflows; floor is ElementTree's tree alone"
    yield _page("read-xml", what, client, ("ElementTree by hand", cpu(found["hand"])), parsed, MAX_BY_ELEMENTTREE)
    yield _page("read-xml", what, client, ("pyPreservica", cpu(found.get("peer"))), parsed, 1 / TIMES_FASTER)


def _page(
    row: str, what: str, client: Figure, other: tuple[str, Figure | None], floor: Figure | None, most: float | None
) -> Line:
    """Return the comparison with a peer. `most` is the greatest allowed ratio, or None without a goal."""
    name, peer = other
    return Line(
        row=row,
        what=what,
        unit="s",
        client=client,
        peer_name=name,
        peer=peer,
        floor=floor,
        has_floor=True,
        goal="" if most is None else f"<= {most:.3g}x {name}",
        reached=None if peer is None or most is None else client.value <= most * peer.value,
    )
