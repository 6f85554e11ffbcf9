"""A TLS server in a thread that sends the alert of a refused handshake, which asyncio's servers do not."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress


@contextmanager
def handshake_server(context: ssl.SSLContext) -> Iterator[str]:
    """Run a server that does a handshake on each connection and then only reads. Yield its URL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=_accept, args=(listener, context))
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:  # the test has ended
            return
        with plain, suppress(OSError):
            _shake_hands(plain, context)


def _shake_hands(plain: socket.socket, context: ssl.SSLContext) -> None:
    """Do a handshake, then read until the client disconnects: closing earlier would reset the connection."""
    secured = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
    with suppress(ssl.SSLError):
        secured.do_handshake()
    with socket.socket(fileno=secured.detach()) as raw:
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(65536):
            pass
