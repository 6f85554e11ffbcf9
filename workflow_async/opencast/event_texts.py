"""The texts of an event that the text filters of workflows search. Pure.

The index of workflows up to Opencast 11 holds these texts with each workflow. See tests/contract/opencast.md, section
1.2.
"""

from collections.abc import Iterator, Mapping

from workflow_async.opencast.event_records import Event
from workflow_async.opencast.records import Workflow

EXTRA_KEYS: Mapping[str, str] = {
    "event_contributor": "contributor",
    "event_language": "language",
    "event_license": "license",
    "event_subject": "subjects",
}
"""The key of an event, in `extra`, that each filter searches. Other filters search a field of the record."""


def searched_texts(name: str, event: Event, workflow: Workflow) -> Iterator[str]:
    """Yield the texts that a text filter searches."""
    if name != "text_filter":
        yield _event_text(name, event)
        return
    yield from (str(workflow.id), workflow.state_text, event.id, event.series)
    yield from (_event_text(each, event) for each in ("event_title", "event_creator", "series_title", *EXTRA_KEYS))


def _event_text(name: str, event: Event) -> str:
    if name in EXTRA_KEYS:
        return _joined(event.extra.get(EXTRA_KEYS[name]))
    if name == "event_creator":
        return _joined(event.presenters or event.extra.get("presenter"))
    return event.title if name == "event_title" else event.series_title


def _joined(value: object) -> str:
    """Return a value of an event as the server's index stores it. Several names are joined."""
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")
