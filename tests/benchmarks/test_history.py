"""The history has one line for each commit that measured a ratio that the documentation quotes."""

from benchmarks import history
from benchmarks.measure import Figure, Line
from benchmarks.report import Row, line_cells, table


def measured(ratio: float, commit: str, what: str = "CPU of importing the package", row: str = "import") -> Row:
    line = Line(
        row=row,
        what=what,
        unit="s",
        client=Figure(value=ratio),
        peer_name="pyPreservica",
        peer=Figure(value=1.0),
    )
    return (*line_cells(line), f"{commit} x3")


def text(lines: list[Row]) -> str:
    return f"{history.HEADING}\n\n{table(history.HEAD, lines)}\n"


def cells(lines: list[Row], column: str) -> list[tuple[str, str]]:
    return [(line[0], line[history.HEAD.index(column)]) for line in lines]


def test_a_commit_that_measures_a_quoted_ratio_gets_a_line() -> None:
    lines = history.merge("", [measured(0.5, "old")])
    assert cells(history.merge(text(lines), [measured(0.25, "new")]), "import") == [("old", "0.5x"), ("new", "0.25x")]


def test_the_same_commit_replaces_what_it_measures_again_and_keeps_the_rest() -> None:
    lines = history.merge("", [measured(0.5, "one"), measured(0.1, "one", "XML", row="read-xml")])
    lines = history.merge(text(lines), [measured(0.25, "one")])
    assert cells(lines, "import") == [("one", "0.25x")]
    assert cells(lines, "XML page") == [("one", "0.1x")]


def test_ratios_that_are_not_quoted_make_no_line() -> None:
    assert history.merge("", [measured(0.5, "one", "CPU of importing a client's class")]) == []


def test_a_history_with_other_columns_is_begun_anew() -> None:
    before = f"{history.HEADING}\n\n| commit |\n|--------|\n| old    |\n"
    assert cells(history.merge(before, [measured(0.5, "new")]), "import") == [("new", "0.5x")]
