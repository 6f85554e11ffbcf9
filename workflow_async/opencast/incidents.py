"""The records of what went wrong in a workflow, and how they are read. Pure.

Opencast calls an error, a warning or a note about a job an incident. See tests/contract/opencast.md, section 2.6.
"""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

import cattrs
from attrs import field, frozen

from workflow_async._decode.records import RecordConverter, read_with, register
from workflow_async._decode.values import (
    TypeMismatch,
    cached,
    or_none,
    parse_datetime,
    parse_int,
    parse_str,
    type_name,
)
from workflow_async._records.record import Record

NO_TEXT = frozenset({"", "-"})
"""What the server sends for a title or a description that it does not have."""


class Severity(enum.Enum):
    """The severity of an incident."""

    INFO = "info"
    WARNING = "warning"
    FAILURE = "failure"
    """The job has failed."""
    UNKNOWN = "unknown"
    """A severity that this library does not know. `severity_text` holds it."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the member for a word in any case. UNKNOWN for a word that is not known."""
        return cls.__members__.get(text.upper(), cls["UNKNOWN"])


@frozen(kw_only=True)
class Incident(Record):
    """An error, a warning or a note that Opencast has recorded about a job of a workflow."""

    id: int
    workflow_id: int
    """Id of the workflow that was asked about."""
    severity: Severity
    severity_text: str
    """The server's own word in lower case."""
    timestamp: datetime | None = None
    title: str = ""
    """Such as `Unhandled exception`. In the first language of the request that the server knows."""
    description: str = ""
    """Such as `Exception message WorkflowOperationException: ...`."""
    job_id: int | None = None
    """Id of the job. It is the `id` of an operation if the operation itself failed. None unless details were requested.
    """
    host: str = ""
    """The host on which the job ran. "" unless details were requested."""
    service_type: str = ""
    """Such as `org.opencastproject.composer`. "" unless details were requested."""
    details: Mapping[str, str] | None = field(default=None, hash=False)
    """Texts by name, such as `stack-trace`. None unless requested."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)

    @property
    def message(self) -> str:
        """The description, or the title if there is no description. "" if the server has neither."""
        return next((text for text in (self.description, self.title) if text not in NO_TEXT), "")


def incident_converter() -> RecordConverter:
    """Return the converter for incidents."""
    return RecordConverter(_register_records)


def parse_details(value: Any) -> Mapping[str, str]:
    """Return details from a list of names and values. Values of the same name are joined by a line break."""
    if not isinstance(value, list):
        raise TypeMismatch(f"expected a list, got {type_name(value)}")
    texts: dict[str, list[str]] = {}
    for detail in value:
        if not isinstance(detail, dict):
            raise TypeMismatch("expected details with a name and a value")
        texts.setdefault(parse_str(detail.get("name")), []).append(parse_str(detail.get("value")))
    return {name: "\n".join(values) for name, values in texts.items()}


def _register_records(strict: cattrs.Converter) -> None:
    severities = [severity.value for severity in Severity]
    register(
        strict,
        Incident,
        id=read_with(parse_int),
        workflow_id=read_with(parse_int),
        severity=read_with(cached(lambda value: Severity.read(parse_str(value)), severities)),
        severity_text=read_with(lambda value: parse_str(value).lower(), "severity"),
        timestamp=read_with(or_none(parse_datetime)),
        title=read_with(parse_str),
        description=read_with(parse_str),
        job_id=read_with(or_none(parse_int)),
        host=read_with(parse_str, "processing_host"),
        service_type=read_with(parse_str),
        details=read_with(parse_details),
    )
