"""Servers in processes of their own, on the server's core."""

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
    """Where a server is, for as long as the block runs."""
    place = core(SERVER) if pinned else None
    command = [sys.executable, "-m", module, "" if place is None else str(place), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the server has no pipes")
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def told(url: str, words: str) -> Any:
    """What a stub says to words such as `finish?ids=1000` (see `Stub.told`)."""
    with urllib.request.urlopen(f"{url}/stub/{words}") as answer:
        return json.load(answer)


def asked(url: str) -> list[tuple[float, str]]:
    """What a stub was asked for since it last told, and when, by `time.monotonic`."""
    return [(at, target) for at, target in told(url, "asked")]


def environment() -> dict[str, str]:
    """The environment of a measured process: nothing of ours that changes what a client does."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
