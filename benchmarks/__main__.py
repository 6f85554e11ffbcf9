"""`python -m benchmarks [ROW ...]`: run benchmarks and print one table (see README.md)."""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import attrs

from benchmarks import history, plot, report
from benchmarks.measure import Bench, Line
from benchmarks.peers import REQUIREMENTS, peers
from benchmarks.rows import LONG_ROWS, ROWS
from benchmarks.serving import ROOT

RESULTS = Path(__file__).with_name("RESULTS.md")
CURVE = Path(__file__).with_name("curve.svg")
HISTORY = f"""{history.HEADING}

The ratios that `workflow_async/docs/performance.md` quotes, by the commit that measured them, the oldest first.
"""
MEASURED_PATHS = ("workflow_async", "benchmarks/*.py", "pyproject.toml")
DEPENDENCIES = ("httpx", "httpcore", "h11", "httpx2", "aiohttp", "anyio", "attrs", "cattrs", "orjson")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the requested rows and print their results."""
    options = _parse_arguments(arguments)
    with peers(wanted=options.peers or options.write, kept_in=options.peers_in) as python:
        bench = Bench(python, options.rounds)
        lines = [line for name in _names(options) for line in _run(name, bench)]
    print(json.dumps([_as_dict(line) for line in lines], indent=1) if options.json else _table(lines))
    if options.write:
        _write(lines, options.rounds)
    if drawn := [line for line in lines if line.point is not None]:
        CURVE.write_text(plot.svg(drawn))


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=f"one of {', '.join(ROWS)} (default: all but the long ones)"
    )
    parser.add_argument("--peers", action="store_true", help="install the peers into a temporary environment")
    parser.add_argument("--peers-in", type=Path, metavar="DIR", help="install the peers into a directory that is kept")
    parser.add_argument("--rounds", type=int, default=3, help="number of interleaved runs, of which the median counts")
    parser.add_argument("--json", action="store_true", help="print figures instead of a table")
    parser.add_argument("--write", action="store_true", help="write the rows into RESULTS.md, with peers")
    parser.add_argument("--plot", action="store_true", help="draw the row `curve` into curve.svg")
    options = parser.parse_args(arguments)
    if unknown := set(options.rows) - ROWS.keys():
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return options


def _names(options: argparse.Namespace) -> list[str]:
    if options.plot:
        return [*options.rows, *({"curve"} - set(options.rows))]
    return options.rows or [name for name in ROWS if name not in LONG_ROWS]


def _run(name: str, bench: Bench) -> list[Line]:
    print(f"{name} ...", file=sys.stderr, flush=True)
    return [attrs.evolve(line, row=name) for line in ROWS[name](bench)]


def _as_dict(line: Line) -> Mapping[str, object]:
    return attrs.asdict(line) | {"by_peer": line.by_peer, "by_floor": line.by_floor}


def _table(lines: Sequence[Line]) -> str:
    return report.table(report.HEAD, map(report.line_cells, lines))


def _write(lines: Sequence[Line], rounds: int) -> None:
    before = RESULTS.read_text() if RESULTS.exists() else ""
    commit = f"{_commit()} x{rounds}"
    rows = report.merge(before, lines, commit, list(ROWS))
    measured = [row for row in rows if row[-1] == commit]
    RESULTS.write_text(
        f"{_head()}\n{report.table(report.DATED, rows)}\n\n"
        f"{HISTORY}\n{report.table(history.HEAD, history.merge(before, measured))}\n"
    )


def _head() -> str:
    """Return the head of RESULTS.md: the date, and the versions that were measured."""
    versions = ", ".join(f"{name} {_version(name)}" for name in DEPENDENCIES)
    return "\n".join(
        [
            "# Results\n",
            f"Written by `python -m benchmarks --write`, last on {datetime.now(UTC):%Y-%m-%d}. A run replaces the rows",
            "that it measured. Each line names its commit, with + if the measured files differed from the commit,",
            "and the number of interleaved rounds. Figures are medians of the rounds if the row has rounds.",
            "Compare the ratios and not the seconds (see README.md).\n",
            f"Last run: CPython {platform.python_version()}, {platform.system()} {platform.machine()}; {versions};",
            f"peers {', '.join(REQUIREMENTS)}.\n",
        ]
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Return the commit, with + if the measured files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + "+" * bool(git("status", "--porcelain", "--", *MEASURED_PATHS))


if __name__ == "__main__":
    main()
