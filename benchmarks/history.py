"""Keeps the ratios that the documentation quotes, with a line for each commit that measured one of them."""

from collections.abc import Iterable

from benchmarks.report import DATED, Row, cells_of

HEADING = "## History"
QUOTED = {
    "list": ("list", "CPU of listing 100,000 workflows, no latency", "pyPreservica"),
    "list, 8 ahead": ("list-far", "concurrent pages: 8;", "pyPreservica"),
    "list, 16 ahead": ("list-far", "concurrent pages: 16;", "pyPreservica"),
    "poll, Opencast": ("watch-list", "CPU of a poll, 10,000 waits, opencast", "one GET each"),
    "poll, Preservica": ("watch-list", "CPU of a poll, 10,000 waits, preservica", "one GET each"),
    "quiet, Opencast": ("watch-quiet", "without changes, 10,000 waits, opencast, httpx", "a plain program"),
    "quiet, Preservica": ("watch-quiet", "without changes, 10,000 waits, preservica, httpx", "a plain program"),
    "httpx": ("request", "CPU per request with httpx, 16 concurrent", " requests"),
    "httpx2": ("request", "CPU per request with httpx2, 16 concurrent", " requests"),
    "aiohttp": ("request", "CPU per request with aiohttp, 16 concurrent", " requests"),
    "JSON page": ("read-json", "a JSON page of 100 workflows x 20 operations;", "by hand"),
    "without orjson": ("read-json", "a JSON page of 100 workflows x 20 operations;", "installed"),
    "XML page": ("read-xml", "", "pyPreservica"),
    "import": ("import", "CPU of importing the package", "pyPreservica"),
}
"""The columns: the row, a part of what it measures, and the end of its peer."""
HEAD: Row = ("commit", *QUOTED)
UNKNOWN = "-"


def merge(before: str, measured: Iterable[Row]) -> list[Row]:
    """Return the lines of an earlier text with these rows of the results added. A line keeps what was not measured."""
    lines = {line[0]: dict(zip(HEAD, line, strict=True)) for line in _lines(before)}
    for row in measured:
        cells = dict(zip(DATED, row, strict=True))
        commit = cells["commit"].split()[0]
        for column in _columns(cells["row"], cells["what"], cells["peer"]):
            lines.setdefault(commit, dict.fromkeys(HEAD, UNKNOWN) | {"commit": commit})[column] = cells["client/peer"]
    return [tuple(line[column] for column in HEAD) for line in lines.values()]


def _columns(row: str, what: str, peer: str) -> Iterable[str]:
    for column, (quoted_row, part, end) in QUOTED.items():
        if row == quoted_row and part in what and peer.endswith(end):
            yield column


def _lines(text: str) -> list[Row]:
    split = cells_of(text.partition(HEADING)[2])
    return split[2:] if split[:1] == [HEAD] else []
