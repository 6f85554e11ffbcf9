"""Clients of ours, as the jobs use them."""

from typing import Any

from workflow_async import Clock, OpencastClient, Poll, PreservicaClient

FIRST = 1000
EVERY = 60.0
"""Seconds of the gate's time between looks: above every delay the systems have."""
STEADY = Poll(interval=EVERY, backoff=1, ceiling=EVERY, jitter=0)
REAL = Clock()


def client(
    system: str,
    url: str,
    clock: Clock = REAL,
    *,
    username: str = "user",
    password: str = "secret",
    tenant: str = "t",
    **settings: Any,
) -> Any:
    """A client of this system, with its clock and these settings; both have the same face for what is measured."""
    if system == "opencast":
        return OpencastClient(url, auth=(username, password), clock=clock, **settings)
    return PreservicaClient(url, username=username, password=password, tenant=tenant, clock=clock, **settings)


def ids(count: int) -> range:
    """The ids of a stub's workflows."""
    return range(FIRST, FIRST + count)
