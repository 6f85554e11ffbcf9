"""The cost of a line of code in new processes, such as an import. Standard library only."""

import importlib
import subprocess
import sys
from statistics import median
from typing import Any

from benchmarks.meter import Meter


def fresh(meter: Meter, code: str, times: int) -> None:
    """Measure the CPU time above a bare interpreter, as the median of interleaved runs."""
    bare, loaded = [], []
    for _ in range(times):
        bare.append(_cpu("pass"))
        loaded.append(_cpu(code))
    meter.note(cpu=median(loaded) - median(bare))


def _cpu(code: str) -> float:
    resource: Any = importlib.import_module("resource")  # POSIX only
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return float(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
