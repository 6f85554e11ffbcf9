"""Starts as a server may treat them: cut anywhere, answered with anything."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import pytest
from attrs import frozen

from tests.conftest import FakeTime
from tests.support.start_server import (
    CREATED,
    PAGE,
    SPOILED,
    Desk,
    System,
    Treatment,
    answer,
    client,
    desk,
    lie,
    ticket,
    verdict,
)

SYSTEMS: tuple[System, ...] = ("opencast", "preservica")
either = pytest.mark.parametrize("system", SYSTEMS)

IN_FULL = {
    *(200, 201, 202, 204, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409, 410, 413, 415),
    *(425, 429, 500, 501, 502, 503, 504),
}
"""Statuses that come with every kind of body; the others come with one."""
YES = {"opencast": {201}, "preservica": {200, 201, 202}}
"""What a server that has carried a start out says (contract: opencast.md 2.1, preservica.md 1.4)."""
UNSERVED = {404, 405, 410}
BOTH = (False, True)


@frozen
class Bench:
    """A client of a desk, logged in, and a start to send."""

    system: System
    desk: Desk
    client: Any
    ticket: Any

    async def lies(self, treatments: Iterable[Treatment]) -> tuple[int, list[str]]:
        """How many starts were tried, and what was wrong with those where something was."""
        found = [await lie(self.desk, self.client, self.ticket, treatment) for treatment in treatments]
        return len(found), [wrong for wrong in found if wrong is not None]


@asynccontextmanager
async def bench(system: System, fake_time: FakeTime, more: str = "") -> AsyncIterator[Bench]:
    async with desk() as made, client(system, made.url, fake_time.clock) as connected:
        start = ticket(connected, more)
        made.expect(Treatment("a first one", carried_out=True, said=created(system)))
        assert await verdict(connected, start) == "started"
        yield Bench(system, made, connected, start)


def created(system: System) -> bytes:
    return answer(201, CREATED[system])


def cut_requests(length: int) -> Iterator[Treatment]:
    """The server hangs up before it has the whole request, so nothing happens."""
    for heard, reset in product(range(length), BOTH):
        yield Treatment(f"{heard} bytes of the request, {'RST' if reset else 'FIN'}", heard=heard, reset=reset)


def cut_responses(said: bytes) -> Iterator[Treatment]:
    """The server hangs up on its way through the answer, or dies before it acts."""
    for length, reset in product(range(len(said)), BOTH):
        about = f"{length} bytes of the response, {'RST' if reset else 'FIN'}"
        yield Treatment(about, carried_out=True, said=said[:length], reset=reset)
    yield from (Treatment("dies", reset=reset) for reset in BOTH)


def statuses(system: System) -> Iterator[Treatment]:
    """Every status with every body; and for each, all that a server may have done that gives it."""
    bodies = {"good": CREATED[system], "spoiled": SPOILED[system], "page": PAGE, "empty": b""}
    for status in (101, *range(200, 600)):
        for kind, body in bodies.items() if status in IN_FULL else [("good", CREATED[system])]:
            for carried_out in done(system, status, kind):
                about = f"{status}, {kind} body, {'' if carried_out else 'not '}carried out"
                yield Treatment(about, carried_out, answer(status, body))


def done(system: System, status: int, kind: str) -> tuple[bool, ...]:
    """Whether a server may have carried out, or not, what it answers like this."""
    if status in YES[system] and (kind == "good" or (kind == "empty" and system == "preservica")):
        return (True,)
    unserved = status in UNSERVED and kind in {"page", "empty"}  # a proxy's answer, which knows nothing of the start
    return (False,) if 400 <= status < 500 and not unserved else BOTH
