"""Runs one job: `python -m benchmarks.meter MODULE FUNCTION OPTIONS [CORE]` prints its figures.

Standard library only, because the environment of the peers runs this module too.
"""

import asyncio
import gc
import importlib
import inspect
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.pinning import pin


class Meter:
    """Measures the relevant part of a job and holds its figures."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}

    @contextmanager
    def measuring(self, times: int = 1) -> Iterator[None]:
        """Measure the CPU time (user and system, all threads) and the wall time of the block, divided by `times`."""
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.note(cpu=(time.process_time() - cpu) / times, wall=(time.perf_counter() - wall) / times)

    def note(self, **figures: float) -> None:
        """Add figures."""
        self.figures |= figures


def main(module: str, function: str, options: str, core: str = "") -> None:
    """Run one job and print its figures as JSON."""
    pin(int(core) if core else None)
    meter = Meter()
    job = getattr(importlib.import_module(module), function)
    begun = job(meter, **json.loads(options))
    if inspect.iscoroutine(begun):
        asyncio.run(begun)
    print(json.dumps(meter.figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
