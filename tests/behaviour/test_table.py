import re
from pathlib import Path

import pytest

from tests.behaviour.fault_matrix import ROWS

HERE = Path(__file__).parent
MARK = re.compile(r"mark\.row\((\d+)\)")


@pytest.mark.matrix
def test_every_row_of_the_matrix_has_a_test_and_every_test_has_a_row() -> None:
    marked = {int(number) for file in HERE.glob("test_*.py") for number in MARK.findall(file.read_text())}
    assert marked == set(ROWS) == set(range(1, 76))
