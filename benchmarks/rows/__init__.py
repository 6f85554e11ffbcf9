"""Every row by its name; those marked take minutes and run when they are named."""

from collections.abc import Callable, Iterable

from benchmarks.measure import Bench, Line
from benchmarks.rows import curve, far, listing, reading, requests, watching

Row = Callable[[Bench], Iterable[Line]]

ROWS: dict[str, Row] = {
    "watch-list": watching.listed,
    "watch-far": far.listed,
    "watch-each": far.got,
    "watch-memory": watching.memory,
    "watch-lag": watching.lag,
    "watch-spread": watching.spread,
    "watch-one": watching.same,
    "watch-glance": watching.glanced,
    "capacity": requests.capacity,
    "request": requests.one,
    "burst": requests.burst,
    "first": listing.first,
    "read-json": reading.json_page,
    "read-xml": reading.xml_page,
    "list": listing.near,
    "list-opencast": listing.opencast,
    "list-memory": listing.memory,
    "import": requests.imports,
    "curve": curve.curve,
    "soak": watching.soak,
    "list-far": listing.far,
}
MARKED = frozenset({"curve", "soak", "list-far"})
"""Take minutes."""
