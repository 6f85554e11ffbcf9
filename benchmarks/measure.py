"""Jobs in processes of their own, in interleaved rounds; medians; what a row says."""

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

PATIENCE = 1200.0
"""Seconds a job may take."""


@frozen
class Job:
    """A function that measures itself (see `meter`), by name, with its options."""

    function: str
    """Such as `watching.tick`, in `benchmarks.jobs`."""
    options: Mapping[str, Any] = field(factory=dict)
    peer: bool = False
    """Whether it runs in the environment of the peers."""


@frozen(kw_only=True)
class Figure:
    """A number, with the wall time beside it where it is CPU time."""

    value: float
    wall: float | None = None


@frozen(kw_only=True)
class Spot:
    """Where a line stands in the plot."""

    panel: str
    series: str
    x: float


@frozen(kw_only=True)
class Line:
    """One comparison; the ratio says how many times ours fits into theirs."""

    row: str
    what: str
    unit: str
    ours: Figure
    peer_name: str = ""
    peer: Figure | None = None
    floor: Figure | None = None
    floored: bool = False
    """Whether there is a floor to compare with, if it is installed."""
    goal: str = ""
    reached: bool | None = None
    """None where there is no goal, or what it compares with is not installed."""
    spot: Spot | None = None
    """Where ours is drawn, if it is."""

    @property
    def by_peer(self) -> float | None:
        """Ours by the peer's: below 1 is better than it."""
        return _ratio(self.ours, self.peer)

    @property
    def by_floor(self) -> float | None:
        """Ours by the floor's: what is left to gain."""
        return _ratio(self.ours, self.floor)


def _ratio(ours: Figure, theirs: Figure | None) -> float | None:
    return None if theirs is None or not theirs.value else ours.value / theirs.value


@define
class Bench:
    """How rows are measured: with or without peers, in how many rounds."""

    peers: Path | None = None
    rounds: int = 3
    pinned: bool = True
    """Whether clients run on a core of their own; not where tests share the cores."""

    def run(self, jobs: Mapping[str, Job], rounds: int | None = None) -> dict[str, dict[str, float]]:
        """The medians of each job's figures, in interleaved rounds; without those of peers that are not installed."""
        able = {name: job for name, job in jobs.items() if self.peers is not None or not job.peer}
        found: dict[str, list[dict[str, float]]] = {name: [] for name in able}
        for _ in range(rounds or self.rounds):
            for name, job in able.items():
                found[name].append(self.once(job))
        return {name: _medians(samples) for name, samples in found.items()}

    def once(self, job: Job) -> dict[str, float]:
        """The figures of one run of one job in a process of its own."""
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
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{job.function} failed:\n{done.stderr[-2000:]}")
        figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return figures


def _medians(samples: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: median(sample[name] for sample in samples) for name in samples[0]}


def cpu(figures: Mapping[str, float] | None, scale: float = 1.0) -> Figure | None:
    """The CPU time of a job with its wall time beside it; None for a job that was left out."""
    return None if figures is None else Figure(value=figures["cpu"] * scale, wall=figures["wall"] * scale)


def certain(figure: Figure | None) -> Figure:
    """A figure that is always there: ours."""
    if figure is None:
        raise RuntimeError("our own job did not run")
    return figure
