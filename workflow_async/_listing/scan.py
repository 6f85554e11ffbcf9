"""One pass over a list: which calls to send next, and which rows of a result are new. Pure.

A scan proposes calls that may run concurrently and consumes their results in the order of the calls. A result that does
not continue the list is dropped, together with the results of the calls proposed after it.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, Literal, Protocol, TypeVar

from attrs import define, evolve, field

from workflow_async._core.call import Call, OnUnreadable, Page, UnreadableRow
from workflow_async._listing.resume import Place
from workflow_async.errors import BODY_CUT, DecodeError, ListingInconsistent

T = TypeVar("T")

Consistency = Literal["fast", "anchored", "partitioned"]

MAX_AHEAD = 16
"""Largest number of pages that are requested concurrently."""
MAX_IDLE_PAGES = 2
"""Consecutive pages without a new row after which a listing fails."""


class Scan(Protocol[T]):
    """A pass over a list, as a listing uses it."""

    @property
    def done(self) -> bool:
        """True if there is nothing left to request."""
        ...

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[T]]]:
        """Return the calls to send now, in addition to those sent before. They may run concurrently.

        `pages_in_use` is the number of pages that the caller is still reading.
        """
        ...

    def accept(self, page: Page[T]) -> tuple[T, ...] | None:
        """Return the new rows of the next result. None if the results of all other calls sent must be dropped."""
        ...


@define
class ScanState(Generic[T]):
    """The state of one pass over a list."""

    key: Callable[[T], Hashable]
    limit: int | None = None
    """Largest number of rows to return."""
    predicate: Callable[[T], bool] | None = None
    """Selects the rows to return if the server does not."""
    on_unreadable: OnUnreadable = "raise"
    place: Place[T] = field(factory=lambda: Place())  # noqa: PLW0108 - pyright infers `Place[T]` from a call only
    """How far the pass is, if its pages have offsets."""
    seen: set[Hashable] = field(factory=set, init=False)
    requests: int = field(default=0, init=False)
    pages: int = field(default=0, init=False)
    rows: int = field(default=0, init=False)
    duplicates: int = field(default=0, init=False)
    steps_back: int = field(default=0, init=False)
    unreadable: list[UnreadableRow] = field(factory=list, init=False)
    """Rows that cannot be read, each listed once."""
    useful_pages: int = field(default=0, init=False)
    """Pages with at least one new row."""
    idle_pages: int = field(default=0, init=False)
    """Consecutive pages without a new row, up to now."""

    @property
    def limit_reached(self) -> bool:
        """True if the limit is reached."""
        return self.limit is not None and self.rows >= self.limit

    @property
    def rows_left(self) -> int | None:
        """Rows that may still have to be requested. None if that is unknown."""
        return None if self.limit is None or self.predicate is not None else self.limit - self.rows

    def is_known(self, item: T) -> bool:
        """Return True if the row has been seen before."""
        return self.key(item) in self.seen

    def accept(self, items: Sequence[T], offset: int | None = None) -> tuple[T, ...]:
        """Return the rows of a page that are new and selected, within the limit. `offset` is that of its first row."""
        keys = [self.key(item) for item in items]
        new = self._new_rows(items, keys)
        self.pages += 1
        self.duplicates += len(items) - len(new)
        self.useful_pages += bool(new)
        self.idle_pages = 0 if new else self.idle_pages + 1
        accepted = self._readable(new)
        accepted = accepted if self.predicate is None else [item for item in accepted if self.predicate(item)]
        if self.limit is not None:
            accepted = accepted[: self.limit - self.rows]
        self.rows += len(accepted)
        if offset is not None:
            # rows after the limit have not been yielded
            used = keys.index(self.key(accepted[-1])) + 1 if accepted and self.limit_reached else len(keys)
            self.place.enter(offset, keys, used)
        return tuple(accepted)

    def _readable(self, rows: Sequence[T]) -> Sequence[T]:
        """Return the rows that can be read. Record the others."""
        if UnreadableRow not in set(map(type, rows)):
            return rows
        self.unreadable += [evolve(row, page=self.pages) for row in rows if isinstance(row, UnreadableRow)]
        return [item for item in rows if not isinstance(item, UnreadableRow)]

    def _new_rows(self, items: Sequence[T], keys: Sequence[Hashable]) -> Sequence[T]:
        if self.seen.isdisjoint(keys) and len(set(keys)) == len(keys):
            self.seen.update(keys)
            return items
        new = {key: item for key, item in zip(reversed(keys), reversed(items), strict=True) if key not in self.seen}
        self.seen.update(keys)
        return list(reversed(new.values()))

    def check_readable(self) -> None:
        """Raise one `DecodeError` for all unreadable rows, unless the caller skips them. For the end of a pass."""
        if self.unreadable and self.on_unreadable == "raise":
            error = DecodeError(*(f"page {row.page}: {fault}" for row in self.unreadable for fault in row.faults))
            error.body = "\n".join(row.text for row in self.unreadable)[:BODY_CUT]
            raise error

    def check_progress(self, allowance: int, per_useful_page: int) -> None:
        """Raise `ListingInconsistent` if more pages than allowed had no new rows."""
        useless_pages = self.pages + self.steps_back - self.useful_pages
        if useless_pages > allowance + per_useful_page * self.useful_pages:
            raise ListingInconsistent(
                f"no new rows in {useless_pages} pages, after {len(self.seen)} rows: the list repeats itself"
            )

    def check_not_stuck(self) -> None:
        """Raise `ListingInconsistent` if two consecutive pages had no new rows."""
        if self.idle_pages >= MAX_IDLE_PAGES:
            pages = f"{self.idle_pages} consecutive pages"
            raise ListingInconsistent(f"no new rows in {pages}, after {len(self.seen)} rows: the list repeats itself")


@define
class LinkScan(Generic[T]):
    """A scan of a list whose pages each contain the next call."""

    first_call: Call[Page[T]]
    state: ScanState[T]
    done: bool = field(default=False, init=False)
    _next: Call[Page[T]] | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._next = self.first_call

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[T]]]:
        """Return the next page's call once the previous page has been read."""
        return () if pages_in_use or self.done or self._next is None else (self._next,)

    def accept(self, page: Page[T]) -> tuple[T, ...]:
        """Return the new rows. Raise `ListingInconsistent` if two consecutive pages had no new rows."""
        new = self.state.accept(page.items)
        self._next, self.done = page.next, page.next is None or self.state.limit_reached
        if not self.done or page.items:
            self.state.check_not_stuck()
        return new
