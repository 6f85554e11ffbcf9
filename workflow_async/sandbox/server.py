"""Serves the two systems on loopback sockets, in one thread with its own event loop."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, cast

import uvicorn
from attrs import define, field
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from workflow_async.sandbox.fault_middleware import TRANSPORT


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket. With port 0, the kernel chooses the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the protocol is IPPROTO_TCP. Without it, Nagle's algorithm delays by 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except BaseException:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class CuttableProtocol(H11Protocol):
    """A connection that the application can cut."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass the connection to the application."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.app_state: dict[str, Any] = {**self.app_state, TRANSPORT: transport}


class AppServer(uvicorn.Server):
    """A server of one application on one socket, without uvicorn's signal handlers, logs and graceful shutdown."""

    def __init__(self, app: ASGIApp) -> None:
        settings: dict[str, Any] = {"lifespan": "off", "ws": "none", "interface": "asgi3", "proxy_headers": False}
        super().__init__(
            uvicorn.Config(
                _ignore_cancellation(app),
                http=CuttableProtocol,
                log_config=None,
                server_header=False,
                date_header=False,
                timeout_keep_alive=75,
                **settings,
            )
        )

    async def open(self, listener: socket.socket) -> None:
        """Start to accept connections."""
        self.config.load()
        self.lifespan: Any = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listener])
        await self.on_tick(0)

    async def close(self) -> None:
        """Abort every connection and every request in progress."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # The event loop closes the sockets in its next iteration.


def _ignore_cancellation(app: ASGIApp) -> ASGIApp:
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            return  # The server is closing, and uvicorn would print a traceback.

    return handle


@define(eq=False)
class Server:
    """A thread that serves applications until it is stopped, each on its own socket."""

    endpoints: Sequence[tuple[socket.socket, ASGIApp]]
    _thread: threading.Thread = field(init=False)
    _opened: "Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]" = field(factory=Future, init=False)
    _closed: "Future[None]" = field(factory=Future, init=False)

    def start(self) -> None:
        """Start the thread. Return when it serves, or raise the error that stopped it."""
        self._thread = threading.Thread(target=self._run, name="workflow-sandbox", daemon=True)
        self._thread.start()
        self._opened.result()

    def stop(self) -> None:
        """Stop the thread. Return when everything is closed, or raise the error that occurred while serving."""
        loop, stopped = self._opened.result()
        loop.call_soon_threadsafe(stopped.set)
        self._thread.join()
        self._closed.result()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  # start or stop raises it, in the thread of the caller
            (self._closed if self._opened.done() else self._opened).set_exception(error)
        else:
            self._closed.set_result(None)
        finally:
            for listener, _ in self.endpoints:
                listener.close()

    async def _serve(self) -> None:
        ports = [(AppServer(app), listener) for listener, app in self.endpoints]
        stopped = asyncio.Event()
        for port, listener in ports:
            await port.open(listener)
        self._opened.set_result((asyncio.get_running_loop(), stopped))
        await stopped.wait()
        for port, _ in ports:
            await port.close()
