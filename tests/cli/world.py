"""The servers for the commands in every situation, and the process that runs them."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any

from attrs import define

from tests.cli.conftest import opencast_of
from tests.cli.situations import HURRY, Case
from tests.cli.test_messages import web_server
from tests.support.prepared_command import Ended, PreparedCommand, prepared_command
from workflow_async.sandbox import Sandbox

PROFILE = '[profiles.prod]\nsystem = "opencast"\nurl = "https://oc.example.org"\nusername = "admin"\n'


@define
class SilentServer:
    """A server that reads requests and does not answer."""

    url: str
    asked: int = 0
    """The number of pieces of requests that it has read."""

    def listen(self, listener: socket.socket) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):  # the command was killed
            while connection.recv(65536):
                self.asked += 1


@contextmanager
def silent_server() -> Iterator[SilentServer]:
    """Serve nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = SilentServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = Thread(target=server.listen, args=(listener,), daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@define
class World:
    """The servers of all situations, and the process that runs the commands."""

    command: PreparedCommand
    sandboxes: dict[str, Sandbox]
    web_url: str
    """Where another web server is."""
    closed_url: str
    """Where nothing listens."""
    silent: SilentServer
    journal: Path

    def run(
        self,
        case: Case,
        words: Sequence[object] | None = None,
        *,
        env: Mapping[str, str] = MappingProxyType({}),
        interrupt_when: Callable[[str], bool] = lambda _: False,
        **outputs: Any,
    ) -> Ended:
        """Run the command of a case, with its own arguments or with others."""
        self._write_files()
        variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        variables |= {"TERM": "xterm-256color", "XDG_CONFIG_HOME": str(Path("config").resolve())}
        variables |= {**case.env(self.sandboxes[case.release]), **env}
        arguments = self.words(case) if words is None else words
        ends = (lambda text: "PRESERVICA_TENANT=" in text) if case.serves else interrupt_when
        options: dict[str, Any] = {"prepare": HURRY, "interrupt_when": ends, **outputs}
        return self.command.run(case.command, *arguments, env=variables, folder=Path.cwd(), **options)

    def _write_files(self) -> None:
        shutil.copy(self.journal, "b.sqlite")
        Path("garbage").write_text("garbage\n")
        config = Path("config/workflow-async/config.toml")
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(PROFILE)
        config.chmod(0o600)

    def words(self, case: Case) -> Sequence[object]:
        """Return arguments for a case, and make what they need on the server."""
        return case.arguments(self.sandboxes[case.release])


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """Serve everything, and write a journal into a folder."""
    with (
        prepared_command() as command,
        Sandbox("11", speed=50) as sandbox_11,
        Sandbox("16", speed=50) as sandbox_16,
        web_server(404, b"<html></html>") as web_url,
        silent_server() as silent,
        socket.socket() as unused,
    ):
        unused.bind(("127.0.0.1", 0))
        (folder / "b.csv").write_text(f"event,definition\n{sandbox_11.opencast.event()},noop\n")
        env = {"PATH": os.environ["PATH"], **opencast_of(sandbox_11)}
        assert command.run("run", "b.csv", "--every", 0.1, env=env, folder=folder).code == 0
        closed_url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        sandboxes = {"11": sandbox_11, "16": sandbox_16}
        yield World(command, sandboxes, web_url, closed_url, silent, folder / "b.sqlite")
