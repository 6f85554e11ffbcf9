"""Turns the starts that a caller gave into tickets."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

from attrs import define

from workflow_async.batch.reports import unexpected_error
from workflow_async.batch.results import Rejected
from workflow_async.batch.tickets import Ticket, is_key
from workflow_async.errors import InvalidArgument

S = TypeVar("S")


@define(eq=False)
class TicketFeed(Generic[S]):
    """The starts of a batch as tickets. A start that cannot be sent becomes its `Rejected` result.

    Raises `InvalidArgument` if `starts` is not an iterable of starts.
    """

    _starts: Iterable[S | Ticket]
    _to_ticket: Callable[[S | Ticket], Ticket]

    def __attrs_post_init__(self) -> None:
        if isinstance(self._starts, str | bytes) or not isinstance(self._starts, Iterable):
            raise InvalidArgument("starts", "must be a list or another iterable of starts")

    @property
    def all_given(self) -> bool:
        """True if all starts are known before the first is sent. An iterator yields its starts one by one."""
        return isinstance(self._starts, Collection)

    def __iter__(self) -> Iterator[Ticket | Rejected]:
        for number, start in enumerate(self._starts, 1):
            yield self._ticket(start, number)

    def _ticket(self, start: S | Ticket, number: int) -> Ticket | Rejected:
        try:
            return self._to_ticket(start)
        except Exception as error:  # noqa: BLE001 - whatever an unfit item raises concerns that item only
            invalid = error if isinstance(error, InvalidArgument) else unexpected_error(error)
            return Rejected(key=_key_of(start) or f"#{number}", error=invalid)


def _key_of(start: object) -> str | None:
    """Return the key that an unfit item has, or None if the key cannot be read or used."""
    with suppress(Exception):  # reading an attribute of the caller's object may raise anything
        key = getattr(start, "key", None)
        return key if is_key(key) else None
    return None
