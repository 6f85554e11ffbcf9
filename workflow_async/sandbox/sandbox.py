"""A context manager that serves both systems on loopback sockets."""

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
    """An Opencast and a Preservica on real loopback sockets.

    Enter the sandbox with `with` or `async with`. Without that, use `sandbox.opencast.app` and `sandbox.preservica.app`
    as ASGI applications. Port 0 chooses a free port. The given clock is the time of the sandbox. Without one, time
    passes `speed` times as fast as real time.

    Args:
        opencast_version: the release of Opencast, one of `workflow_async.sandbox.opencast.releases.RELEASES`.
        clock: returns the seconds since 1970.
        seed: of everything that is random.
        host: the address to listen on.
        opencast_port: the port of Opencast.
        preservica_port: the port of Preservica.
        speed: the speed of time if `clock` is not given.
        token_minutes: the lifetime of a Preservica token in minutes.
        two_factor: the base32 secret of a second factor. Preservica asks for one-time codes if it is given.
        page_cap: the largest number of rows of a page of Preservica.
        sparse: leave out every optional element in some of Preservica's rows.
        refresh_works: accept Preservica's refresh tokens.
        codes_once: accept each one-time code of Preservica once only.
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
        self.opencast: FakeOpencast = FakeOpencast(OpencastState(self.clock, seed, opencast_version))
        self.preservica: FakePreservica = FakePreservica(
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
        """Serve both systems. Raise `OSError` if an address is in use."""
        with ExitStack() as stack:
            endpoints = []
            for system, port in zip((self.opencast, self.preservica), self._ports, strict=True):
                listener = stack.enter_context(closing(bind(self._host, port)))
                endpoints.append((listener, system.app))
                system.url = url_of(listener)
            server = Server(endpoints)
            server.start()
            stack.pop_all()
        self._server = server
        return self

    def __exit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop serving immediately, without waiting for requests in progress."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    async def __aenter__(self) -> Self:
        """Serve both systems. Raise `OSError` if an address is in use."""
        return self.__enter__()

    async def __aexit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop serving immediately, without waiting for requests in progress."""
        self.__exit__(type, value, traceback)
