"""Checks filters of workflows once, sends them to the server, and compares them with rows. Pure."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Self, Unpack

from attrs import field, frozen

from workflow_async._core.call import Params
from workflow_async.errors import InvalidArgument
from workflow_async.preservica.filters import (
    EVERY_STATE,
    TYPES,
    WorkflowFilters,
    checked_states,
    checked_text,
    context_id,
    one_of,
    period,
)
from workflow_async.preservica.records import Workflow

WIRE_NAMES = {
    "type": "type",
    "state": "state",
    "context": "contextId",
    "creator": "creator",
    "since": "from",
    "until": "to",
}
"""The query parameter of each filter, in the order in which they are sent."""


@frozen(kw_only=True)
class WorkflowQuery:
    """Filters of workflows in the server's spelling. Made by `of`, which checks them."""

    values: Mapping[str, str] = field(hash=False)
    """The value of each filter as it is sent, except for `state`."""
    states: tuple[str, ...] = ()
    """The requested states. Empty for every state."""
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def of(cls, **filters: Unpack[WorkflowFilters]) -> Self:
        """Return the query of these filters. None counts as not given. Iterables are read once.

        Raises:
            InvalidArgument: a filter is unknown, or the server's query cannot carry its value.
        """
        unknown = filters.keys() - WorkflowFilters.__annotations__.keys()
        if unknown:
            raise InvalidArgument(min(unknown), "is not a filter of workflows. See WorkflowFilters")
        state, since, until = filters.get("state"), filters.get("since"), filters.get("until")
        return cls(
            values=_values(filters), states=() if state is None else checked_states(state), since=since, until=until
        )

    def on_the_wire(self, *, newest_first: bool = False, without: Collection[str] = ()) -> Params:
        """Return the query parameters. The filters named in `without` are left out.

        Without states, the parameter names every state. See tests/contract/preservica.md, section 1.8.
        """
        states = EVERY_STATE if "state" in without or not self.states else self.states
        sent = {"state": ",".join(states), **self.values}
        named = tuple(
            (wire, sent[name])
            for name, wire in WIRE_NAMES.items()
            if name in sent and (name == "state" or name not in without)
        )
        return (*named, ("latestFirst", "true" if newest_first else "false"))

    def matches(self, workflow: Workflow) -> bool:
        """Return True if the state of a row is one of the states.

        That is the filter that an exact list does not send. The server compares all others.
        """
        return not self.states or workflow.state.value in self.states

    @property
    def filters_states(self) -> bool:
        """True if there is a filter of states."""
        return bool(self.states)


def _values(filters: WorkflowFilters) -> dict[str, str]:
    type, context, creator = filters.get("type"), filters.get("context"), filters.get("creator")
    since, until = period(filters.get("since"), filters.get("until"))
    values = {
        "type": None if type is None else one_of("type", TYPES, type),
        "context": None if context is None else context_id(context),
        "creator": None if creator is None else checked_text("creator", creator),
        "since": since,
        "until": until,
    }
    return {name: value for name, value in values.items() if value is not None}
