"""Runs jobs in separate processes in interleaved rounds, and holds the comparisons that rows yield."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from attrs import define, field, frozen

from benchmarks.pinning import CLIENT, core
from benchmarks.serving import ROOT, environment

JOB_TIMEOUT = 1200.0
"""Seconds after which a job is stopped."""


@frozen
class Job:
    """A function that measures itself (see `meter`), by its name, with its options."""

    function: str
    """The name of a function in `benchmarks.jobs`, such as `watching.poll`."""
    options: Mapping[str, Any] = field(factory=dict)
    peer: bool = False
    """True if the job runs in the environment of the peers."""


@frozen(kw_only=True)
class Figure:
    """A number. A CPU time has the wall time beside it."""

    value: float
    wall: float | None = None


@frozen(kw_only=True)
class PlotPoint:
    """The place of a line in the plot."""

    panel: str
    series: str
    x: float


@frozen(kw_only=True)
class Line:
    """One comparison of this client with a peer and a floor."""

    row: str
    what: str
    unit: str
    client: Figure
    peer_name: str = ""
    peer: Figure | None = None
    floor: Figure | None = None
    has_floor: bool = False
    """True if the line has a floor, installed or not."""
    goal: str = ""
    reached: bool | None = None
    """True if the goal is reached. None without a goal, or if the peer is not installed."""
    point: PlotPoint | None = None
    """The place in the plot. None if the line is not drawn."""

    @property
    def by_peer(self) -> float | None:
        """The client's figure divided by the peer's. Below 1, the client is better."""
        return _ratio(self.client, self.peer)

    @property
    def by_floor(self) -> float | None:
        """The client's figure divided by the floor's."""
        return _ratio(self.client, self.floor)


def _ratio(client: Figure, other: Figure | None) -> float | None:
    return None if other is None or not other.value else client.value / other.value


@define
class Bench:
    """The settings of a run: the environment of the peers, the number of rounds, pinning."""

    peers: Path | None = None
    rounds: int = 3
    pinned: bool = True
    """True if clients run on their own core. False in tests, which share the cores."""

    def run(self, jobs: Mapping[str, Job], rounds: int | None = None) -> dict[str, dict[str, float]]:
        """Run jobs in interleaved rounds and return the medians of their figures. Skip peers that are not installed."""
        runnable = {name: job for name, job in jobs.items() if self.peers is not None or not job.peer}
        found: dict[str, list[dict[str, float]]] = {name: [] for name in runnable}
        for _ in range(rounds or self.rounds):
            for name, job in runnable.items():
                found[name].append(self.run_once(job))
        return {name: _medians(samples) for name, samples in found.items()}

    def run_once(self, job: Job) -> dict[str, float]:
        """Run one job in its own process and return its figures."""
        module, _, function = job.function.rpartition(".")
        python = str(self.peers) if job.peer else sys.executable
        place = core(CLIENT) if self.pinned else None
        order = [
            f"benchmarks.jobs.{module}",
            function,
            json.dumps(dict(job.options)),
            "" if place is None else str(place),
        ]
        command = [python, "-m", "benchmarks.meter", *order]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=JOB_TIMEOUT, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{job.function} failed:\n{done.stderr[-2000:]}")
        figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return figures


def _medians(samples: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: median(sample[name] for sample in samples) for name in samples[0]}


def cpu(figures: Mapping[str, float] | None, scale: float = 1.0) -> Figure | None:
    """Return the CPU time of a job with its wall time. None for a job that was skipped."""
    return None if figures is None else Figure(value=figures["cpu"] * scale, wall=figures["wall"] * scale)


def required(figure: Figure | None) -> Figure:
    """Return a figure that must exist."""
    if figure is None:
        raise RuntimeError("our own job did not run")
    return figure
