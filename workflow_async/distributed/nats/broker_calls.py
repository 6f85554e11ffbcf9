"""Calls of the broker: retried while it restarts, and with the errors of this library."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import nats.errors
import nats.js.errors
from attrs import define
from nats.aio.client import Client
from nats.js import JetStreamContext

from workflow_async.errors import ClientClosed, CoordinatorUnavailable
from workflow_async.settings import Clock

T = TypeVar("T")

TRANSIENT = (
    TimeoutError,
    nats.errors.NoRespondersError,
    nats.errors.OutboundBufferLimitError,
    nats.errors.ConnectionReconnectingError,
    nats.js.errors.NoStreamResponseError,
    nats.js.errors.ServiceUnavailableError,
)
"""Errors of a broker that is restarting, or that cannot be reached."""
GONE = (nats.errors.ConnectionClosedError, nats.errors.ConnectionDrainingError)
ATTEMPTS = 4
"""Number of attempts that fit into the time of a call."""
BACKOFF = 0.05


@define(eq=False)
class BrokerCalls:
    """Sends calls through a connected client, which the caller owns."""

    client: Client
    seconds: float
    """How long a call is retried."""
    clock: Clock

    @property
    def request_seconds(self) -> float:
        """The timeout of one request, which lets a call repeat it."""
        return self.seconds / ATTEMPTS

    def jetstream(self) -> JetStreamContext:
        """Return a JetStream context with this timeout."""
        context: JetStreamContext = self.client.jetstream(timeout=self.request_seconds)
        return context

    @property
    def is_open(self) -> bool:
        """True if the client is connected or reconnecting."""
        return not (self.client.is_closed or self.client.is_draining)

    def check_connected(self) -> None:
        """Raise an error if there is no connection now."""
        self._check_open()
        if not self.client.is_connected:
            raise CoordinatorUnavailable("no connection to NATS: the client is reconnecting")

    async def send(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the result of a call, which is repeated while the broker cannot be reached.

        Raises:
            CoordinatorUnavailable: the broker has not answered in time. The call may have been applied.
            ClientClosed: the NATS client is closed.
        """
        end, tries = self.clock.now() + self.seconds, 0
        while True:
            self._check_open()
            try:
                return await call()
            except GONE as error:
                raise _closed() from error
            except TRANSIENT as error:
                tries += 1
                pause = min(BACKOFF * 2**tries, self.request_seconds) * (0.5 + self.clock.jitter() / 2)
                if self.clock.now() + pause >= end:
                    raise CoordinatorUnavailable(_what(error)) from error
            except nats.errors.Error as error:
                raise CoordinatorUnavailable(f"NATS refuses: {getattr(error, 'description', error)}") from error
            await self.clock.sleep(pause)

    def _check_open(self) -> None:
        if not self.is_open:
            raise _closed()


def _closed() -> ClientClosed:
    return ClientClosed("the NATS client is closed: connect another one and make a coordinator of it")


def _what(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "NATS has not answered in time: check that the server can be reached"
    if isinstance(error, nats.errors.OutboundBufferLimitError):
        return "the NATS client is reconnecting, and its buffer is full"
    if isinstance(error, nats.js.errors.APIError) and error.description:
        return f"NATS refuses: {error.description}"
    return "no answer from JetStream: check that the NATS server runs with it (nats-server -js)"
