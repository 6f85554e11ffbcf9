"""A headless Chromium that is driven through two pipes, with the DevTools protocol and without a library for it."""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The path of a Chromium. None if this machine has none."""
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")
READS_FROM, WRITES_TO = 3, 4
"""The descriptors through which Chromium receives commands and sends results and events."""


@define
class Browser:
    """A browser with one page."""

    _commands: int
    _answers: int
    requests: list[str] = field(factory=list, init=False)
    """The addresses that the page has requested, itself included."""
    errors: list[str] = field(factory=list, init=False)
    """What the browser has complained about."""
    _session: str | None = field(default=None, init=False)
    _sent: int = field(default=0, init=False)
    _received: bytes = field(default=b"", init=False)
    _loaded: bool = field(default=False, init=False)

    def connect(self) -> None:
        """Open a page, without scripts of its own."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def open(self, page: Path, *, width: int, height: int, dark: bool = False, scripts: bool = True) -> None:
        """Open a file at this size, and return when it is loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.requests.clear()
        self._loaded = False
        self.call("Page.navigate", url=page.as_uri())
        while not self._loaded:
            self._receive()

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self) -> bytes:
        """Return what is seen as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def call(self, method: str, **parameters: Any) -> Any:
        """Send a command and return its result."""
        self._sent += 1
        message: dict[str, Any] = {"id": self._sent, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._sent:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self) -> Any:
        while b"\0" not in self._received:
            part = os.read(self._answers, 1 << 20)
            assert part, "Chromium has ended"
            self._received += part
        text, _, self._received = self._received.partition(b"\0")
        message = json.loads(text)
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            case "Log.entryAdded":
                self.errors.append(message["params"]["entry"]["text"])
            case "Page.loadEventFired":
                self._loaded = True
        return message


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a Chromium with a profile of its own, and end it with all its processes."""
    assert EXECUTABLE is not None
    reads, commands = os.pipe()
    answers, writes = os.pipe()
    redirect = f'exec "$0" "$@" {READS_FROM}<&{reads} {WRITES_TO}>&{writes}'
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            ["/bin/bash", "-c", redirect, EXECUTABLE, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(reads, writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(reads)
        os.close(writes)
        try:
            browser = Browser(commands, answers)
            browser.connect()
            yield browser
        finally:
            os.close(commands)
            os.close(answers)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
