"""The peers in an environment of their own: versions pinned, nothing of them in ours."""

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
    """The Python that has the peers, or None where nobody asked for them; a kept environment is used again."""
    if not wanted and kept_in is None:
        yield None
    elif kept_in is not None:
        yield _ready(kept_in)
    else:
        home = Path(tempfile.mkdtemp(prefix="peers-"))
        try:
            yield _ready(home)
        finally:
            shutil.rmtree(home, ignore_errors=True)


def _ready(home: Path) -> Path:
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", *REQUIREMENTS], check=True)
    return python
