"""A run replaces the rows of RESULTS.md that it measured, and no others."""

from benchmarks.measure import Figure, Line
from benchmarks.report import DATED, HEAD, line_cells, merge, table

ORDER = ["first", "second", "third"]


def line(row: str, what: str = "it", client: float = 2.0) -> Line:
    return Line(row=row, what=what, unit="s", client=Figure(value=client))


def written(*lines: Line, commit: str, before: str = "") -> str:
    return "# Results\n\n" + table(DATED, merge(before, lines, commit, ORDER)) + "\n"


def written_rows(text: str) -> list[tuple[str, str, str]]:
    """Return the row, the subject and the commit of each line."""
    split = [[cell.strip() for cell in row.split("|")] for row in text.splitlines() if row.startswith("|")]
    return [(row[1], row[2], row[-2]) for row in split[2:]]


def test_rows_that_were_not_measured_again_keep_their_commit() -> None:
    before = written(line("first"), line("third", "a"), line("third", "b"), commit="old")
    after = written(line("first", "anew"), line("second"), commit="new+", before=before)
    assert written_rows(after) == [
        ("first", "anew", "new+"),
        ("second", "it", "new+"),
        ("third", "a", "old"),
        ("third", "b", "old"),
    ]


def test_a_row_that_is_measured_again_replaces_all_its_earlier_lines() -> None:
    before = written(line("first", "a"), line("first", "b"), commit="old")
    assert written_rows(written(line("first", "a"), commit="new", before=before)) == [("first", "a", "new")]


def test_a_row_that_does_not_exist_any_more_is_dropped() -> None:
    before = written(line("first"), commit="old").replace("first", "gone")
    assert written_rows(written(line("second"), commit="new", before=before)) == [("second", "it", "new")]


def test_a_table_with_other_columns_is_ignored() -> None:
    before = table(HEAD, [line_cells(line("first"))])
    assert written_rows(written(line("second"), commit="new", before=before)) == [("second", "it", "new")]


def test_writing_the_same_results_again_changes_nothing() -> None:
    lines = [line("first", client=0.00123), line("second", client=12345.0)]
    once = written(*lines, commit="a")
    assert written(lines[0], commit="a", before=once) == once


def test_a_line_shows_both_ratios_and_whether_its_goal_is_reached() -> None:
    full = Line(
        row="first",
        what="it",
        unit="s",
        client=Figure(value=2.0, wall=3.0),
        peer_name="peer",
        peer=Figure(value=4.0),
        floor=Figure(value=0.5),
        has_floor=True,
        goal="<= 1x",
        reached=True,
    )
    assert line_cells(full) == ("first", "it", "2 s (3 wall)", "4 s peer", "0.5 s", "0.5x", "4x", "<= 1x", "reached")


def test_a_line_without_its_peer_says_not_installed_and_has_no_result() -> None:
    bare = Line(
        row="first", what="it", unit="s", client=Figure(value=2.0), peer_name="peer", has_floor=True, goal="<= 1x"
    )
    assert line_cells(bare)[3:] == ("not installed peer", "not installed", "-", "-", "<= 1x", "")
