"""The ways in which a server may treat a start: cut at any byte, or answered with any response."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import pytest
from attrs import frozen

from tests.conftest import FakeTime
from tests.support.start_server import (
    CREATED,
    LOGIN_PAGE,
    SPOILED,
    StartServer,
    System,
    Treatment,
    http_response,
    make_client,
    make_ticket,
    start_result,
    start_server,
    wrong_result,
)

SYSTEMS: tuple[System, ...] = ("opencast", "preservica")
on_both_systems = pytest.mark.parametrize("system", SYSTEMS)

STATUSES_WITH_EVERY_BODY = {
    *(200, 201, 202, 204, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409, 410, 413, 415),
    *(425, 429, 500, 501, 502, 503, 504),
}
"""Statuses that are tried with every kind of body. All others are tried with one."""
SUCCESS_STATUSES = {"opencast": {201}, "preservica": {200, 201, 202}}
"""Statuses of a server that has executed a start.

See tests/contract/opencast.md, section 2.1, and tests/contract/preservica.md, section 1.4.
"""
NOT_SERVED_STATUSES = {404, 405, 410}
EITHER = (False, True)


@frozen
class StartHarness:
    """A server that takes starts, a logged-in client of it, and a start to send."""

    system: System
    server: StartServer
    client: Any
    ticket: Any

    async def check(self, treatments: Iterable[Treatment]) -> tuple[int, list[str]]:
        """Return how many starts were tried, and what was wrong with the results of some."""
        results = [await wrong_result(self.server, self.client, self.ticket, treatment) for treatment in treatments]
        return len(results), [result for result in results if result is not None]


@asynccontextmanager
async def start_harness(system: System, fake_time: FakeTime, padding: str = "") -> AsyncIterator[StartHarness]:
    async with start_server() as server, make_client(system, server.url, fake_time.clock) as client:
        ticket = make_ticket(client, padding)
        server.expect(Treatment("a first one", executed=True, response=created_response(system)))
        assert await start_result(client, ticket) == "started"
        yield StartHarness(system, server, client, ticket)


def created_response(system: System) -> bytes:
    return http_response(201, CREATED[system])


def cut_requests(length: int) -> Iterator[Treatment]:
    """Yield treatments in which the server hangs up before it has the whole request. The start is not executed."""
    for bytes_read, reset in product(range(length), EITHER):
        name = f"{bytes_read} bytes of the request, {'RST' if reset else 'FIN'}"
        yield Treatment(name, bytes_read=bytes_read, reset=reset)


def cut_responses(response: bytes) -> Iterator[Treatment]:
    """Yield treatments in which the server hangs up during its response, or before it executes the start."""
    for length, reset in product(range(len(response)), EITHER):
        name = f"{length} bytes of the response, {'RST' if reset else 'FIN'}"
        yield Treatment(name, executed=True, response=response[:length], reset=reset)
    yield from (Treatment("dies", reset=reset) for reset in EITHER)


def status_treatments(system: System) -> Iterator[Treatment]:
    """Yield every status with every body, each with all executions that are possible for it."""
    bodies = {"good": CREATED[system], "spoiled": SPOILED[system], "page": LOGIN_PAGE, "empty": b""}
    for status in (101, *range(200, 600)):
        for kind, body in bodies.items() if status in STATUSES_WITH_EVERY_BODY else [("good", CREATED[system])]:
            for executed in possible_executions(system, status, kind):
                name = f"{status}, {kind} body, {'' if executed else 'not '}executed"
                yield Treatment(name, executed, http_response(status, body))


def possible_executions(system: System, status: int, kind: str) -> tuple[bool, ...]:
    """Return whether the server may have executed the start (True), or not (False), or either."""
    if status in SUCCESS_STATUSES[system] and (kind == "good" or (kind == "empty" and system == "preservica")):
        return (True,)
    from_proxy = status in NOT_SERVED_STATUSES and kind in {"page", "empty"}  # says nothing about the start
    return (False,) if 400 <= status < 500 and not from_proxy else EITHER
