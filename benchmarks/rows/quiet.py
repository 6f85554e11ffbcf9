"""Rows of a poll in which nothing or little has changed, against a program that only reads the same pages."""

from collections.abc import Iterator, Mapping

from benchmarks.measure import Bench, Figure, Job, Line, cpu, required
from benchmarks.serving import serving
from workflow_async.opencast import monitor_source as opencast
from workflow_async.preservica import monitor_source as preservica

COUNT = 10_000
POLLS = 4
CHANGED = COUNT // 100
SIZES = {"opencast": opencast.PAGE_SIZE, "preservica": preservica.PAGE_SIZE}
GOALS = {
    ("opencast", "httpx"): 1.0,
    ("opencast", "aiohttp"): 0.6,
    ("preservica", "httpx"): 0.45,
    ("preservica", "aiohttp"): 0.3,
}
"""The highest ratios to the plain program, by system and backend."""
MOST_CHANGED = 1.3
"""The highest ratio of a poll with changed rows to one without."""
ENDS_POLLS = 10
"""Polls between two that read the whole list."""
MOST_ENDS = 0.2
"""The highest ratio of a poll that does not read the list to one that does."""
ROW_BYTES = 2.0
"""The highest number of bytes that are kept for each byte of the rows."""
PLAIN = "a plain program"


def by_list(bench: Bench) -> Iterator[Line]:
    """Measure polls of 10,000 waits without changes and with 1 % changed and for ends only, and the memory."""
    for system in SIZES:
        with serving() as url:
            yield from _polls(bench, system, url)
            yield from _ends(bench, system, url)
            yield _memory(bench, system, url)


def _polls(bench: Bench, system: str, url: str) -> Iterator[Line]:
    options = {"system": system, "url": url, "count": COUNT, "polls": POLLS}
    jobs = {PLAIN: Job("plain.polls", options | {"size": SIZES[system]})}
    for backend in ("httpx", "aiohttp"):
        jobs[backend] = Job("watching.poll_rows", options | {"backend": backend})
    jobs["changed"] = Job("watching.poll_rows", options | {"changed": CHANGED})
    found = bench.run(jobs)
    for backend in ("httpx", "aiohttp"):
        what = f"CPU of a poll without changes, {COUNT:,} waits, {system}, {backend}"
        yield _line(what, found[backend], PLAIN, found[PLAIN], GOALS[system, backend])
    what = f"CPU of a poll with {CHANGED} rows changed, {COUNT:,} waits, {system}, httpx"
    yield _line(what, found["changed"], "without changes", found["httpx"], MOST_CHANGED)


def _ends(bench: Bench, system: str, url: str) -> Iterator[Line]:
    """Measure polls between two that read the whole list, which is read every `Poll.ceiling`."""
    options = {"system": system, "url": url, "count": COUNT}
    jobs = {
        "ends": Job("watching.poll_ends", options | {"polls": ENDS_POLLS}),
        "states": Job("watching.poll_rows", options | {"polls": POLLS}),
    }
    found = bench.run(jobs)
    what = f"{COUNT:,} waits that only need ends, {system}, httpx"
    yield _line(f"CPU of a poll without changes, {what}", found["ends"], "waits for states", found["states"], MOST_ENDS)
    requests = found["ends"]["requests"]
    yield Line(
        row="watch-quiet",
        what=f"requests per poll without changes, {what}",
        unit="",
        client=Figure(value=requests),
        goal="1",
        reached=requests == 1,
    )


def _line(what: str, client: Mapping[str, float], name: str, peer: Mapping[str, float], most: float) -> Line:
    return Line(
        row="watch-quiet",
        what=what,
        unit="s",
        client=required(cpu(client)),
        peer_name=name,
        peer=required(cpu(peer)),
        goal=f"<= {most:g}x {name}",
        reached=client["cpu"] <= most * peer["cpu"],
    )


def _memory(bench: Bench, system: str, url: str) -> Line:
    options = {"system": system, "url": url, "count": COUNT, "listing": 1}
    kept = bench.run_once(Job("watching.watch_memory", options))["rows"]
    return Line(
        row="watch-quiet",
        what=f"bytes kept for each byte of the rows, {system}",
        unit="",
        client=Figure(value=kept),
        goal=f"<= {ROW_BYTES:g}",
        reached=kept <= ROW_BYTES,
    )
