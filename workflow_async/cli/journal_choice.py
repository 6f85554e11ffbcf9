"""Chooses the journal of `run`: the one that was named, or a file beside the CSV file."""

import os
from pathlib import Path

from attrs import frozen

from workflow_async.cli.exit_codes import UsageError

SUFFIX = ".sqlite"
STDIN = Path("-")
UNKNOWN_AFTER_CRASH = "after Ctrl-C or a crash nothing remembers what was started"


@frozen
class JournalChoice:
    """Where the journal is, and the sentence that says so."""

    path: Path | None
    """None if there is no journal."""
    sentence: str


def journal_for(starts: Path, chosen: Path | None, *, wanted: bool) -> JournalChoice:
    """Return the journal for a CSV file. Raise `UsageError` for a journal that is named and not wanted.

    Args:
        starts: the CSV file, or `STDIN`.
        chosen: the journal that the caller named. None if none was named.
        wanted: False to keep no journal.
    """
    if chosen is not None:
        if not wanted:
            raise UsageError("--journal and --no-journal contradict each other: give one of them")
        return JournalChoice(chosen, _sentence(chosen))
    if not wanted:
        return JournalChoice(None, f"No journal: {UNKNOWN_AFTER_CRASH}.")
    if starts == STDIN or not starts.is_file():
        return _none("the starts do not come from a file")
    beside = starts.with_suffix(SUFFIX)
    if beside == starts:
        beside = starts.with_name(f"{starts.name}{SUFFIX}")
    if not beside.exists() and not os.access(beside.parent, os.W_OK):
        return _none(f"the folder of {starts} cannot be written")
    return JournalChoice(beside, _sentence(beside))


def _none(why: str) -> JournalChoice:
    return JournalChoice(None, f"No journal, because {why}: {UNKNOWN_AFTER_CRASH}. Name one with --journal.")


def _sentence(path: Path) -> str:
    if path.exists():
        return f"Continuing the journal {path}. To start everything again, move it away."
    return f"Journal: {path}. After Ctrl-C or a crash, the same command continues."
