"""Servers in their own processes, on the server's core."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.pinning import SERVER, core

ROOT = Path(__file__).resolve().parent.parent
STUB = "benchmarks.stub"
SANDBOX = "benchmarks.sandboxed"


@contextmanager
def serving(module: str = STUB, *arguments: str, pinned: bool = True) -> Iterator[str]:
    """Run a server for the duration of the block and yield its URL."""
    place = core(SERVER) if pinned else None
    command = [sys.executable, "-m", module, "" if place is None else str(place), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the server has no pipes")
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def command(url: str, text: str) -> Any:
    """Send a command such as `finish?ids=1000` to a stub (see `Stub.command`)."""
    with urllib.request.urlopen(f"{url}/stub/{text}") as answer:
        return json.load(answer)


def take_requests(url: str) -> list[tuple[float, str]]:
    """Return the requests since the last call, each with its instant by `time.monotonic`."""
    return [(at, target) for at, target in command(url, "requests")]


def environment() -> dict[str, str]:
    """Return the environment of a measured process, without proxy settings."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
