"""Detection over real sockets in real time: the lag of an end, and the longest time between two checks."""

import asyncio
import itertools
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any
from urllib.parse import parse_qs, unquote

from benchmarks.jobs.clients import client, ids
from benchmarks.meter import Meter
from benchmarks.serving import command, take_requests
from workflow_async import Poll

WARM_UP_INTERVALS = 3
"""Intervals before the measurement starts."""
GROUP_SIZE = 5
"""Workflows that end together."""
EVENT = re.compile(r"-([0-9]{12})\b")


async def lag(meter: Meter, url: str, count: int, interval: float, ends: int, **settings: int) -> None:
    """Measure the median lag of ends at random instants and the longest gap between two checks, in intervals."""
    command(url, f"state?count={count}" + "".join(f"&{name}={value}" for name, value in settings.items()))
    poll = Poll(interval=interval, backoff=1, ceiling=interval)
    detected: dict[int, float] = {}

    async def watch(id: int) -> None:
        await one.workflows.wait(id, poll=poll)
        detected[id] = time.monotonic()

    async with client("opencast", url) as one:
        waits = [asyncio.create_task(watch(id)) for id in ids(count)]
        await asyncio.sleep(WARM_UP_INTERVALS * interval)
        take_requests(url)
        with meter.measuring():
            ended = await _end_workflows(url, random.Random(5).sample(ids(count), ends), 5 * interval)
            await asyncio.sleep(1.5 * interval)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    now = time.monotonic()
    meter.note(
        lag=median(detected.get(id, now) - at for id, at in ended.items()) / interval,
        gap=_longest_gap(take_requests(url), ended, count - ends) / interval,
        busy=meter.figures["cpu"] / meter.figures["wall"],
    )


async def _end_workflows(url: str, chosen: Sequence[int], seconds: float) -> dict[int, float]:
    """End workflows in groups, spread over `seconds`. Return the end of each."""
    ended: dict[int, float] = {}
    groups = [chosen[at : at + GROUP_SIZE] for at in range(0, len(chosen), GROUP_SIZE)]
    start = time.monotonic()
    for place, group in enumerate(groups):
        await asyncio.sleep(start + seconds * place / len(groups) - time.monotonic())
        await asyncio.to_thread(command, url, "finish?ids=" + ",".join(map(str, group)))
        ended |= dict.fromkeys(group, time.monotonic())
    return ended


def _longest_gap(log: list[tuple[float, str]], ended: dict[int, float], rows: int) -> float:
    """Return the longest gap between two checks of a page, or of a workflow if there is no list.

    Workflows that ended are left out.
    """
    checks: defaultdict[str, list[float]] = defaultdict(list)
    for at, target in log:
        for what in _checked_by(target, rows):
            checks[what].append(at)
    last = max(at for at, _ in log)
    pages = [what for what in checks if not what.isdigit()]
    counted = pages or checks.keys() - set(map(str, ended))
    return max(_gap(checks[what], last) for what in counted)


def _gap(times: list[float], last: float) -> float:
    return max(later - earlier for earlier, later in itertools.pairwise([*times, last]))


def _checked_by(target: str, rows: int) -> Iterator[str]:
    """Yield what a request checks: workflows by their ids, or a page that the list has until the end."""
    path, _, query = target.partition("?")
    params: dict[str, Any] = parse_qs(query)
    if path.endswith("workflows"):
        yield from (f"page {at}" for at in params["offset"] if int(at) < rows)
    elif path.endswith("events"):
        yield from (str(int(id)) for id in EVENT.findall(unquote(query)))
    else:
        yield path.rpartition("/")[2]
