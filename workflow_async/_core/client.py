"""The base class of both clients: its URL, its opening and closing, and its repr."""

from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from workflow_async._core.auth import Secret, to_secret

if TYPE_CHECKING:
    from workflow_async._core.transport import Transport


class Polling(Protocol):
    """The part of the monitor's poll loop that a client opens and closes."""

    def open(self) -> None:
        """Let the poll loop run in the running event loop."""

    async def aclose(self) -> None:
        """End every wait and watch."""


class Client:
    """A client of one server, as one user. The systems add their services."""

    _transport: "Transport"
    _polling: Polling

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return self._transport.origin.base

    async def open(self) -> Self:
        """Open the client for the running event loop, and return it. For containers that cannot use `async with`.

        Openings are counted, including those by `async with`. Each needs its own `aclose()`, in any task.

        Raises:
            WrongEventLoop: the client is open in another event loop.
        """
        self._transport.open()
        self._polling.open()
        return self

    async def aclose(self) -> None:
        """Undo one `open()`. The last one closes every connection.

        Calls, waits and watches raise `ClientClosed` from then on. Closing a client that is not open does nothing.

        Raises:
            WrongEventLoop: the client is open in another event loop.
        """
        if self._transport.binding.release():
            await self._polling.aclose()
            await self._transport.backend.aclose()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        made = hasattr(self, "_transport")  # not in the traceback of a constructor that raises
        return f"{type(self).__name__}({self.url!r})" if made else f"{type(self).__name__}(...)"


def optional_secret(text: str | Secret | None) -> Secret | None:
    """Return a password or seed as a `Secret`, which no traceback shows. None stays None."""
    return None if text is None else to_secret(text)
