"""What tests prove, as two tables at the end of a run: the rows of the fault matrix, and the figures promised."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Protocol

from attrs import frozen

from tests.behaviour.fault_matrix import ROWS

FIGURE, ROW, SEEN = "figure", "row", "seen"
WIDTH = 60


class Report(Protocol):
    """A test that ran, as pytest tells of it."""

    @property
    def outcome(self) -> str: ...
    @property
    def user_properties(self) -> Sequence[tuple[str, object]]: ...


@frozen
class Proof:
    """One test: what it is about, whether it passed, and what it saw."""

    about: int | str
    passed: bool
    seen: tuple[str, ...]

    @classmethod
    def read(cls, reports: Iterable[Report], kind: str) -> "list[Proof]":
        """The tests of one kind among all that ran, sorted by what they are about."""
        found = [
            cls(
                about,
                report.outcome == "passed",
                tuple(str(text) for name, text in report.user_properties if name == SEEN),
            )
            for report in reports
            for name, about in report.user_properties
            if name == kind and isinstance(about, int | str)
        ]
        return sorted(found, key=lambda proof: proof.about)


def tables(reports: Sequence[Report]) -> Iterator[str]:
    """The lines of both tables; nothing where no such test ran."""
    rows, figures = Proof.read(reports, ROW), Proof.read(reports, FIGURE)
    if rows:
        yield _line("row", "fault", "by", "expected", "seen", "tests")
        for number, proofs in groupby(rows, key=lambda proof: proof.about):
            row = ROWS[int(number)]
            yield _line(str(number), row.fault, row.by, row.expected, *_result(list(proofs)))
    for name, proofs in groupby(figures, key=lambda proof: proof.about):
        seen, result = _result(list(proofs))
        yield f"{name}: {seen} ({result})"


def _result(proofs: list[Proof]) -> tuple[str, str]:
    seen = dict.fromkeys(text for proof in proofs for text in proof.seen)
    failed = sum(not proof.passed for proof in proofs)
    return "; ".join(seen), f"{failed} of {len(proofs)} FAILED" if failed else f"{len(proofs)} passed"


def _line(*cells: str) -> str:
    number, fault, by, expected, seen, result = cells
    return f"{number:>3} | {fault:<52} | {by:<10} | {expected:<{WIDTH}} | {seen:<{WIDTH}} | {result}"
