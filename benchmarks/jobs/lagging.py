"""Detection over real sockets and in real time: how late an end is seen, and how long a workflow goes unseen."""

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

from benchmarks.jobs.ours import client, ids
from benchmarks.meter import Meter
from benchmarks.serving import asked, told
from workflow_async import Poll

WARM = 3
"""Intervals before the looks count."""
AT_ONCE = 5
"""Workflows that end at the same moment."""
EVENT = re.compile(r"-([0-9]{12})\b")


async def lag(meter: Meter, url: str, count: int, interval: float, ends: int, **world: int) -> None:
    """Ends at random moments: the median lag, and the longest gap between looks, in intervals."""
    told(url, f"world?count={count}" + "".join(f"&{name}={value}" for name, value in world.items()))
    poll = Poll(interval=interval, backoff=1, ceiling=interval)
    seen: dict[int, float] = {}

    async def watch(id: int) -> None:
        await one.workflows.wait(id, poll=poll)
        seen[id] = time.monotonic()

    async with client("opencast", url) as one:
        waits = [asyncio.create_task(watch(id)) for id in ids(count)]
        await asyncio.sleep(WARM * interval)
        asked(url)
        with meter.measuring():
            ended = await _end(url, random.Random(5).sample(ids(count), ends), 5 * interval)
            await asyncio.sleep(1.5 * interval)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    now = time.monotonic()
    meter.note(
        lag=median(seen.get(id, now) - at for id, at in ended.items()) / interval,
        gap=_longest(asked(url), ended, count - ends) / interval,
        busy=meter.figures["cpu"] / meter.figures["wall"],
    )


async def _end(url: str, chosen: Sequence[int], seconds: float) -> dict[int, float]:
    """Let these end, a few at a time, spread over so many seconds; when each did."""
    ended: dict[int, float] = {}
    groups = [chosen[at : at + AT_ONCE] for at in range(0, len(chosen), AT_ONCE)]
    start = time.monotonic()
    for place, group in enumerate(groups):
        await asyncio.sleep(start + seconds * place / len(groups) - time.monotonic())
        await asyncio.to_thread(told, url, "finish?ids=" + ",".join(map(str, group)))
        ended |= dict.fromkeys(group, time.monotonic())
    return ended


def _longest(log: list[tuple[float, str]], ended: dict[int, float], rows: int) -> float:
    """The longest that a page of the list, or without a list a workflow, was not looked at; what ended is left out."""
    looks: defaultdict[str, list[float]] = defaultdict(list)
    for at, target in log:
        for what in _looked_at(target, rows):
            looks[what].append(at)
    last = max(at for at, _ in log)
    pages = [what for what in looks if not what.isdigit()]
    counted = pages or looks.keys() - set(map(str, ended))
    return max(_gap(looks[what], last) for what in counted)


def _gap(times: list[float], last: float) -> float:
    return max(later - sooner for sooner, later in itertools.pairwise([*times, last]))


def _looked_at(target: str, rows: int) -> Iterator[str]:
    """What a request looks at: workflows by their ids, or a page of the list that is there to the end."""
    path, _, query = target.partition("?")
    params: dict[str, Any] = parse_qs(query)
    if path.endswith("workflows"):
        yield from (f"page {at}" for at in params["offset"] if int(at) < rows)
    elif path.endswith("events"):
        yield from (str(int(id)) for id in EVENT.findall(unquote(query)))
    else:
        yield path.rpartition("/")[2]
