"""What was measured, as a table, and as `RESULTS.md`, in which a run replaces no more than the rows it measured."""

from collections.abc import Iterable, Sequence

from benchmarks.measure import Figure, Line

Cells = tuple[str, ...]

HEAD: Cells = ("row", "what", "ours", "peer", "floor", "ours/peer", "ours/floor", "goal", "")
DATED: Cells = (*HEAD, "commit")


def cells(line: Line) -> Cells:
    """One line, as it is printed."""
    peer = f"{_shown(line.peer, line.unit)} {line.peer_name}" if line.peer_name else "-"
    return (
        line.row,
        line.what,
        _shown(line.ours, line.unit),
        peer,
        _shown(line.floor, line.unit) if line.floored else "-",
        _times(line.by_peer),
        _times(line.by_floor),
        line.goal,
        {True: "reached", False: "NOT reached", None: ""}[line.reached],
    )


def table(head: Cells, rows: Iterable[Cells]) -> str:
    """A table in Markdown, its columns aligned."""
    printed = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*printed, strict=True)]
    lines = [_joined(row, widths) for row in printed]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def merged(before: str, lines: Iterable[Line], commit: str, order: Sequence[str]) -> list[Cells]:
    """The rows of an earlier text, with what was measured now in the place of its rows; in this order, by name."""
    fresh = [(*cells(line), commit) for line in lines]
    again = {row[0] for row in fresh}
    kept = [row for row in _rows(before) if row[0] in order and row[0] not in again]
    return sorted(kept + fresh, key=lambda row: order.index(row[0]))


def _rows(text: str) -> list[Cells]:
    """The rows of a table with the columns of ours; none of any other."""
    split = [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in text.splitlines() if line[:1] == "|"]
    return split[2:] if split[:1] == [DATED] else []


def _joined(row: Cells, widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def _shown(figure: Figure | None, unit: str) -> str:
    if figure is None:
        return "not installed"
    wall = "" if figure.wall is None else f" ({digits(figure.wall)} wall)"
    return f"{digits(figure.value)} {unit}".rstrip() + wall


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{digits(ratio)}x"


def digits(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
