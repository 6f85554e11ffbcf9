"""Formats results as a table, and merges them into `RESULTS.md`."""

from collections.abc import Iterable, Sequence

from benchmarks.measure import Figure, Line

Row = tuple[str, ...]

HEAD: Row = ("row", "what", "client", "peer", "floor", "client/peer", "client/floor", "goal", "")
DATED: Row = (*HEAD, "commit")


def line_cells(line: Line) -> Row:
    """Return the cells of one line."""
    peer = f"{_figure_text(line.peer, line.unit)} {line.peer_name}" if line.peer_name else "-"
    return (
        line.row,
        line.what,
        _figure_text(line.client, line.unit),
        peer,
        _figure_text(line.floor, line.unit) if line.has_floor else "-",
        _ratio_text(line.by_peer),
        _ratio_text(line.by_floor),
        line.goal,
        {True: "reached", False: "NOT reached", None: ""}[line.reached],
    )


def table(head: Row, rows: Iterable[Row]) -> str:
    """Return a Markdown table with aligned columns."""
    printed = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*printed, strict=True)]
    lines = [_table_row(row, widths) for row in printed]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def merge(before: str, lines: Iterable[Line], commit: str, order: Sequence[str]) -> list[Row]:
    """Return the rows of an earlier text, with the measured rows replaced, sorted by `order`."""
    fresh = [(*line_cells(line), commit) for line in lines]
    again = {row[0] for row in fresh}
    kept = [row for row in rows_of(before) if row[0] in order and row[0] not in again]
    return sorted(kept + fresh, key=lambda row: order.index(row[0]))


def rows_of(text: str) -> list[Row]:
    """Return the rows of a results table. A table with other columns has none."""
    split = cells_of(text)
    return [row for row in split[2:] if len(row) == len(DATED)] if split[:1] == [DATED] else []


def cells_of(text: str) -> list[Row]:
    """Return the cells of each line of the tables in a text, with the lines below the heads."""
    return [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in text.splitlines() if line[:1] == "|"]


def _table_row(row: Row, widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def _figure_text(figure: Figure | None, unit: str) -> str:
    if figure is None:
        return "not installed"
    wall = "" if figure.wall is None else f" ({format_number(figure.wall)} wall)"
    return f"{format_number(figure.value)} {unit}".rstrip() + wall


def _ratio_text(ratio: float | None) -> str:
    return "-" if ratio is None else f"{format_number(ratio)}x"


def format_number(value: float) -> str:
    """Format a number with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
