"""`python -m benchmarks [ROW ...]`: one table of what the client costs (see README.md)."""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import attrs

from benchmarks import plot, report
from benchmarks.measure import Bench, Line
from benchmarks.peers import REQUIREMENTS, peers
from benchmarks.rows import MARKED, ROWS
from benchmarks.serving import ROOT

RESULTS = Path(__file__).with_name("RESULTS.md")
CURVE = Path(__file__).with_name("curve.svg")
MEASURED = ("workflow_async", "benchmarks/*.py", "pyproject.toml")
OURS = ("httpx", "httpcore", "h11", "httpx2", "aiohttp", "anyio", "attrs", "cattrs", "orjson")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rows that are asked for and print what they found."""
    asked = _asked(arguments)
    with peers(wanted=asked.peers or asked.write, kept_in=asked.peers_in) as python:
        bench = Bench(python, asked.rounds)
        lines = [line for name in _names(asked) for line in _run(name, bench)]
    print(json.dumps([_plain(line) for line in lines], indent=1) if asked.json else _table(lines))
    if asked.write:
        _write(lines, asked.rounds)
    if drawn := [line for line in lines if line.spot is not None]:
        CURVE.write_text(plot.svg(drawn))


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; without, all but the long ones")
    parser.add_argument("--peers", action="store_true", help="install the peers into a temporary environment")
    parser.add_argument("--peers-in", type=Path, metavar="DIR", help="the same, into a directory that is kept")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved runs that medians are taken of")
    parser.add_argument("--json", action="store_true", help="print figures instead of a table")
    parser.add_argument("--write", action="store_true", help="into RESULTS.md too, which keeps the other rows; peers")
    parser.add_argument("--plot", action="store_true", help="draw the row `curve` into curve.svg")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.rows) - ROWS.keys():
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return asked


def _names(asked: argparse.Namespace) -> list[str]:
    if asked.plot:
        return [*asked.rows, *({"curve"} - set(asked.rows))]
    return asked.rows or [name for name in ROWS if name not in MARKED]


def _run(name: str, bench: Bench) -> list[Line]:
    print(f"{name} ...", file=sys.stderr, flush=True)
    return [attrs.evolve(line, row=name) for line in ROWS[name](bench)]


def _plain(line: Line) -> dict[str, object]:
    return attrs.asdict(line) | {"by_peer": line.by_peer, "by_floor": line.by_floor}


def _table(lines: Sequence[Line]) -> str:
    return report.table(report.HEAD, map(report.cells, lines))


def _write(lines: Sequence[Line], rounds: int) -> None:
    before = RESULTS.read_text() if RESULTS.exists() else ""
    rows = report.merged(before, lines, f"{_commit()} x{rounds}", list(ROWS))
    RESULTS.write_text(f"{_head()}\n{report.table(report.DATED, rows)}\n")


def _head() -> str:
    """When, and with what: the machine by its kind only."""
    ours = ", ".join(f"{name} {_version(name)}" for name in OURS)
    return "\n".join(
        [
            "# Results\n",
            f"Written by `python -m benchmarks --write`, last on {datetime.now(UTC):%Y-%m-%d}. A run replaces the rows",
            "it measured; each line names its commit, with + where the tree differed from that, and of how many",
            "interleaved rounds its figures are the medians, where the row has rounds.",
            "Read the ratios, not the seconds: see README.md.\n",
            f"Last run: CPython {platform.python_version()}, {platform.system()} {platform.machine()}; {ours};",
            f"peers {', '.join(REQUIREMENTS)}.\n",
        ]
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """The commit, with + where what is measured differs from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + "+" * bool(git("status", "--porcelain", "--", *MEASURED))


if __name__ == "__main__":
    main()
