"""The query of a list request: filters and order."""

from collections.abc import Iterable
from datetime import UTC, datetime

from attrs import frozen
from starlette.datastructures import QueryParams

from workflow_async.sandbox.engine import FakeWorkflow, Status
from workflow_async.sandbox.preservica.contexts import TYPES
from workflow_async.sandbox.preservica.state import Archive
from workflow_async.sandbox.preservica.tokens import RefusalError

STATE_WORDS = {
    Status.WAITING: "Pending",
    Status.RUNNING: "Active",
    Status.FAILING: "Active",
    Status.PARKED: "Suspended",
    Status.SUCCEEDED: "Completed",
    Status.PARTIAL: "Finished_Mixed_Outcome",
    Status.FAILED: "Failed",
    Status.STOPPED: "Aborted",
}
"""The states of instances as a query spells them."""

MAX_DIGITS = 19
"""Numbers of the service have fewer digits than this."""

STATES = frozenset(word.lower() for word in STATE_WORDS.values()) | {"unknown"}


def milliseconds(seconds: float) -> int:
    """Return an instant as responses write it: whole milliseconds, truncated."""
    return round(seconds * 1_000_000) // 1000


def datetime_param(text: str) -> int:
    """Return an ISO 8601 date or datetime in milliseconds. Without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RefusalError(400, f"Not a date: {text}") from None
    in_utc = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return milliseconds(in_utc.timestamp())


def long_param(text: str) -> int | None:
    """Return a number of 0 or more. None if the text is something else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < MAX_DIGITS else None


def int_param(params: QueryParams, name: str, default: int) -> int:
    """Return a number of 0 or more from the query. Refuse other values with 400."""
    text = params.get(name, str(default))
    value = long_param(text)
    if value is None:
        raise RefusalError(400, f"Not a valid value of {name}: {text}")
    return value


def bool_param(params: QueryParams, name: str) -> bool:
    """Return a flag of the query. Every value but `true` is False."""
    return params.get(name, "").lower() == "true"


def text_params(params: QueryParams, name: str) -> list[str]:
    """Return the values of a comma-separated list. The parameter may be repeated."""
    texts = ",".join(params.getlist(name)).split(",")
    return [text.strip() for text in texts if text.strip()]


def type_param(params: QueryParams) -> str | None:
    """Return the requested workflow type in its own spelling, or None."""
    text = params.get("type")
    if not text:
        return None
    match = next((type for type in TYPES if type.lower() == text.lower()), None)
    if match is None:
        raise RefusalError(400, f"Unknown workflow type: {text}")
    return match


@frozen
class InstanceQuery:
    """The filters and the order of a list of instances."""

    contexts: frozenset[str] | None
    statuses: tuple[Status, ...] | None
    creator: str | None
    since: int | None
    until: int | None
    latest_first: bool

    @classmethod
    def read(cls, params: QueryParams, archive: Archive) -> "InstanceQuery":
        """Read the filters that the service supports. Other parameters are ignored."""
        return cls(
            contexts=_contexts(params, archive),
            statuses=_statuses(text_params(params, "state")),
            creator=params.get("creator"),
            since=datetime_param(params["from"]) if "from" in params else None,
            until=datetime_param(params["to"]) if "to" in params else None,
            latest_first=bool_param(params, "latestFirst"),
        )

    def select(self, runs: Iterable[FakeWorkflow]) -> list[FakeWorkflow]:
        """Return the matching workflows, by id."""
        rows = list(runs)
        if self.contexts is not None:
            rows = [run for run in rows if run.subject in self.contexts]
        if self.statuses is not None:
            rows = [run for run in rows if run.status in self.statuses]
        if self.creator is not None:
            rows = [run for run in rows if run.creator == self.creator]
        if self.since is not None or self.until is not None:
            rows = [run for run in rows if self._is_in_period(run)]
        return rows[::-1] if self.latest_first else rows

    def _is_in_period(self, run: FakeWorkflow) -> bool:
        # A pending workflow has no start. Its creation is used, so that a new workflow can be found immediately.
        started = milliseconds(run.created if run.started is None else run.started)
        return (self.since is None or self.since <= started) and (self.until is None or started <= self.until)


def _contexts(params: QueryParams, archive: Archive) -> frozenset[str] | None:
    type, id = type_param(params), params.get("contextId")
    if type is None and id is None:
        return None
    chosen = (c for c in archive.contexts.values() if type in {None, c.type})
    return frozenset(c.id for c in chosen if id in {None, c.id})


def _statuses(words: list[str]) -> tuple[Status, ...] | None:
    wanted = {word.lower() for word in words}
    if not wanted <= STATES:
        raise RefusalError(400, f"Unknown workflow state: {', '.join(sorted(wanted - STATES))}")
    return tuple(status for status, word in STATE_WORDS.items() if word.lower() in wanted) if wanted else None
