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

from benchmarks.measure import Bench, Line, table
from benchmarks.peers import REQUIREMENTS, peers
from benchmarks.rows import MARKED, ROWS
from benchmarks.serving import ROOT

RESULTS = Path(__file__).with_name("RESULTS.md")
OURS = ("httpx", "httpcore", "h11", "anyio", "attrs", "cattrs", "orjson")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rows that are asked for and print what they found."""
    asked = _asked(arguments)
    names = asked.rows or [name for name in ROWS if name not in MARKED]
    with peers(wanted=asked.peers or asked.write, kept_in=asked.peers_in) as python:
        bench = Bench(python, asked.rounds)
        lines = [line for name in names for line in _run(name, bench)]
    print(json.dumps([_plain(line) for line in lines], indent=1) if asked.json else table(lines))
    if asked.write:
        RESULTS.write_text(f"{_head(asked.rounds)}\n{table(lines)}\n")


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; without, all but the long ones")
    parser.add_argument("--peers", action="store_true", help="install the peers into a temporary environment")
    parser.add_argument("--peers-in", type=Path, metavar="DIR", help="the same, into a directory that is kept")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved runs that medians are taken of")
    parser.add_argument("--json", action="store_true", help="print figures instead of a table")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md too; implies --peers")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.rows) - ROWS.keys():
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return asked


def _run(name: str, bench: Bench) -> list[Line]:
    print(f"{name} ...", file=sys.stderr, flush=True)
    return list(ROWS[name](bench))


def _plain(line: Line) -> dict[str, object]:
    return attrs.asdict(line) | {"by_peer": line.by_peer, "by_floor": line.by_floor}


def _head(rounds: int) -> str:
    """When, of what, and with what: the machine by its kind only."""
    ours = ", ".join(f"{name} {_version(name)}" for name in OURS)
    return "\n".join(
        [
            "# Results\n",
            f"Written by `python -m benchmarks --write` on {datetime.now(UTC):%Y-%m-%d}, commit {_commit()};",
            f"medians of {rounds} interleaved rounds where a row has rounds.",
            "Read the ratios, not the seconds: see README.md.\n",
            f"CPython {platform.python_version()}, {platform.system()} {platform.machine()}; {ours};",
            f"peers {', '.join(REQUIREMENTS)}.\n",
        ]
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """The commit, and whether the tree differs from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain") else "")


if __name__ == "__main__":
    main()
