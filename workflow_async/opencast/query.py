"""Checks filters of workflows once, sends them to the server, and compares them with rows. Pure."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Self, Unpack

from attrs import field, frozen

from workflow_async.errors import InvalidArgument
from workflow_async.opencast.filters import (
    TEXTS,
    WorkflowFilters,
    check_size,
    checked_value,
    interval,
    period,
    several,
    term,
)
from workflow_async.opencast.records import State, Workflow

ENDED = (State.SUCCEEDED, State.FAILED, State.STOPPED)
"""The states of a workflow that has ended."""
EXCLUSIVE = ("state", "current_operation")
"""Filters that the server combines with their own `_not` in an arbitrary way."""


@frozen(kw_only=True)
class WorkflowQuery:
    """Filters of workflows in the server's spelling. Made by `of`, which checks them."""

    values: Mapping[str, tuple[str, ...]] = field(hash=False)
    """For each filter its values as they are sent, such as `{"state": ("running", "paused")}`."""
    created: tuple[datetime, datetime] | None
    """The first and the last date of the events. None without `event_created`."""

    @classmethod
    def of(cls, **filters: Unpack[WorkflowFilters]) -> Self:
        """Return the query of these filters. Iterables are read once.

        Raises:
            InvalidArgument: a filter is unknown, or its value does not fit into the server's grammar.
        """
        _check_names(filters.keys())
        created = interval("event_created", filters["event_created"]) if "event_created" in filters else None
        query = cls(values={name: _values(name, value) for name, value in filters.items()}, created=created)
        check_size(query._terms())
        return query

    def on_the_wire(self, *, without: Collection[str] = ()) -> str:
        """Return the `filter` parameter. The filters named in `without` are left out."""
        return ",".join(term for terms in self._terms(without).values() for term in terms)

    def matches(self, workflow: Workflow) -> bool:
        """Return True if the state of a row passes `state` or `state_not`.

        Those are the filters that an exact list does not send. The server compares all others.
        """
        if "state" in self.values:
            return workflow.state.value in self.values["state"]
        return workflow.state.value not in self.values.get("state_not", ())

    @property
    def filters_states(self) -> bool:
        """True if there is a filter of states."""
        return "state" in self.values or "state_not" in self.values

    @property
    def texts(self) -> dict[str, str]:
        """The text filters, which match a part of a text and know wildcards."""
        return {name: values[0] for name, values in self.values.items() if name in TEXTS}

    def _terms(self, without: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
        return {
            name: tuple(term(name, value) for value in values)
            for name, values in self.values.items()
            if name not in without
        }


def _check_names(names: Collection[str]) -> None:
    """Raise `InvalidArgument` for an unknown filter and for two that exclude each other."""
    unknown = set(names) - WorkflowFilters.__annotations__.keys()
    if unknown:
        raise InvalidArgument(min(unknown), "is not a filter of workflows. See WorkflowFilters")
    for name in EXCLUSIVE:
        if name in names and f"{name}_not" in names:
            raise InvalidArgument(f"{name}_not", f"must not be mixed with {name}: the server's answer is arbitrary")


def _values(name: str, value: Any) -> tuple[str, ...]:
    if name in {"state", "state_not"}:
        return tuple(_state(name, value) for value in several(name, value))
    if name in {"current_operation", "current_operation_not"}:
        return tuple(checked_value(name, value) for value in several(name, value))
    return (period(name, value) if name == "event_created" else checked_value(name, value),)


def _state(name: str, value: State | str) -> str:
    state = State.read(value) if isinstance(value, str) else value
    if not isinstance(state, State) or state is State.UNKNOWN:
        raise InvalidArgument(name, f"must be one of {', '.join(s.value for s in State if s is not State.UNKNOWN)}")
    return str(state.value)
