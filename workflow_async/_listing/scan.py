"""One pass over a list: what to ask for next, and what an answer is worth. Pure: no I/O.

A scan plans calls that may be sent at once and takes their answers in the order of the plans, as if each had been asked
after the one before. An answer that does not join on is dropped with all that were planned behind it.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, Literal, Protocol, TypeVar

from attrs import define, evolve, field

from workflow_async._core.call import Call, OnUnreadable, Page, UnreadableRow
from workflow_async.errors import BODY_CUT, DecodeError, ListingInconsistent

T = TypeVar("T")

Consistency = Literal["fast", "anchored", "partitioned"]

MAX_AHEAD = 16
"""Pages that are asked for at once, at most."""
MAX_IDLE_PAGES = 2
"""Pages in a row that bring nothing new, before a listing gives up."""


class Scan(Protocol[T]):
    """What a listing needs of a pass over a list."""

    @property
    def done(self) -> bool:
        """Whether there is nothing more to ask for."""
        ...

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[T]]]:
        """What to ask for now, besides what has been, while so many pages are still read; all may be sent at once."""
        ...

    def accept(self, page: Page[T]) -> tuple[T, ...] | None:
        """What is new in the next answer of the plan; None if the rest of the plan is void."""
        ...


@define
class ScanState(Generic[T]):
    """What one pass over a list has come upon so far."""

    key: Callable[[T], Hashable]
    limit: int | None = None
    """Rows to give at most."""
    predicate: Callable[[T], bool] | None = None
    """Which rows to give, where that is decided here and not by the server."""
    on_unreadable: OnUnreadable = "raise"
    seen: set[Hashable] = field(factory=set, init=False)
    requests: int = field(default=0, init=False)
    pages: int = field(default=0, init=False)
    rows: int = field(default=0, init=False)
    duplicates: int = field(default=0, init=False)
    steps_back: int = field(default=0, init=False)
    unreadable: list[UnreadableRow] = field(factory=list, init=False)
    """Rows that cannot be read, each once."""
    useful_pages: int = field(default=0, init=False)
    """Pages that brought something new."""
    idle_pages: int = field(default=0, init=False)
    """Pages since then."""

    @property
    def limit_reached(self) -> bool:
        """Whether the limit is reached."""
        return self.limit is not None and self.rows >= self.limit

    @property
    def rows_left(self) -> int | None:
        """Rows that may still have to be asked for; None if nobody can say."""
        return None if self.limit is None or self.predicate is not None else self.limit - self.rows

    def is_known(self, item: T) -> bool:
        """Whether a row has come before."""
        return self.key(item) in self.seen

    def accept(self, items: Sequence[T]) -> tuple[T, ...]:
        """Those of a page that are new and wanted, within the limit."""
        new = self._new_rows(items)
        self.pages += 1
        self.duplicates += len(items) - len(new)
        self.useful_pages += bool(new)
        self.idle_pages = 0 if new else self.idle_pages + 1
        accepted = self._readable(new)
        accepted = accepted if self.predicate is None else [item for item in accepted if self.predicate(item)]
        if self.limit is not None:
            accepted = accepted[: self.limit - self.rows]
        self.rows += len(accepted)
        return tuple(accepted)

    def _readable(self, rows: Sequence[T]) -> Sequence[T]:
        """Return the rows that can be read. Note the others."""
        if UnreadableRow not in set(map(type, rows)):
            return rows
        self.unreadable += [evolve(row, page=self.pages) for row in rows if isinstance(row, UnreadableRow)]
        return [item for item in rows if not isinstance(item, UnreadableRow)]

    def _new_rows(self, items: Sequence[T]) -> Sequence[T]:
        keys = [self.key(item) for item in items]
        if self.seen.isdisjoint(keys) and len(set(keys)) == len(keys):
            self.seen.update(keys)
            return items
        new = {key: item for key, item in zip(reversed(keys), reversed(items), strict=True) if key not in self.seen}
        self.seen.update(keys)
        return list(reversed(new.values()))

    def check_readable(self) -> None:
        """Raise one `DecodeError` for all rows that cannot be read, unless to skip them. For the end of a pass."""
        if self.unreadable and self.on_unreadable == "raise":
            error = DecodeError(*(f"page {row.page}: {fault}" for row in self.unreadable for fault in row.faults))
            error.body = "\n".join(row.text for row in self.unreadable)[:BODY_CUT]
            raise error

    def check_progress(self, allowance: int, per_useful_page: int) -> None:
        """Raise `ListingInconsistent` when too many pages brought nothing new."""
        useless_pages = self.pages + self.steps_back - self.useful_pages
        if useless_pages > allowance + per_useful_page * self.useful_pages:
            raise ListingInconsistent(f"{useless_pages} pages brought nothing new, after {len(self.seen)} items")

    def check_not_stuck(self) -> None:
        """Raise `ListingInconsistent` when two pages in a row brought nothing new."""
        if self.idle_pages >= MAX_IDLE_PAGES:
            raise ListingInconsistent(
                f"{self.idle_pages} pages in a row brought nothing new, after {len(self.seen)} items"
            )


@define
class LinkScan(Generic[T]):
    """Every answer tells what to ask for next."""

    first_call: Call[Page[T]]
    state: ScanState[T]
    done: bool = field(default=False, init=False)
    _next: Call[Page[T]] | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._next = self.first_call

    def next_calls(self, pages_in_use: int = 0) -> Sequence[Call[Page[T]]]:
        """The next page, when the one before has been read."""
        return () if pages_in_use or self.done or self._next is None else (self._next,)

    def accept(self, page: Page[T]) -> tuple[T, ...]:
        """What is new; raises `ListingInconsistent` when two pages in a row bring nothing."""
        new = self.state.accept(page.items)
        self._next, self.done = page.next, page.next is None or self.state.limit_reached
        if not self.done or page.items:
            self.state.check_not_stuck()
        return new
