"""The figures of a batch's report, from its journal. Pure."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from attrs import frozen

from workflow_async.batch import StartStatus, StatusKind
from workflow_async.batch.entries import Entry, JournalHistory
from workflow_async.cli.html.attempts import Attempt, Outage, attempts_of, names_of, outages_of, tone
from workflow_async.cli.html.failures import FailureGroup, failure_groups

STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Seconds between two ticks of an axis, and of a bar of the ends."""
MAX_BARS = 120
MAX_TICKS = 8
MIN_SPAN = timedelta(seconds=1)
EPOCH = datetime.fromtimestamp(0, UTC)


@frozen
class OutcomeCount:
    """The number of starts with one outcome."""

    word: str
    tone: str
    count: int


@frozen
class Ends:
    """How many workflows ended in an interval."""

    succeeded: int
    others: int

    @property
    def count(self) -> int:
        """The number of all ends."""
        return self.succeeded + self.others


@frozen
class Durations:
    """How long the workflows of a definition took, in seconds of the server's clock."""

    definition: str
    starts: int
    failed: int
    shortest: float
    median: float
    p90: float
    longest: float


@frozen
class Axis:
    """The time that the report covers, by this machine's clock."""

    begin: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return (self.end - self.begin).total_seconds()

    def place(self, moment: datetime) -> float:
        """Return where a time is: 0 at the begin, 1 at the end."""
        return (moment - self.begin).total_seconds() / self.seconds

    @property
    def step(self) -> int:
        """Seconds between two ticks."""
        return step_for(self.seconds, MAX_TICKS)

    @property
    def ticks(self) -> Sequence[datetime]:
        """Round times, at most `MAX_TICKS`."""
        step = self.step
        first = math.ceil(self.begin.timestamp() / step) * step
        last = self.end.timestamp()
        count = math.floor((last - first) / step) + 1
        return [datetime.fromtimestamp(first + step * n, self.begin.tzinfo) for n in range(max(0, count))]


@frozen(kw_only=True)
class Report:
    """What the page shows."""

    system: str
    server: str
    statuses: Sequence[StartStatus]
    """Unknown outcomes first."""
    complete: bool
    """False if the batch's iterable has not been read to the end, so that more starts may follow."""
    counts: Sequence[OutcomeCount]
    attempts: Sequence[Attempt]
    outages: Sequence[Outage]
    axis: Axis
    lanes: int
    mean_running: float
    """How many places were taken on average."""
    ends: Sequence[Ends]
    """The ends that were observed in each interval of `ends_step` seconds."""
    ends_step: int
    durations: Sequence[Durations]
    failures: Sequence[FailureGroup]


def report_of(history: JournalHistory) -> Report:
    """Return the report of a batch."""
    contents, entries = history.contents, history.entries
    statuses = sorted(
        contents.items.values(), key=lambda status: status.kind not in {StatusKind.UNKNOWN, StatusKind.INTENT}
    )
    attempts, axis = attempts_of(entries), _axis(entries)
    busy = sum((((attempt.end or axis.end) - attempt.begin).total_seconds() for attempt in attempts), 0.0)
    step = step_for(axis.seconds, MAX_BARS)
    return Report(
        system=contents.system,
        server=contents.server,
        statuses=statuses,
        complete=contents.total is not None,
        counts=outcome_counts(statuses),
        attempts=attempts,
        outages=outages_of(entries),
        axis=axis,
        lanes=max((attempt.lane + 1 for attempt in attempts), default=0),
        mean_running=busy / axis.seconds,
        ends=_ends(entries, axis, step),
        ends_step=step,
        durations=durations_of(statuses),
        failures=failure_groups(statuses),
    )


def step_for(seconds: float, most: int) -> int:
    """Return the shortest round step that divides a time into at most `most` parts."""
    days = 86400 * math.ceil(seconds / 86400 / most)
    return next((step for step in STEPS if seconds / step <= most), days)


def outcome_counts(statuses: Iterable[StartStatus]) -> Sequence[OutcomeCount]:
    """Return the number of starts for each outcome, in the order of their first start."""
    counter = Counter((status.word, tone(status.kind, status.word)) for status in statuses)
    return [OutcomeCount(word, colour, count) for (word, colour), count in counter.items()]


def durations_of(statuses: Iterable[StartStatus]) -> Sequence[Durations]:
    """Return the durations for each definition, the longest median first."""
    by_definition: dict[str, list[StartStatus]] = {}
    for status in statuses:
        if status.took is not None:
            by_definition.setdefault(names_of(status)[0], []).append(status)
    found = [_durations(definition, each) for definition, each in by_definition.items()]
    return sorted(found, key=lambda durations: -durations.median)


def _durations(definition: str, statuses: Sequence[StartStatus]) -> Durations:
    seconds = sorted(status.took.total_seconds() for status in statuses if status.took is not None)
    return Durations(
        definition=definition,
        starts=len(seconds),
        failed=sum(status.word == "failed" for status in statuses),
        shortest=seconds[0],
        median=statistics.median(seconds),
        p90=seconds[math.ceil(0.9 * len(seconds)) - 1],
        longest=seconds[-1],
    )


def _axis(entries: Sequence[Entry]) -> Axis:
    """Return the time from the first entry to the last, at least `MIN_SPAN`."""
    times = [entry.at for entry in entries] or [EPOCH]
    begin, end = min(times), max(times)
    return Axis(begin, max(end, begin + MIN_SPAN))


def _ends(entries: Iterable[Entry], axis: Axis, step: int) -> Sequence[Ends]:
    last = max(0, math.ceil(axis.seconds / step) - 1)
    ended = [entry for entry in entries if entry.kind is StatusKind.ENDED]
    counter = Counter(
        (min(last, int((entry.at - axis.begin).total_seconds() // step)), entry.word == "succeeded") for entry in ended
    )
    return [Ends(counter[n, True], counter[n, False]) for n in range(last + 1)]
