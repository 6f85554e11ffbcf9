"""What the tests prove, as two tables at the end of a run: the rows of the fault matrix, and the promised figures."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Protocol

from attrs import frozen

from tests.behaviour.fault_matrix import ROWS

FIGURE, ROW, SEEN = "figure", "row", "seen"
WIDTH = 60


class ReportLike(Protocol):
    """A pytest report of a test that ran."""

    @property
    def outcome(self) -> str: ...
    @property
    def user_properties(self) -> Sequence[tuple[str, object]]: ...


@frozen
class RecordedResult:
    """One test: its subject, whether it passed, and what it observed."""

    subject: int | str
    passed: bool
    observations: tuple[str, ...]

    @classmethod
    def read(cls, reports: Iterable[ReportLike], kind: str) -> "list[RecordedResult]":
        """Return the tests of one kind among all that ran, sorted by subject."""
        results = [
            cls(
                subject,
                report.outcome == "passed",
                tuple(str(text) for name, text in report.user_properties if name == SEEN),
            )
            for report in reports
            for name, subject in report.user_properties
            if name == kind and isinstance(subject, int | str)
        ]
        return sorted(results, key=lambda proof: proof.subject)


def proof_tables(reports: Sequence[ReportLike]) -> Iterator[str]:
    """Yield the lines of both tables. Yield nothing if no such test ran."""
    rows, figures = RecordedResult.read(reports, ROW), RecordedResult.read(reports, FIGURE)
    if rows:
        yield _line("row", "fault", "by", "expected", "observed", "tests")
        for number, results in groupby(rows, key=lambda result: result.subject):
            row = ROWS[int(number)]
            yield _line(str(number), row.fault, row.by, row.expected, *_result(list(results)))
    for name, results in groupby(figures, key=lambda result: result.subject):
        observed, result = _result(list(results))
        yield f"{name}: {observed} ({result})"


def _result(results: list[RecordedResult]) -> tuple[str, str]:
    observations = dict.fromkeys(text for result in results for text in result.observations)
    failed = sum(not result.passed for result in results)
    return "; ".join(observations), f"{failed} of {len(results)} FAILED" if failed else f"{len(results)} passed"


def _line(*cells: str) -> str:
    number, fault, by, expected, observed, result = cells
    return f"{number:>3} | {fault:<52} | {by:<10} | {expected:<{WIDTH}} | {observed:<{WIDTH}} | {result}"
