"""The drawings of a batch's report, as SVG. Pure.

A drawing has no texts of its own except those that appear under the pointer, so that it can be stretched to any width.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from workflow_async.batch import StartStatus
from workflow_async.cli.html.attempts import Attempt, Outage, names_of, tone
from workflow_async.cli.html.markup import clock_text, plural, safe, step_text
from workflow_async.cli.html.model import Axis, Ends, Report
from workflow_async.cli.timeline import format_seconds

WIDTH = 1000
"""The width of a drawing in its own units."""
HEIGHT = 56
"""The height of a chart over time."""
LANES_HEIGHT = 640
MIN_LANE, MAX_LANE = 3, 20
MIN_BLOCK = 1.0
GAP = 0.4
LAST_LABEL = 0.87
"""Where the last text of an axis may begin. Later ones would not fit on a narrow screen."""


def _x(axis: Axis, moment: datetime) -> float:
    return round(WIDTH * axis.place(moment), 1)


def _drawing(kind: str, height: float, label: str, *parts: str) -> str:
    shapes = "".join(parts)
    return (
        f'<svg class="{kind}" role="img" aria-label="{safe(label)}" viewBox="0 0 {WIDTH} {height:g}"'
        f' height="{height:g}" preserveAspectRatio="none">{shapes}</svg>'
    )


def _backdrop(report: Report, height: float) -> str:
    """Return the ticks of the axis and the outages."""
    axis = report.axis
    ticks = "".join(f"M{_x(axis, tick)} 0V{height:g}" for tick in axis.ticks)
    outages = "".join(_band(axis, outage, height) for outage in report.outages)
    return f'{outages}<path class="tick" d="{ticks}"/>'


def _band(axis: Axis, outage: Outage, height: float) -> str:
    begin, end = _x(axis, outage.begin), _x(axis, outage.end)
    title = f"Waiting for the server: {format_seconds((outage.end - outage.begin).total_seconds())}"
    return _rect("outage", begin, max(MIN_BLOCK, end - begin), height, title=title)


def _rect(kind: str, x: float, width: float, height: float, *, y: float = 0.0, title: str = "") -> str:
    """Return a rectangle. The title appears under the pointer."""
    top = f' y="{y:.1f}"' if y else ""
    shape = f'<rect class="{kind}" x="{x:.1f}"{top} width="{width:.1f}" height="{height:.3g}"'
    return f"{shape}><title>{safe(title)}</title></rect>" if title else f"{shape}/>"


def gantt(report: Report) -> str:
    """Return the places of the batch: a lane for each, and a block for each attempt."""
    statuses = {status.key: status for status in report.statuses}
    lane = min(MAX_LANE, max(MIN_LANE, LANES_HEIGHT // max(1, report.lanes)))
    rows = [""] * report.lanes
    for attempt in report.attempts:
        rows[attempt.lane] += _block(report.axis, attempt, statuses.get(attempt.key), lane - max(1, lane // 6))
    lanes = "".join(f'<g transform="translate(0 {n * lane})">{row}</g>' for n, row in enumerate(rows))
    stripes = "".join(_rect("lane", 0, WIDTH, lane, y=n * lane) for n in range(0, report.lanes, 2))
    height = max(lane, lane * report.lanes)
    label = f"{plural(len(report.attempts), 'attempt')} in {plural(report.lanes, 'place')}"
    return _drawing("gantt", height, label, stripes, _backdrop(report, height), lanes)


def _block(axis: Axis, attempt: Attempt, status: StartStatus | None, height: int) -> str:
    end = attempt.end or axis.end
    known = end if attempt.took is None else min(end, attempt.begin + max(attempt.took, timedelta()))
    begin, last = _x(axis, attempt.begin), _x(axis, end)
    seen = max(MIN_BLOCK, _x(axis, known) - begin - GAP)
    late = last - begin - seen - GAP
    tail = _rect("late", begin + seen, late, height) if late > MIN_BLOCK else ""
    return _rect(tone(attempt.kind, attempt.word), begin, seen, height, title=_title(attempt, status)) + tail


def _title(attempt: Attempt, status: StartStatus | None) -> str:
    """Return what appears under the pointer: id, event, definition, outcome, failed operation and duration."""
    definition, event = names_of(status) if status is not None else ("", "")
    words = [str(attempt.id or ""), event, definition, attempt.word]
    if attempt.operation:
        words.append(f"in {attempt.operation}")
    if attempt.took is not None:
        words.append(format_seconds(attempt.took.total_seconds()))
    return " · ".join(word for word in words if word)


def running(report: Report) -> str:
    """Return the number of taken places over time."""
    axis = report.axis
    changes = [(attempt.begin, 1) for attempt in report.attempts]
    changes += [(attempt.end, -1) for attempt in report.attempts if attempt.end is not None]
    return _area(report, "run", _levels(axis, 0, changes), report.lanes, "Places taken over time")


def not_begun(report: Report) -> str:
    """Return the number of starts that have not begun, over time."""
    first = {attempt.key: attempt.begin for attempt in reversed(report.attempts)}
    levels = _levels(report.axis, len(report.statuses), [(begin, -1) for begin in first.values()])
    return _area(report, "todo", levels, len(report.statuses), "Starts that have not begun, over time")


def _levels(axis: Axis, level: int, changes: Iterable[tuple[datetime, int]]) -> Sequence[tuple[float, int]]:
    """Return the level from each place on. Changes at the same place are one."""
    by_place: Counter[float] = Counter()
    for moment, change in changes:
        by_place[_x(axis, moment)] += change
    levels = [(0.0, level)]
    for place, change in sorted(by_place.items()):
        level += change
        levels.append((place, level))
    return levels


def _area(report: Report, colour: str, levels: Sequence[tuple[float, int]], top: int, label: str) -> str:
    scale = (HEIGHT - 2) / max(1, top)
    steps = "".join(f"H{x:g}V{HEIGHT - level * scale:.1f}" for x, level in levels)
    path = f'<path class="{colour}" d="M0 {HEIGHT}{steps}H{WIDTH}V{HEIGHT}Z"/>'
    return _drawing("chart", HEIGHT, label, _backdrop(report, HEIGHT), path)


def ends(report: Report) -> str:
    """Return a bar for the ends in each interval. Those that did not succeed are on top."""
    scale = (HEIGHT - 2) / max(1, *(ends.count for ends in report.ends))
    bars = "".join(_bar(report, n, ends, scale) for n, ends in enumerate(report.ends) if ends.count)
    label = f"Ends in each {step_text(report.ends_step)}"
    return _drawing("chart", HEIGHT, label, _backdrop(report, HEIGHT), bars)


def _bar(report: Report, n: int, ends: Ends, scale: float) -> str:
    step = WIDTH * report.ends_step / report.axis.seconds
    width = max(0.5, min(step, WIDTH - n * step) - 1)
    failed = f", {ends.others:,} did not succeed" if ends.others else ""
    title = f"{plural(ends.count, 'end')} from {_moment(report, n)}{failed}"
    low, high = HEIGHT - ends.succeeded * scale, HEIGHT - ends.count * scale
    top = _rect("bad", n * step, width, low - high, y=high, title=title) if ends.others else ""
    return top + _rect("ok", n * step, width, HEIGHT - low, y=low, title=title)


def _moment(report: Report, n: int) -> str:
    return clock_text(report.axis.begin + timedelta(seconds=n * report.ends_step), report.ends_step)


def axis_labels(axis: Axis) -> str:
    """Return the texts below the drawings, at the ticks."""
    labels = "".join(
        f'<span style="left:{100 * axis.place(tick):.2f}%">{clock_text(tick, axis.step)}</span>'
        for tick in axis.ticks
        if axis.place(tick) < LAST_LABEL
    )
    return f'<div class="axis">{labels}</div>'


def range_bar(values: Mapping[str, float], top: float) -> str:
    """Return a line from the shortest to the longest, a bar to the 90th percentile, and a mark at the median."""
    scale = WIDTH / max(top, 0.001)
    low, median, p90, high = (values[name] * scale for name in ("shortest", "median", "p90", "longest"))
    shapes = (
        _rect("whole", low, max(2.0, high - low), 2, y=5),
        _rect("run", low, max(2.0, p90 - low), 10, y=1),
        _rect("median", median - 3, 6, 12),
    )
    return _drawing("range", 12, "shortest, median, 90th percentile and longest", *shapes)
