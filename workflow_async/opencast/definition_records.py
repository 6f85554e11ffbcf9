"""The records of a workflow definition. See tests/contract/opencast.md, sections 5 and 8."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from workflow_async._records.record import Record

if TYPE_CHECKING:
    from workflow_async._core.call import ParameterValue
    from workflow_async.opencast.panel import Option


@frozen(kw_only=True)
class OperationDefinition(Record):
    """One operation of a definition."""

    operation: str
    description: str = ""
    if_: str = ""
    unless: str = ""
    fail_workflow_on_error: bool | None = True
    """None if it cannot be read. The same holds for `max_attempts`."""
    error_handler_workflow: str = ""
    retry_strategy: str = ""
    max_attempts: int | None = 1
    """-1 means unlimited."""
    configuration: Mapping[str, str] = field(factory=dict, hash=False)
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


@frozen(kw_only=True)
class Definition(Record):
    """A workflow definition that the user may start."""

    id: str
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    configuration_panel: str | None = None
    """HTML. None unless requested. "" if there is none."""
    configuration_panel_json: str | None = None
    """JSON as a text. None unless requested and on servers before 14.0. "" if there is none."""
    operations: tuple[OperationDefinition, ...] | None = None
    """None unless requested."""
    raw: Mapping[str, Any] | None = field(default=None, eq=False, repr=False)
    """What the server sent: the object of the response, or that of the row. None unless `keep_raw` requested it."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)

    @property
    def options(self) -> "tuple[Option, ...]":
        """The options of the configuration panel, in its order. Parsed at each access.

        The JSON panel counts if there is one, otherwise the HTML panel. Empty if no panel was requested, if the panel
        has no options or if it cannot be read. `check` says which.
        """
        from workflow_async.opencast.panel import read_panel

        return read_panel(self.configuration_panel_json, self.configuration_panel).options

    def check(self, configuration: "Mapping[str, ParameterValue]") -> None:
        """Check a configuration against `options`. An empty configuration always fits.

        Opencast itself accepts any key and any value. The operations of a definition may read keys that its panel does
        not show. This check refuses such keys. An option that is marked as required may be left out, because the event
        may hold its value from an earlier workflow.

        Raises:
            InvalidArgument: a key is not an option, a value does not fit the option's type, choices or limits, or the
                panel was not requested or cannot be read.
        """
        from workflow_async.opencast.panel import check_configuration, read_panel

        check_configuration(self.id, read_panel(self.configuration_panel_json, self.configuration_panel), configuration)
