"""Results as they are written: a run replaces the rows it measured, and no others."""

from benchmarks.measure import Figure, Line
from benchmarks.report import DATED, HEAD, cells, merged, table

ORDER = ["first", "second", "third"]


def line(row: str, what: str = "it", ours: float = 2.0) -> Line:
    return Line(row=row, what=what, unit="s", ours=Figure(value=ours))


def written(*lines: Line, commit: str, before: str = "") -> str:
    return "# Results\n\n" + table(DATED, merged(before, lines, commit, ORDER)) + "\n"


def told(text: str) -> list[tuple[str, str, str]]:
    """Row, what and commit of each line."""
    split = [[cell.strip() for cell in row.split("|")] for row in text.splitlines() if row.startswith("|")]
    return [(row[1], row[2], row[-2]) for row in split[2:]]


def test_what_was_not_measured_again_is_kept_with_its_commit() -> None:
    before = written(line("first"), line("third", "a"), line("third", "b"), commit="old")
    after = written(line("first", "anew"), line("second"), commit="new+", before=before)
    assert told(after) == [
        ("first", "anew", "new+"),
        ("second", "it", "new+"),
        ("third", "a", "old"),
        ("third", "b", "old"),
    ]


def test_a_row_that_is_measured_again_loses_all_its_earlier_lines() -> None:
    before = written(line("first", "a"), line("first", "b"), commit="old")
    assert told(written(line("first", "a"), commit="new", before=before)) == [("first", "a", "new")]


def test_a_row_that_is_no_more_is_dropped() -> None:
    before = written(line("first"), commit="old").replace("first", "gone")
    assert told(written(line("second"), commit="new", before=before)) == [("second", "it", "new")]


def test_a_table_with_other_columns_is_not_taken_for_results() -> None:
    before = table(HEAD, [cells(line("first"))])
    assert told(written(line("second"), commit="new", before=before)) == [("second", "it", "new")]


def test_writing_the_same_again_changes_nothing() -> None:
    lines = [line("first", ours=0.00123), line("second", ours=12345.0)]
    once = written(*lines, commit="a")
    assert written(lines[0], commit="a", before=once) == once


def test_a_line_shows_both_ratios_and_whether_its_goal_is_reached() -> None:
    full = Line(
        row="first",
        what="it",
        unit="s",
        ours=Figure(value=2.0, wall=3.0),
        peer_name="peer",
        peer=Figure(value=4.0),
        floor=Figure(value=0.5),
        floored=True,
        goal="<= 1x",
        reached=True,
    )
    assert cells(full) == ("first", "it", "2 s (3 wall)", "4 s peer", "0.5 s", "0.5x", "4x", "<= 1x", "reached")


def test_a_line_whose_peer_is_not_installed_says_so_and_claims_nothing() -> None:
    bare = Line(row="first", what="it", unit="s", ours=Figure(value=2.0), peer_name="peer", floored=True, goal="<= 1x")
    assert cells(bare)[3:] == ("not installed peer", "not installed", "-", "-", "<= 1x", "")
