"""Every row by its name. Long rows run only if they are named."""

from collections.abc import Callable, Iterable

from benchmarks.measure import Bench, Line
from benchmarks.rows import curve, far, listing, quiet, reading, requests, synchronous, watching

Row = Callable[[Bench], Iterable[Line]]

ROWS: dict[str, Row] = {
    "watch-list": watching.by_list,
    "watch-quiet": quiet.by_list,
    "watch-far": far.by_list,
    "watch-each": far.by_get,
    "watch-memory": watching.memory,
    "watch-lag": watching.lag,
    "watch-spread": watching.spread,
    "watch-one": watching.one_workflow,
    "watch-bulk": watching.bulk_checks,
    "capacity": requests.capacity,
    "request": requests.request,
    "synchronous": synchronous.requests,
    "observe": requests.observed,
    "burst": requests.burst,
    "first": listing.first,
    "read-json": reading.json_page,
    "read-xml": reading.xml_page,
    "read-known": reading.known_page,
    "list": listing.near,
    "list-opencast": listing.opencast,
    "list-memory": listing.memory,
    "import": requests.imports,
    "curve": curve.curve,
    "soak": watching.soak,
    "list-far": listing.far,
}
LONG_ROWS = frozenset({"curve", "soak", "list-far"})
"""Rows that take minutes."""
