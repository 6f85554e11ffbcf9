"""A connection to NATS that survives restarts of the broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nats.aio.client import Client

from workflow_async._core.cancellation import shielded_close
from workflow_async.errors import CoordinatorUnavailable
from workflow_async.observe.log import log

RECONNECT_WAIT = 0.25
"""Seconds between two attempts to connect to a server. nats-py waits 2 by default."""
PINGS = 4.0
"""Pings in a lease. After two that are not answered, the connection counts as broken."""
FIRST_CONNECTION = 10.0
"""Seconds after which a first connection is given up."""


@asynccontextmanager
async def connected(url: str, lease_seconds: float) -> AsyncIterator[Client]:
    """Connect to a server, or to several that are separated by commas. Close the connection at the end.

    A lost connection is made again, however long that takes.

    Raises:
        CoordinatorUnavailable: no server accepts the first connection. The last error of nats-py is its cause.
    """
    client = Client()
    try:
        try:
            async with asyncio.timeout(FIRST_CONNECTION):
                await client.connect(url.split(","), **_options(client, lease_seconds))
        except TimeoutError as error:
            last = client.last_error or error
            why = f"no connection after {FIRST_CONNECTION:g} s ({last!r}): check its URL and credentials"
            raise CoordinatorUnavailable(why) from last
        yield client
    finally:
        await shielded_close(client.close)


def _options(client: Client, lease_seconds: float) -> dict[str, Any]:
    async def on_disconnected() -> None:
        if not client.is_closed:
            log.warning("disconnected from NATS")

    return {
        "name": "workflow-async",
        "reconnect_time_wait": RECONNECT_WAIT,
        "max_reconnect_attempts": -1,
        "ping_interval": lease_seconds / PINGS,
        "error_cb": _on_error,
        "disconnected_cb": on_disconnected,
        "reconnected_cb": _on_reconnected,
    }


async def _on_error(error: Exception) -> None:
    log.debug("NATS client: %s", type(error).__name__, extra={"error": str(error)})


async def _on_reconnected() -> None:
    log.info("connected to NATS again")
