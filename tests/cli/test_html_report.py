"""`report --html`: the page that draws a batch, without scripts and without requests."""

import re
import shlex
from collections import Counter
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field

from tests.cli.conftest import Run, opencast_of
from tests.cli.test_batching import FAST_POLL, write_starts
from tests.support.batch_history import NOON, batch_history, history, ticket
from tests.support.hostile_server import is_harmless
from workflow_async.batch import StartStatus, StatusKind, Ticket
from workflow_async.batch.entries import Entry, JournalHistory
from workflow_async.batch.start_records import PreservicaStart
from workflow_async.batch.start_steps import BUSY
from workflow_async.cli.html.attempts import attempts_of, names_of, outages_of, tone
from workflow_async.cli.html.failures import commands, failure_groups
from workflow_async.cli.html.markup import clock_text, step_text
from workflow_async.cli.html.model import MAX_TICKS, report_of, step_for
from workflow_async.cli.html.page import html_report
from workflow_async.sandbox import Sandbox

HOSTILE = "\x1b]0;x\x07</title></style></pre>\"'><script>alert(1)</script><img src=//evil.example.org onerror=alert(1)>"
VOID = {"meta", "br"}
UNCLOSED = {"tr", "td", "th"}
"""Elements whose end tag HTML does not need."""


@define
class Reader(HTMLParser):
    """Reads a page: its elements, its attributes, its texts, and whether each element is closed in order."""

    elements: Counter[str] = field(factory=Counter, init=False)
    attributes: set[str] = field(factory=set, init=False)
    texts: list[str] = field(factory=list, init=False)
    _open: list[str] = field(factory=list, init=False)

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID | UNCLOSED:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader._open
    return reader


def at(seconds: float, kind: StatusKind, word: str, **more: Any) -> Entry:
    return Entry(at=NOON + timedelta(seconds=seconds), key=more.pop("key", "a"), kind=kind, word=word, **more)


def sent(seconds: float, key: str = "a") -> Entry:
    return at(seconds, StatusKind.INTENT, "intended", key=key, text=ticket("e", "fast", key).to_json())


def ended(seconds: float, key: str = "a", word: str = "succeeded", **more: Any) -> Entry:
    return at(seconds, StatusKind.ENDED, word, key=key, id=1, **more)


# The page


@pytest.mark.parametrize("starts", [0, 1, 20, 200])
def test_the_page_has_a_row_for_each_start_and_no_script(starts: int) -> None:
    page = html_report(batch_history(starts), "batch.sqlite")
    found = read(page)
    assert page.count('<tr><td class="key') == starts
    assert {"script", "img", "link", "iframe", "a", "object"}.isdisjoint(found.elements)
    assert not {name for name in found.attributes if name.startswith("on") or name in {"src", "href"}}
    assert "url(" not in page
    assert "@import" not in page


def test_a_page_for_2000_starts_is_smaller_than_a_megabyte() -> None:
    page = html_report(batch_history(2000, max_running=16), "batch.sqlite")
    assert len(page.encode()) < 1_000_000


def test_the_browser_may_load_nothing() -> None:
    assert "default-src 'none'; style-src 'unsafe-inline'" in html_report(batch_history(1), "b")


def hostile_history(text: str) -> JournalHistory:
    """Return a batch whose every text is this one."""
    unused = ticket(text, text, "a", {text: text})
    entries = [
        at(0, StatusKind.INTENT, "intended", text=unused.to_json()),
        at(1, StatusKind.STARTED, "started", id=1, text=text),
        at(2, StatusKind.CHANGE, text, id=1, text=text),
        at(3, StatusKind.ENDED, text, id=1, text=text, failed_operation=text, failed_host=text),
        at(3, StatusKind.NOT_STARTED, "refused", key=text, text=text),
        at(4, StatusKind.ENDED, "failed", key="b", id=2, text=text, failed_operation=text),
    ]
    hostile = history(entries, [unused], 3)
    return evolve(hostile, contents=evolve(hostile.contents, system=text, server=text))


def test_no_text_of_the_journal_becomes_markup() -> None:
    harmless, hostile = (read(html_report(hostile_history(text), text)) for text in ("evil", HOSTILE))
    assert hostile.elements == harmless.elements
    assert hostile.attributes == harmless.attributes
    texts = "".join(hostile.texts)
    assert "<script>alert(1)</script>" in texts
    assert is_harmless(texts.replace("\n", ""))


def test_a_start_that_has_not_begun_is_counted() -> None:
    page = html_report(batch_history(20, begun=17), "b")
    assert "<b>3</b>not begun" in page
    assert "and more may follow" not in page


def test_a_batch_without_a_total_says_so() -> None:
    assert "and more may follow" in html_report(history([sent(0)], [], None), "b")


def test_a_batch_in_which_nothing_was_sent_has_no_drawing() -> None:
    page = html_report(batch_history(3, begun=0), "b")
    assert "<svg" not in page
    assert page.count("not begun") >= 3


def test_the_title_of_a_block_names_the_workflow_and_its_failure() -> None:
    entries = [sent(0), at(1, StatusKind.STARTED, "started", id=7)]
    entries += [at(9, StatusKind.ENDED, "failed", id=7, failed_operation="encode", server_start=NOON)]
    entries[-1] = evolve(entries[-1], server_end=NOON + timedelta(seconds=8))
    page = html_report(history(entries, [], 1), "b")
    assert "<title>7 · e · fast · failed · in encode · 8.0 s</title>" in page
    assert 'class="bad"' in page


def test_an_unknown_start_is_the_first_row() -> None:
    entries = [sent(0), ended(1), sent(2, "b"), at(3, StatusKind.UNKNOWN, "unknown", key="b")]
    page = html_report(history(entries, [], 2), "b")
    assert re.findall(r'<tr><td class="key \w+">(\w+)', page) == ["unknown", "succeeded"]


def test_outages_are_shaded() -> None:
    page = html_report(batch_history(60), "b")
    assert "Waiting for the server: " in page
    assert "Red bands" in page


def test_a_batch_that_was_retried_names_the_command() -> None:
    page = html_report(batch_history(200), "my batch.sqlite")
    assert "workflow-async run BATCH.csv --journal &#x27;my batch.sqlite&#x27; --retry-failed" in page
    assert "--again unknown" in page


def test_a_refused_start_is_sent_by_the_same_command() -> None:
    entries = [sent(0), at(1, StatusKind.NOT_STARTED, "refused", text="404")]
    assert "run BATCH.csv --journal b</pre>" in html_report(history(entries, [], 1), "b")


def test_more_command_lines_than_fit_are_counted() -> None:
    entries = [entry for n in range(60) for entry in (sent(n, str(n)), ended(n + 1, str(n), "failed"))]
    assert '<p class="dim">and 10 more</p>' in html_report(history(entries, [], 60), "b")


# Attempts


def test_an_attempt_takes_the_first_free_place() -> None:
    entries = [sent(0), sent(1, "b"), ended(2), sent(3, "c"), ended(4, "b"), ended(5, "c"), sent(6, "d")]
    found = {attempt.key: attempt.lane for attempt in attempts_of(entries)}
    assert found == {"a": 0, "b": 1, "c": 0, "d": 0}


def test_a_start_that_is_sent_twice_has_two_attempts() -> None:
    entries = [sent(0), at(1, StatusKind.NOT_STARTED, "refused"), at(2, StatusKind.NOT_STARTED, "waiting"), sent(3)]
    first, second = attempts_of([*entries, ended(5)])
    assert (first.word, first.end) == ("refused", NOON + timedelta(seconds=1))
    assert (second.word, second.end) == ("succeeded", NOON + timedelta(seconds=5))


def test_a_workflow_that_is_watched_again_runs_on() -> None:
    entries = [sent(0), at(1, StatusKind.LEFT, "unobserved", id=1), at(2, StatusKind.CHANGE, "running", id=1)]
    (attempt,) = attempts_of(entries)
    assert (attempt.end, attempt.id, tone(attempt.kind, attempt.word)) == (None, 1, "run")


def test_an_outage_lasts_while_a_start_waits() -> None:
    entries = [
        at(0, StatusKind.NOT_STARTED, "waiting", text="refused"),
        at(1, StatusKind.NOT_STARTED, "waiting", key="b", text="refused"),
        sent(4),
        sent(6, "b"),
        at(7, StatusKind.NOT_STARTED, "waiting", key="c", text=BUSY),
        sent(8, "c"),
        at(9, StatusKind.NOT_STARTED, "not sent", key="d"),
    ]
    assert [(each.begin, each.end) for each in outages_of(entries)] == [(NOON, NOON + timedelta(seconds=6))]


@pytest.mark.parametrize(
    ("kind", "word", "expected"),
    [
        (StatusKind.ENDED, "failed", "bad"),
        (StatusKind.ENDED, "vanished", "lost"),
        (StatusKind.UNKNOWN, "unknown", "lost"),
        (StatusKind.PLANNED, "planned", "todo"),
        (StatusKind.NOT_STARTED, "waiting", "todo"),
        (StatusKind.NOT_STARTED, "skipped", "off"),
        (StatusKind.NOT_STARTED, "conflict", "no"),
        (StatusKind.LEFT, "parked", "warn"),
        (StatusKind.STARTED, "started", "run"),
    ],
)
def test_each_outcome_has_a_colour(kind: StatusKind, word: str, expected: str) -> None:
    assert tone(kind, word) == expected


# Failures


def status(word: str, detail: str, kind: StatusKind = StatusKind.ENDED, **more: Any) -> StartStatus:
    given = {"key": "a", "ticket": ticket("event-1", "fast", "a", {"n": "it's"}), **more}
    return StartStatus(kind=kind, word=word, detail=detail, **given)


def test_failures_with_different_numbers_and_ids_are_one_group() -> None:
    uuid = "f41e4417-0000-0000-0000-00000000000"
    groups = failure_groups(
        [
            status("failed", f"no {uuid}1 in 3 s"),
            status("failed", f"no {uuid}2 in 12 s"),
            status("failed", "other"),
            status("unknown", "lost", StatusKind.UNKNOWN),
            status("succeeded", ""),
        ]
    )
    assert [(group.outcome, len(group.statuses)) for group in groups] == [("unknown", 1), ("failed", 2), ("failed", 1)]
    assert groups[1].message == f"no {uuid}1 in 3 s"


def test_a_failed_start_has_a_command_line_that_repeats_it() -> None:
    (line,) = commands([status("failed", "")])
    assert shlex.split(line) == [
        *("workflow-async", "start", "--system", "opencast", "-p", "n=it's", "--", "event-1", "fast")
    ]


def test_a_context_has_a_command_line_too() -> None:
    start = PreservicaStart(context_id=None, context_name="Ingest Packages", parameters=None)
    unsent = Ticket(server="s", arguments=start, correlation_id="c", prepared_at=NOON, key="a")
    refused = status("refused", "", StatusKind.NOT_STARTED, ticket=unsent)
    assert names_of(refused) == ("Ingest Packages", "")
    assert commands([refused]) == ["workflow-async start --system preservica -- 'Ingest Packages'"]


def test_a_workflow_that_may_exist_is_looked_at() -> None:
    assert commands([status("unobserved", "", StatusKind.LEFT, id=7)]) == ["workflow-async show 7"]


def test_a_start_without_a_ticket_and_one_with_a_control_character_have_no_command_line() -> None:
    strange = ticket("e", "fast", "a", {"n": "\x1b[2J"})
    assert commands([status("unknown", "", ticket=None), status("failed", "", ticket=strange)]) == []


# Figures


def test_the_durations_are_by_definition() -> None:
    report = report_of(batch_history(200))
    assert [each.definition for each in report.durations] == ["archive", "publish", "fast"]
    assert all(each.shortest <= each.median <= each.p90 <= each.longest for each in report.durations)


def test_the_ends_are_counted_once() -> None:
    report = report_of(batch_history(200))
    assert sum(ends.count for ends in report.ends) == sum(each.kind is StatusKind.ENDED for each in report.statuses)
    assert sum(ends.others for ends in report.ends) == sum(each.word == "failed" for each in report.statuses)
    assert report.lanes == 4
    assert 3 < report.mean_running <= 4


@pytest.mark.parametrize(("seconds", "step"), [(1, 1), (60, 10), (3600, 600), (5 * 86400, 86400), (80 * 86400, 864000)])
def test_the_step_of_an_axis_is_round(seconds: int, step: int) -> None:
    assert step_for(seconds, MAX_TICKS) == step


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (60, "minute"), (300, "5 minutes"), (7200, "2 hours")])
def test_a_step_has_a_text(seconds: int, text: str) -> None:
    assert step_text(seconds) == text


@pytest.mark.parametrize(("step", "text"), [(10, "12:00:00"), (600, "12:00"), (86400, "04 Mar 12:00")])
def test_a_time_is_as_exact_as_the_axis(step: int, text: str) -> None:
    assert clock_text(NOON, step) == text


# The command


def test_report_draws_the_journal_of_a_batch(run: Run, fakes: Sandbox) -> None:
    run("run", write_starts(fakes, "noop", "fails"), "--journal", "b.sqlite", *FAST_POLL, env=opencast_of(fakes))
    result = run("report", "b.sqlite", "--html", "batch.html")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "batch.html" in result.stderr
    page = Path("batch.html").read_text(encoding="utf-8")
    assert "2 starts on opencast" in page
    assert read(page).elements["tr"] >= 3
    assert "workflow-async start --system opencast" in page


def test_the_command_lines_name_the_csv_file_beside_the_journal(run: Run, fakes: Sandbox) -> None:
    run("run", write_starts(fakes, "fails").name, *FAST_POLL, env=opencast_of(fakes))
    run("report", "batch.sqlite", "--html", "batch.html")
    page = Path("batch.html").read_text(encoding="utf-8")
    assert "workflow-async run batch.csv --journal batch.sqlite --retry-failed" in page


def test_a_file_that_cannot_be_written_exits_with_2(run: Run, fakes: Sandbox) -> None:
    run("run", write_starts(fakes, "noop"), "--journal", "b.sqlite", *FAST_POLL, env=opencast_of(fakes))
    result = run("report", "b.sqlite", "--html", "no/such/folder.html")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
