"""Groups the starts that did not succeed, and makes the command lines that repeat them. Pure."""

import re
import shlex
from collections.abc import Iterable, Sequence

from attrs import frozen

from workflow_async.batch import StartStatus, StatusKind, Ticket
from workflow_async.batch.start_records import OpencastStart
from workflow_async.cli.html.attempts import names_of, tone

UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
NUMBER = re.compile(r"\d+")
BAD_TONES = frozenset({"bad", "warn", "no", "lost"})


@frozen
class FailureGroup:
    """Starts with the same definition, outcome, operation and message."""

    definition: str
    outcome: str
    tone: str
    operation: str
    message: str
    """The message of the first start."""
    statuses: Sequence[StartStatus]


def failure_groups(statuses: Iterable[StartStatus]) -> Sequence[FailureGroup]:
    """Return the starts that did not succeed in groups: unknown outcomes first, then the largest group first.

    Two messages are the same if only ids and numbers in them differ.
    """
    groups: dict[tuple[str, ...], list[StartStatus]] = {}
    for status in statuses:
        if tone(status.kind, status.word) in BAD_TONES:
            definition, event = names_of(status)
            message = _pattern(status.detail.replace(event, "…") if event else status.detail)
            groups.setdefault((definition, status.word, status.failed_operation, message), []).append(status)
    found = [_group(each) for each in groups.values()]
    return sorted(found, key=lambda group: (group.tone != "lost", -len(group.statuses)))


def _group(statuses: Sequence[StartStatus]) -> FailureGroup:
    first = statuses[0]
    definition, _ = names_of(first)
    colour = tone(first.kind, first.word)
    return FailureGroup(definition, first.word, colour, first.failed_operation, first.detail, statuses)


def _pattern(message: str) -> str:
    return NUMBER.sub("0", UUID.sub("…", message))


def commands(statuses: Iterable[StartStatus]) -> Sequence[str]:
    """Return a command line for each start: it looks at a workflow that may exist, or sends the start again.

    A start with a control character has no command line.
    """
    lines = [shlex.join(words) for status in statuses if (words := _command(status))]
    return [line for line in lines if line.isprintable()]


def _command(status: StartStatus) -> Sequence[str]:
    """Return the words of a command line. Empty for a start that has neither an id nor a ticket."""
    ended_badly = status.kind is StatusKind.ENDED and status.word in {"failed", "partial"}
    if status.ticket is not None and (ended_badly or status.kind is StatusKind.NOT_STARTED):
        return _start_command(status.ticket)
    return ("workflow-async", "show", str(status.id)) if status.id is not None else ()


def _start_command(ticket: Ticket) -> Sequence[str]:
    start = ticket.arguments
    names: Sequence[str]
    if isinstance(start, OpencastStart):
        names, settings = (start.event_id, start.definition_id), start.configuration
    else:
        names, settings = (start.context_id or start.context_name or "",), start.parameters
    options = [word for name, value in (settings or {}).items() for word in ("-p", f"{name}={value}")]
    return ("workflow-async", "start", "--system", start.system, *options, "--", *names)
