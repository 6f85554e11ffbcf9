"""What a start sends: one frozen record per system. Pure.

Both records stand in this package, below the two systems, so that a ticket can be read without importing either.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import field, frozen

from workflow_async._core.call import ParameterValue, checked_encodable, stringify
from workflow_async._decode.xml import NOT_XML
from workflow_async.errors import InvalidArgument

UNFIT_FOR_XML = "must not contain control characters or lone surrogates, which XML cannot carry"


def _configuration(values: Mapping[str, ParameterValue] | None) -> Mapping[str, str] | None:
    return None if values is None else stringify("configuration", values)


def _parameters(values: Mapping[str, ParameterValue] | None) -> Mapping[str, str] | None:
    return None if values is None else stringify("parameters", values)


@frozen(kw_only=True)
class OpencastStart:
    """What a start on an Opencast sends. Raises `InvalidArgument` for values that cannot be sent."""

    system: ClassVar[str] = "opencast"

    event_id: str
    definition_id: str
    configuration: Mapping[str, str] | None = field(converter=_configuration, repr=False, hash=False)
    """Values as the texts that are sent."""

    def __attrs_post_init__(self) -> None:
        _check_text("event_id", self.event_id)
        _check_text("definition_id", self.definition_id)

    @property
    def subject(self) -> str:
        """The ids of the event and of the definition, such as `f41e4417 fast`."""
        return f"{self.event_id} {self.definition_id}"


@frozen(kw_only=True)
class PreservicaStart:
    """What a start on a Preservica sends. Raises `InvalidArgument` for values that cannot be sent."""

    system: ClassVar[str] = "preservica"

    context_id: str | None
    """None if only the name is known."""
    context_name: str | None
    """None if only the id is known."""
    parameters: Mapping[str, str] | None = field(converter=_parameters, repr=False, hash=False)
    """Values as the texts that are sent."""

    def __attrs_post_init__(self) -> None:
        context = [value for value in (self.context_id, self.context_name) if value is not None]
        if not context:
            raise InvalidArgument("context", "must have an id or a name")
        for value in context:
            _check_text("context", value)
            _check_xml_text("context", value)
        for key, value in (self.parameters or {}).items():
            _check_xml_text("parameters", key)
            _check_xml_text(f"parameters[{key!r:.60}]", value)

    @property
    def subject(self) -> str:
        """The id and the name of the context, as far as they are known, such as `42 Ingest`."""
        return " ".join(value for value in (self.context_id, self.context_name) if value is not None)


StartRecord = OpencastStart | PreservicaStart
RECORDS: Mapping[str, type[OpencastStart] | type[PreservicaStart]] = {
    kind.system: kind for kind in (OpencastStart, PreservicaStart)
}


def start_record(system: str, fields: Mapping[str, Any]) -> StartRecord:
    """Return the record of a system. Raises ValueError or TypeError for an unknown system or other fields."""
    if system not in RECORDS:
        raise ValueError(f"unknown system {system!r:.60}")
    return RECORDS[system](**fields)


def _check_text(argument: str, value: str) -> None:
    """Raise `InvalidArgument` for a value that is blank, or not a text that can be sent."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidArgument(argument, "must be a text that is not blank")
    checked_encodable(argument, value)


def _check_xml_text(argument: str, text: str) -> None:
    """Raise `InvalidArgument` for a text that XML cannot carry."""
    if NOT_XML.search(text):
        raise InvalidArgument(argument, UNFIT_FOR_XML)
