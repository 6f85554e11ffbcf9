"""Every row of the two user documents has a test, or a line in "What it cannot do"."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from attrs import frozen

from tests.support.named_tests import TESTS, fault_of_name

TABLE = TESTS / "contract" / "documents.md"
GUARANTEES = TESTS.parent / "workflow_async" / "docs" / "guarantees.md"
COUNTS = {"O": 174, "P": 25}
"""The number of rows of each document: Opencast's Workflow API and pyPreservica's Workflow API."""
ROW = re.compile(r"\| ([OP])(\d+) \| ([^|]+) \| ([^|]+) \|")
LIMIT = re.compile(r"cannot: (.+)")


@frozen
class Row:
    """A row of a document, and what it is mapped to."""

    document: str
    number: int
    text: str
    proof: str


def rows(lines: Iterable[str]) -> Iterator[Row]:
    """Yield the rows of the table."""
    for line in lines:
        if line.startswith(("| O", "| P")):
            match = ROW.fullmatch(line)
            assert match is not None, line
            document, number, text, proof = match.groups()
            yield Row(document, int(number), text, proof.strip())


def limits(text: str) -> set[str]:
    """Return the first cells of the section "What it cannot do"."""
    section = text.partition("## What it cannot do\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return {line.split("|")[1].strip() for line in table[2:]}


def fault(row: Row, known_limits: Iterable[str]) -> str | None:
    """Return what is wrong with the proof of a row. None if it names a test or a limit that exists."""
    limit = LIMIT.fullmatch(row.proof)
    if limit is not None:
        return None if limit[1] in known_limits else f"no such line: {limit[1]}"
    return fault_of_name(row.proof)


ROWS = [*rows(TABLE.read_text(encoding="utf-8").splitlines())]
LIMITS = limits(GUARANTEES.read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", COUNTS)
def test_every_row_of_a_document_is_in_the_table(document: str) -> None:
    assert [row.number for row in ROWS if row.document == document] == [*range(1, COUNTS[document] + 1)]


def test_every_row_names_a_test_or_a_limit_that_exists() -> None:
    faults = {f"{row.document}{row.number} {row.text}": fault(row, LIMITS) for row in ROWS}
    assert {row: why for row, why in faults.items() if why is not None} == {}


def test_every_limit_is_the_answer_to_a_row_and_has_a_reason() -> None:
    named = {match[1] for row in ROWS if (match := LIMIT.fullmatch(row.proof))}
    assert named == LIMITS
    section = GUARANTEES.read_text(encoding="utf-8").partition("## What it cannot do\n")[2].partition("\n## ")[0]
    reasons = [line.split("|")[2].strip() for line in section.splitlines() if line.startswith("|")][2:]
    assert all(len(reason.split()) > 5 for reason in reasons)


HERE = f"contract/{Path(__file__).name}"


@pytest.mark.parametrize(
    ("proof", "why"),
    [
        (f"`{HERE}::test_a_wrong_proof_is_found`", None),
        (f"`{HERE}::test_every_row_of_a_document_is_in_the_table[O]`", None),
        (f"`{HERE}::test_every_row_of_a_document_is_in_the_table[X]`", "has no case X"),
        (f"`{HERE}::test_no_such`", "no such test: test_no_such"),
        ("`contract/test_no_such.py::test_x`", "no such test: test_x"),
        ("cannot: fly", "no such line: fly"),
        ("cannot: sort", None),
        ("later", "names no test"),
    ],
)
def test_a_wrong_proof_is_found(proof: str, why: str | None) -> None:
    found = fault(Row("O", 1, "a row", proof), {"sort"})
    assert (found is None) if why is None else (found is not None and found.endswith(why))


def test_a_row_that_is_not_mapped_is_found() -> None:
    with pytest.raises(AssertionError, match="unmapped"):
        [*rows(["| O1 | unmapped |"])]
