"""Clients of this library for the jobs."""

from typing import Any

from workflow_async import Clock, OpencastClient, Poll, PreservicaClient

FIRST_ID = 1000
INTERVAL = 60.0
"""Seconds between two checks, on the clock of the client. It is longer than every delay of the systems."""
POLL = Poll(interval=INTERVAL, backoff=1, ceiling=INTERVAL, jitter=0)
REAL_CLOCK = Clock()


def client(
    system: str,
    url: str,
    clock: Clock = REAL_CLOCK,
    *,
    username: str = "user",
    password: str = "secret",
    tenant: str = "t",
    **settings: Any,
) -> Any:
    """Return a client of the system with this clock and these settings."""
    if system == "opencast":
        return OpencastClient(url, auth=(username, password), clock=clock, **settings)
    return PreservicaClient(url, username=username, password=password, tenant=tenant, clock=clock, **settings)


def ids(count: int) -> range:
    """Return the ids of the stub's workflows."""
    return range(FIRST_ID, FIRST_ID + count)
