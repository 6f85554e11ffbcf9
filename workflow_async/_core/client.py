"""The base class of both clients: its URL, its opening and closing, and its repr."""

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from workflow_async._core.auth import Secret, to_secret

if TYPE_CHECKING:
    from workflow_async._core.transport import Transport
    from workflow_async.observe.stats import PollStats, Stats


class Polling(Protocol):
    """The part of the monitor's poll loop that a client opens and closes."""

    def open(self) -> None:
        """Let the poll loop run in the running event loop."""

    async def aclose(self) -> None:
        """End every wait and watch."""

    def stats(self) -> "PollStats":
        """Return what is watched now."""
        ...


class Client:
    """A client of one server, as one user. The systems add their services."""

    _transport: "Transport"
    _polling: Polling | None = None
    """None until the service for workflows is used."""

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return self._transport.origin.base

    def stats(self) -> "Stats":
        """Return the counters of this client, for a health endpoint. Nothing is sent. Any thread may call this.

        It takes about a millisecond for 10,000 watched workflows.
        """
        from workflow_async._core.observer import instant
        from workflow_async.observe.stats import PollStats, Stats

        polled = PollStats() if self._polling is None else self._polling.stats()
        transport, seen = self._transport, self._transport.observer
        return Stats(
            watched=polled.watched,
            phases=polled.phases,
            in_flight=transport.in_flight,
            queued=transport.queued,
            backoff_factor=polled.backoff_factor,
            last_list=polled.last_list,
            last_error=seen.last_error,
            last_error_at=None if seen.last_error is None else instant(seen.last_error_at),
            last_reason=seen.last_reason,
            unanswered_since=instant(seen.outage.began_wall) if seen.outage.failures else None,
            outage_since=instant(seen.outage.began_wall) if seen.outage.reported else None,
            logins=seen.logins,
            requests=seen.requests,
            retries=seen.retries,
        )

    async def open(self) -> Self:
        """Open the client for the running event loop, and return it. For containers that cannot use `async with`.

        Openings are counted, including those by `async with`. Each needs its own `aclose()`, in any task.

        Raises:
            WrongEventLoop: the client is open in another event loop.
        """
        self._transport.open()
        if self._polling is not None:
            self._polling.open()
        return self

    async def aclose(self) -> None:
        """Undo one `open()`. The last one closes every connection.

        Calls, waits and watches raise `ClientClosed` from then on. Closing a client that is not open does nothing.

        Raises:
            WrongEventLoop: the client is open in another event loop.
        """
        if self._transport.binding.release():
            if self._polling is not None:
                await self._polling.aclose()
            await self._transport.close_connections()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        made = hasattr(self, "_transport")  # not in the traceback of a constructor that raises
        return f"{type(self).__name__}({self.url!r})" if made else f"{type(self).__name__}(...)"


def service_names(client: type[object]) -> tuple[str, ...]:
    """Return the names of a client's services. Each is a property of an object that is made when it is first used."""
    made = {name for name, value in vars(client).items() if isinstance(value, cached_property)}
    return tuple(name for name in vars(client) if f"_{name}" in made)


def optional_secret(text: str | Secret | None) -> Secret | None:
    """Return a password or seed as a `Secret`, which no traceback shows. None stays None."""
    return None if text is None else to_secret(text)
