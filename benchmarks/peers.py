"""The environment of the peers, with pinned versions."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REQUIREMENTS = (
    "pyPreservica==4.2.2",
    "ocpy-client==1.6.1",
    "requests==2.34.2",
    "orjson==3.13.0",
    "httptools==0.9.0",
)


@contextmanager
def peers(*, wanted: bool, kept_in: Path | None) -> Iterator[Path | None]:
    """Yield the Python of the peers, or None if peers are not requested. An existing environment is reused."""
    if not wanted and kept_in is None:
        yield None
    elif kept_in is not None:
        yield _install(kept_in)
    else:
        home = Path(tempfile.mkdtemp(prefix="peers-"))
        try:
            yield _install(home)
        finally:
            shutil.rmtree(home, ignore_errors=True)


def _install(home: Path) -> Path:
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", *REQUIREMENTS], check=True)
    return python
