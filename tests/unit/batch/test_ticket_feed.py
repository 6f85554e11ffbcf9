"""The starts of a caller as tickets: an unfit item is one result, and ends nothing else."""

from typing import Any

import pytest

from tests.support.journal_files import ticket
from workflow_async.batch import Rejected, Ticket
from workflow_async.batch.ticket_feed import TicketFeed
from workflow_async.errors import CallError, InvalidArgument


def to_ticket(start: Any) -> Ticket:
    if not isinstance(start, Ticket):
        raise start.error
    return start


class Unfit:
    """An item that cannot be sent."""

    def __init__(self, key: object, error: Exception) -> None:
        self.key = key
        self.error = error


class Closed:
    """An item whose key cannot be read."""

    error = ValueError("no")

    @property
    def key(self) -> str:
        raise RuntimeError("closed")


def feed(*starts: Any) -> list[Ticket | Rejected]:
    return list(TicketFeed(starts, to_ticket))


def test_starts_become_tickets_in_their_order() -> None:
    assert feed(ticket("a"), ticket("b")) == [ticket("a"), ticket("b")]


def test_an_unfit_item_is_rejected_under_its_key_or_its_number_and_the_next_one_is_read() -> None:
    error = InvalidArgument("event_id", "must be a text")
    found = feed(Unfit("mine", error), Unfit(7, error), Closed(), ticket("a"))
    assert [each.key for each in found] == ["mine", "#2", "#3", "a"]
    assert isinstance(found[0], Rejected)
    assert found[0].error is error


def test_an_unexpected_error_of_an_item_is_rejected_as_a_call_error() -> None:
    (found,) = feed(Closed())
    assert isinstance(found, Rejected)
    assert isinstance(found.error, CallError)
    assert str(found.error) == "ValueError: no"


def test_an_error_of_the_iterable_itself_is_raised() -> None:
    def starts() -> Any:
        yield ticket("a")
        raise RuntimeError("the file ended")

    tickets = iter(TicketFeed(starts(), to_ticket))
    assert next(tickets) == ticket("a")
    with pytest.raises(RuntimeError, match="the file ended"):
        next(tickets)


def test_the_starts_of_a_list_are_all_given_and_those_of_an_iterator_are_not() -> None:
    assert TicketFeed([ticket("a")], to_ticket).all_given
    assert not TicketFeed(iter([ticket("a")]), to_ticket).all_given


@pytest.mark.parametrize("starts", ["ab", b"ab", 7, None])
def test_a_text_or_a_number_is_no_iterable_of_starts(starts: Any) -> None:
    with pytest.raises(InvalidArgument, match="starts"):
        TicketFeed(starts, to_ticket)
