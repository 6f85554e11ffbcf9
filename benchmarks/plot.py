"""Draws lines of the table as an SVG with logarithmic axes. A dashed line shows proportional growth."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from html import escape

from attrs import frozen

from benchmarks.measure import Line

Point = tuple[float, float]
Panel = Mapping[str, Sequence[Point]]
"""The points of each series."""

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 420, 34, 264
"""The edges of the plot in a panel."""
COLUMNS = 2
COLOURS = ("#0b6fa4", "#c2410c", "#4d7c0f", "#7e22ce")
STYLE = "text{font:12px sans-serif}path{fill:none;stroke-width:2}.grid{stroke:#ddd;stroke-width:1}"
GUIDE = 'stroke="#888" stroke-dasharray="5 4"'


@frozen
class Axis:
    """Powers of ten along a range of pixels."""

    low: int
    high: int
    start: float
    end: float

    @property
    def marks(self) -> list[float]:
        """Every power of ten."""
        return [10.0**power for power in range(self.low, self.high + 1)]

    def pixel(self, value: float) -> float:
        """Return the pixel of a value."""
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)


def make_axis(values: Collection[float], start: float, end: float, decades: int = 1) -> Axis:
    """Return an axis for these values, with at least `decades` powers of ten."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return Axis(low, max(high, low + decades), start, end)


def svg(lines: Iterable[Line]) -> str:
    """Draw the lines that have a plot point, with a panel for each kind of figure."""
    panels = _panels(lines)
    size = f"{COLUMNS * WIDTH} {math.ceil(len(panels) / COLUMNS) * HEIGHT}"
    drawn = [_place_panel(place, _panel(title, panel)) for place, (title, panel) in enumerate(panels.items())]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}"><style>{STYLE}</style>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *drawn, "</svg>\n"])


def _panels(lines: Iterable[Line]) -> dict[str, dict[str, list[Point]]]:
    panels: dict[str, dict[str, list[Point]]] = {}
    for line in lines:
        if line.point is not None:
            series = panels.setdefault(line.point.panel, {}).setdefault(line.point.series, [])
            series.append((line.point.x, line.client.value))
    return panels


def _place_panel(place: int, panel: str) -> str:
    return f'<g transform="translate({place % COLUMNS * WIDTH} {place // COLUMNS * HEIGHT})">\n{panel}\n</g>'


def _panel(title: str, panel: Panel) -> str:
    points = [point for series in panel.values() for point in series]
    across = make_axis([x for x, _ in points], LEFT, RIGHT)
    up = make_axis([y for _, y in points], BOTTOM, TOP, across.high - across.low)
    parts = [_text(LEFT, TOP - 14, title, weight="bold"), *_grid(across, up), _guide(across, up, min(points))]
    for place, (name, series) in enumerate(panel.items()):
        parts += _series(across, up, series, COLOURS[place])
        parts.append(_text(LEFT + 10, TOP + 18 + 16 * place, name, COLOURS[place]))
    return "\n".join(parts)


def _grid(across: Axis, up: Axis) -> Iterator[str]:
    for mark in across.marks:
        yield f'<path class="grid" d="M{across.pixel(mark)} {up.start}V{up.end}"/>'
        yield _text(across.pixel(mark), up.start + 18, f"{mark:,.0f}", anchor="middle")
    for mark in up.marks:
        yield f'<path class="grid" d="M{across.start} {up.pixel(mark)}H{across.end}"/>'
        yield _text(across.start - 8, up.pixel(mark) + 4, f"{mark:,.9g}", anchor="end")


def _guide(across: Axis, up: Axis, first: Point) -> str:
    """Draw proportional growth from a point on."""
    x, y = first
    more = min(across.marks[-1] / x, up.marks[-1] / y)
    return _path(across, up, [first, (x * more, y * more)], GUIDE)


def _series(across: Axis, up: Axis, series: Sequence[Point], colour: str) -> Iterator[str]:
    yield _path(across, up, series, f'stroke="{colour}"')
    for x, y in series:
        yield f'<circle cx="{across.pixel(x)}" cy="{up.pixel(y)}" r="3.5" fill="{colour}"/>'


def _path(across: Axis, up: Axis, points: Sequence[Point], style: str) -> str:
    places = "L".join(f"{across.pixel(x)} {up.pixel(y)}" for x, y in points)
    return f'<path d="M{places}" {style}/>'


def _text(x: float, y: float, words: str, colour: str = "#222", *, anchor: str = "start", weight: str = "") -> str:
    place = f'x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight or "normal"}"'
    return f"<text {place}>{escape(words)}</text>"
