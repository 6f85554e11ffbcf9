"""Writes a batch's report as one HTML file, without scripts and without requests. Pure."""

import shlex
from collections.abc import Iterable, Sequence

import attrs

from workflow_async.batch import StartStatus
from workflow_async.batch.entries import JournalHistory
from workflow_async.cli.html import charts
from workflow_async.cli.html.attempts import names_of, tone
from workflow_async.cli.html.failures import FailureGroup, commands
from workflow_async.cli.html.markup import full_time, plural, safe, shortened, step_text
from workflow_async.cli.html.model import Durations, OutcomeCount, Report, report_of
from workflow_async.cli.html.stacks import stacked_durations
from workflow_async.cli.html.style import STYLE
from workflow_async.cli.timeline import format_seconds

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The browser runs no script and sends no request, whatever the journal contains."""
MAX_COMMANDS = 50
"""Command lines for each group of failures."""
UNITS_PER_ATTEMPT = 2
MAX_CHART_WIDTH = 4000
ALL_HEADINGS = ("Outcome", "Id", "Definition", "Event", "Took", "Sent at", "Detail")
DURATION_HEADINGS = ("Ended", "Failed", "Median", "90 %", "Longest")


def html_report(history: JournalHistory, journal: str, starts: str = "BATCH.csv") -> str:
    """Return the page for a journal. The paths of the journal and of the CSV file are for the command lines."""
    report = report_of(history)
    sections = (_head(report), _charts(report), _durations(report), _failures(report, journal, starts), _all(report))
    title = safe(f"{report.system}: {plural(len(report.statuses), 'start')}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(filter(None, sections))
        + "\n</body></html>\n"
    )


def _head(report: Report) -> str:
    more = "" if report.complete else ", and more may follow"
    axis = report.axis
    bar = "".join(_segment(count) for count in report.counts)
    legend = "".join(
        f'<li class="key {count.tone}"><b>{count.count:,}</b>{_word(count.word)}</li>' for count in report.counts
    )
    return (
        f"<header><h1>{plural(len(report.statuses), 'start')} on {safe(report.system)}{more}</h1>"
        f'<p class="dim">{safe(report.server)}</p>'
        f'<p class="dim">{full_time(axis.begin)} to {full_time(axis.end)}, {format_seconds(axis.seconds)}</p>'
        f'<div class="bar">{bar}</div><ul class="legend">{legend}</ul></header>'
    )


def _word(word: str) -> str:
    return "not begun" if word == "planned" else safe(word)


def _segment(count: OutcomeCount) -> str:
    return f'<i class="{count.tone}" style="flex:{count.count}" title="{count.count:,} {_word(count.word)}"></i>'


def _charts(report: Report) -> str:
    """Return the drawings over time. They have one width, and scroll together on a narrow screen."""
    if not report.attempts:
        return ""
    widest = UNITS_PER_ATTEMPT * len(report.attempts) // report.lanes
    width = min(MAX_CHART_WIDTH, widest)
    mean = f"{report.mean_running:.1f} of {report.lanes} in use on average"
    rate = f"Ends in each {step_text(report.ends_step)}"
    most = max(ends.count for ends in report.ends)
    axis = charts.axis_labels(report.axis)
    outages = " Red bands: starts waited for the server." if report.outages else ""
    drawings = "".join(
        (
            f"<h3>Places <small>{mean}</small></h3>{charts.gantt(report)}{axis}",
            f"<h3>Places taken <small>at most {report.lanes}</small></h3>{charts.running(report)}",
            f"<h3>Not begun <small>{len(report.statuses):,} at first</small></h3>{charts.not_begun(report)}",
            f"<h3>{rate} <small>at most {most:,}</small></h3>{charts.ends(report)}{axis}",
        )
    )
    return (
        "<section><h2>Over time</h2>"
        '<p class="dim">A row for each place, and a block for each workflow. The pale end of a block is the time until '
        f"the end was noticed. Empty places were free. Times are in UTC.{outages}</p>"
        f'<div class="scroll"><div style="min-width:{width}px">{drawings}</div></div></section>'
    )


def _durations(report: Report) -> str:
    if not report.durations:
        return ""
    top = max(durations.longest for durations in report.durations)
    rows = "".join(_durations_row(durations, top) for durations in report.durations)
    heads = "".join(f'<th class="n">{heading}' for heading in (*DURATION_HEADINGS, f"0 to {format_seconds(top)}"))
    return (
        "<section><h2>Durations by definition</h2>"
        '<p class="dim">By the clock of the server. The bar ends at the 90th percentile. The mark is the median.</p>'
        f'<div class="scroll"><table><thead><tr><th>Definition{heads}</thead><tbody>{rows}</tbody></table></div>'
        f"{stacked_durations(report.statuses)}</section>"
    )


def _durations_row(durations: Durations, top: float) -> str:
    numbers = (durations.starts, durations.failed or "")
    times = (durations.median, durations.p90, durations.longest)
    cells = "".join(f'<td class="n">{cell}' for cell in (*numbers, *map(format_seconds, times)))
    bar = charts.range_bar(attrs.asdict(durations), top)
    return f'<tr><td class="text">{shortened(durations.definition)}{cells}<td class="spread">{bar}'


def _failures(report: Report, journal: str, starts: str) -> str:
    if not report.failures:
        return ""
    words = {group.outcome for group in report.failures}
    again: list[tuple[str, ...]] = [("--retry-failed",)] if "failed" in words else []
    again += [("--again", "unknown")] if "unknown" in words else []
    again += [()] if words & {"refused", "not sent", "conflict"} and not again else []
    lines = [shlex.join(("workflow-async", "run", starts, "--journal", journal, *words)) for words in again]
    whole = f"<p>For all of them, with the CSV file of the batch:</p>{_commands(lines)}" if lines else ""
    groups = "".join(_group(group) for group in report.failures)
    return f"<section><h2>What did not succeed</h2>{groups}{whole}</section>"


def _commands(lines: Iterable[str]) -> str:
    return f"<pre>{'&#10;'.join(safe(line) for line in lines)}</pre>"


def _group(group: FailureGroup) -> str:
    lines = commands(group.statuses) or [_subject(status) for status in group.statuses]
    more = f'<p class="dim">and {len(lines) - MAX_COMMANDS:,} more</p>' if len(lines) > MAX_COMMANDS else ""
    operation = f" in {shortened(group.operation, 80)}" if group.operation else ""
    place = f" · {shortened(group.definition, 80)}" if group.definition else ""
    return (
        f'<details class="{group.tone}"><summary><b>{len(group.statuses):,} {_word(group.outcome)}</b>'
        f'{operation}{place}<br><span class="dim">{shortened(group.message)}</span></summary>'
        f"{_commands(lines[:MAX_COMMANDS])}{more}</details>"
    )


def _subject(status: StartStatus) -> str:
    return status.key if status.ticket is None else status.ticket.subject


def _all(report: Report) -> str:
    heads = "".join(f"<th>{heading}" for heading in ALL_HEADINGS)
    rows = "\n".join(_row(status) for status in report.statuses)
    return (
        '<section><h2>All starts</h2><div class="scroll"><table class="all">'
        f"<thead><tr>{heads}</thead><tbody>{rows}</tbody></table></div></section>"
    )


def _row(status: StartStatus) -> str:
    definition, event = names_of(status)
    took = "" if status.took is None else format_seconds(status.took.total_seconds())
    sent = "" if status.intended_at is None else f"{status.intended_at:%m-%d %H:%M:%S}"
    cells: Sequence[str] = (
        str(status.id or ""),
        shortened(definition, 60),
        shortened(event or ("" if definition else status.key), 60),
        took,
        sent,
    )
    first = f'<tr><td class="key {tone(status.kind, status.word)}">{_word(status.word)}'
    return first + "".join(f"<td>{cell}" for cell in cells) + f'<td class="text">{shortened(status.detail, 120)}'
