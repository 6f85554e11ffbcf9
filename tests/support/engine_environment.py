"""Makes an environment with an engine and this project, and kills a program at the worst instant."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from workflow_async.sandbox.systems import System

ROOT = Path(__file__).parents[2]
Process = subprocess.Popen[str]


def programs_of(cache: Path, *requirements: str) -> Path:
    """Return the folder of the programs of an environment with these packages. It is made once and then kept."""
    wanted = sha256((ROOT / "pyproject.toml").read_bytes() + " ".join(requirements).encode())
    folder = cache / wanted.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    complete = folder / "complete"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / "venv")], check=True)
            pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "-q"]
            subprocess.run([*pip, "-e", str(ROOT), *requirements], check=True)
            complete.touch()
    return folder / "venv" / "bin"


def kill(process: Process) -> None:
    """Kill a process that was started in a session of its own, and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_at_start(system: System, victim: Callable[[], Process]) -> None:
    """Kill a process when the system has carried out its first start, before the response is sent."""
    inner: ASGIApp = system.app.app
    killed = False

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal killed
        await inner(scope, receive, send)
        if scope["method"] == "POST" and not killed:
            killed = True
            kill(victim())

    system.app.app = application
