"""The comparison with other clients has all of its rows, and what it says of this library is proved or explained."""

import re
from collections.abc import Mapping

from tests.support.documentation import PAGES
from tests.support.named_tests import TESTS, fault_of_name

FEATURES = 99
CLIENTS = 11
"""The columns of other clients."""


def rows(text: str) -> Mapping[int, tuple[str, ...]]:
    """Return the cells of the rows of a table, by the number in their first cells."""
    cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in text.splitlines() if "|" in line]
    return {int(number): tuple(rest) for number, *rest in cells if number.isdigit()}


TABLE, _, EXPLAINED = (PAGES / "comparison.md").read_text(encoding="utf-8").partition("## What is missing")
HERE = {number: cells[1] for number, cells in rows(TABLE).items()}
REASONS = rows(EXPLAINED)
PROOFS = rows((TESTS / "contract" / "comparison.md").read_text(encoding="utf-8"))


def test_every_feature_and_every_client_is_in_the_table() -> None:
    assert [*rows(TABLE)] == [*range(1, FEATURES + 1)]
    assert {len(cells) for cells in rows(TABLE).values()} == {2 + CLIENTS}
    assert {*HERE.values()} == {"Y", "p", "N"}


def test_every_feature_that_is_here_is_proved_by_a_test() -> None:
    assert PROOFS.keys() == {number for number, word in HERE.items() if word != "N"}
    faults = {number: fault_of_name(proof) for number, (proof,) in PROOFS.items()}
    assert {number: why for number, why in faults.items() if why is not None} == {}


def test_every_feature_that_is_partly_here_or_missing_is_explained() -> None:
    assert REASONS.keys() == {number for number, word in HERE.items() if word != "Y"}
    assert all(len(re.findall(r"\w+", reason)) > 3 for (reason,) in REASONS.values())


def test_a_row_is_read_by_its_number() -> None:
    assert rows("| # | x |\n|---|---|\n| | **Part** |\n| 7 | Y |") == {7: ("Y",)}
