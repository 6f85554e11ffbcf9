"""The plot of the curve is well-formed, and its points are where the axes say."""

from xml.etree import ElementTree as ET

import pytest

from benchmarks.measure import Figure, Line, PlotPoint
from benchmarks.plot import make_axis, svg

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*points: tuple[float, float], panel: str = "cost", series: str = "client") -> list[Line]:
    return [
        Line(row="curve", what="it", unit="", client=Figure(value=y), point=PlotPoint(panel=panel, series=series, x=x))
        for x, y in points
    ]


def picture(lines: list[Line]) -> ET.Element:
    return ET.fromstring(svg(lines))


def dots(picture: ET.Element) -> list[tuple[float, float]]:
    return [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in picture.iter(f"{SVG}circle")]


def texts(picture: ET.Element) -> list[str | None]:
    return [text.text for text in picture.iter(f"{SVG}text")]


@pytest.mark.parametrize(("value", "pixel"), [(1, 100), (10, 50), (100, 0)])
def test_an_axis_gives_each_power_of_ten_the_same_length(value: float, pixel: float) -> None:
    assert make_axis([1, 100], 100, 0).pixel(value) == pixel


def test_an_axis_ends_at_powers_of_ten_around_all_values() -> None:
    assert make_axis([0.02, 300], 0, 1).marks == pytest.approx([0.01, 0.1, 1, 10, 100, 1000])


def test_a_single_value_still_has_an_axis() -> None:
    assert make_axis([10], 0, 1).marks == [10, 100]


def test_proportional_growth_rises_and_a_constant_stays_level() -> None:
    (left, low), (right, high) = dots(picture(drawn((1, 1), (1000, 1000))))
    assert (left < right, low > high) == (True, True)
    level = dots(picture(drawn((1, 5), (1000, 5))))
    assert level[0][1] == level[1][1]


def test_every_kind_of_figure_has_its_own_panel_with_title_and_series() -> None:
    lines = drawn((1, 1)) + drawn((1, 2), panel="a < b", series="other") + drawn((1, 2), series="other")
    shown = texts(picture(lines))
    assert [shown.count(words) for words in ("cost", "a < b", "client", "other")] == [1, 1, 1, 2]


def test_lines_without_a_spot_are_not_drawn() -> None:
    plain = Line(row="other", what="it", unit="", client=Figure(value=1.0))
    assert len(dots(picture([plain, *drawn((1, 1), (10, 2))]))) == 2
