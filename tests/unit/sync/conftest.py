"""Fixtures: a sandbox on its own thread, and synchronous clients of it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from workflow_async import Clock, OpencastClient
from workflow_async.sandbox import ManualClock, Sandbox, Step
from workflow_async.sync import SyncOpencastClient
from workflow_async.sync._portal import _process

Connect = Callable[..., SyncOpencastClient]


@pytest.fixture
def sandbox(time: ManualClock) -> Iterator[Sandbox]:
    """Return a sandbox whose Opencast can list workflows."""
    with Sandbox("11", time) as served:
        served.opencast.define("publish", [Step("encode", 10), Step("distribute", 10)])
        yield served


@pytest.fixture
def connect(sandbox: Sandbox, clock: Clock) -> Connect:
    """Return a function that makes clients."""

    def connecting(**options: Any) -> SyncOpencastClient:
        options = {"auth": sandbox.opencast.auth, "clock": clock, **options}
        return OpencastClient.sync(sandbox.opencast.url, **options)

    return connecting


@pytest.fixture
def oc(connect: Connect) -> Iterator[SyncOpencastClient]:
    """Return an open client."""
    with connect() as client:
        yield client


@pytest.fixture
def workflow_id(sandbox: Sandbox) -> int:
    """Return the id of a workflow that runs."""
    return sandbox.opencast.start(sandbox.opencast.event(), "publish")


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Check that the thread of the event loop ends with the last client."""
    yield
    portal = _process.portal
    if portal is not None:
        portal._thread.join(10)
        assert not portal._thread.is_alive()
