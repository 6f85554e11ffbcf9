"""Both systems together: a context manager that serves them on loopback for as long as it is entered."""

from contextlib import ExitStack, closing
from types import TracebackType
from typing import Self

from workflow_async.sandbox.clock import RealClock
from workflow_async.sandbox.engine import TimeSource
from workflow_async.sandbox.opencast.releases import DEFAULT, Release
from workflow_async.sandbox.opencast.state import OpencastState
from workflow_async.sandbox.preservica.app import PreservicaState
from workflow_async.sandbox.server import Server, bind, url_of
from workflow_async.sandbox.systems import FakeOpencast, FakePreservica


class Sandbox:
    """An Opencast and a Preservica of one's own, over real sockets.

    Enter it with `with` or `async with`; without that, `sandbox.opencast.app` and `sandbox.preservica.app` work as
    ASGI applications. Port 0 takes a free one. Time is the given clock's, or passes `speed` times as fast as real time.

    Args:
        opencast_version: the release that the Opencast behaves as. `sandbox/opencast/releases.py` has the table of
            releases and their differences.
        clock: seconds since 1970, whatever makes them pass.
        seed: of everything that is made up.
        host: the address to serve on.
        opencast_port: of the Opencast.
        preservica_port: of the Preservica.
        speed: of time, where no clock is given.
        token_minutes: how long a token of Preservica lives.
        two_factor: the base32 seed of a second factor, if Preservica is to ask for one.
        page_cap: rows a page of Preservica has at most.
        sparse: leave out every optional element of some of Preservica's rows.
        refresh_works: whether Preservica takes refresh tokens.
        codes_once: whether Preservica takes each one-time code once only.
    """

    def __init__(
        self,
        opencast_version: Release = DEFAULT,
        clock: TimeSource | None = None,
        seed: int = 0,
        *,
        host: str = "127.0.0.1",
        opencast_port: int = 0,
        preservica_port: int = 0,
        speed: float = 1.0,
        token_minutes: int = 15,
        two_factor: str | None = None,
        page_cap: int = 100,
        sparse: bool = False,
        refresh_works: bool = True,
        codes_once: bool = False,
    ) -> None:
        self.clock: TimeSource = RealClock(speed) if clock is None else clock
        self.opencast = FakeOpencast(OpencastState(self.clock, seed, opencast_version))
        self.preservica = FakePreservica(
            PreservicaState(
                self.clock,
                seed,
                token_minutes=token_minutes,
                two_factor=two_factor,
                page_cap=page_cap,
                sparse=sparse,
                refresh_works=refresh_works,
                codes_once=codes_once,
            )
        )
        self._host = host
        self._ports = (opencast_port, preservica_port)
        self._server: Server | None = None

    def __enter__(self) -> Self:
        """Serve both systems; an address that is taken is an `OSError`."""
        with ExitStack() as stack:
            doors = []
            for system, port in zip((self.opencast, self.preservica), self._ports, strict=True):
                listener = stack.enter_context(closing(bind(self._host, port)))
                doors.append((listener, system.app))
                system.url = url_of(listener)
            server = Server(doors)
            server.start()
            stack.pop_all()
        self._server = server
        return self

    def __exit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop serving, whatever is still being asked."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    async def __aenter__(self) -> Self:
        """Serve both systems."""
        return self.__enter__()

    async def __aexit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop serving."""
        self.__exit__(type, value, traceback)
