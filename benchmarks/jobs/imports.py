"""The cost of a line of code in new processes, such as an import. Standard library only."""

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks.meter import Meter


def fresh(meter: Meter, code: str, times: int) -> None:
    """Measure the CPU time above a bare interpreter, as the median of interleaved runs.

    Modules are loaded as bytecode, as those of an installed package are.
    """
    bare, loaded = [], []
    with tempfile.TemporaryDirectory() as folder:
        environment = _with_bytecode_in(folder)
        _cpu(code, environment)  # compiles the modules
        for _ in range(times):
            bare.append(_cpu("pass", environment))
            loaded.append(_cpu(code, environment))
    meter.note(cpu=median(loaded) - median(bare))


def _with_bytecode_in(folder: str) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": folder}


def _cpu(code: str, environment: Mapping[str, str]) -> float:
    resource: Any = importlib.import_module("resource")  # POSIX only
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return float(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
