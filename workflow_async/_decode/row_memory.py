"""Remembers the rows of a list that is read again and again, so that only new rows are parsed. Pure.

In most polls nearly every row has the bytes that it had in the last one. Records are frozen, so the record of such a
row is returned again. A page with the same bytes is returned as it is.
"""

from collections.abc import Callable, Hashable, Sequence
from itertools import compress
from operator import ne
from typing import Generic, Protocol, TypeVar

from attrs import define, evolve, field, frozen

from workflow_async._core.call import Call, Page, Reply, UnreadableRow

R = TypeVar("R")

MAX_CALLS = 1024
"""Number of calls for pages that are kept for the next pass."""
FEW = 4
"""If fewer than one in 4 rows of a page differ, they have changed. Otherwise, rows have moved to other pages."""


class SplitBody(Protocol):
    """The body of a page, cut at its rows."""

    @property
    def context(self) -> Hashable:
        """What a row is read with besides its own bytes. Equal rows in equal contexts have equal records."""
        ...

    @property
    def rows(self) -> Sequence[bytes]:
        """The bytes of each row."""
        ...


S = TypeVar("S", bound=SplitBody)


@frozen(eq=False)
class KnownPage(Generic[R]):
    """A page as it was read last."""

    body: bytes
    page: Page[R]
    by_rows: bool
    """True if each row was read from its own bytes alone."""


@define(eq=False)
class RowMemory(Generic[S, R]):
    """The pages that the last pass over a list showed. It keeps their bytes and their records, and nothing older.

    A pass that ends early replaces only the pages that it has read.
    """

    split: Callable[[bytes], S | None]
    """Cuts a body at its rows. None if the body cannot be cut. Raises what reading the body raises."""
    read_rows: Callable[[S, list[R | None], Sequence[int]], Page[R] | None]
    """Reads the rows at some places of a page. The records of the others are known.

    None if a row cannot be read from its own bytes alone.
    """
    _last: dict[Hashable, KnownPage[R]] = field(factory=dict, init=False)
    _current: dict[Hashable, KnownPage[R]] = field(factory=dict, init=False)
    _moved: dict[Hashable, dict[bytes, R]] | None = field(default=None, init=False)
    """The rows of the last pass by context and bytes, once this pass has shown that rows have moved."""

    def begin(self) -> None:
        """Begin a pass. Keep the pages that an interrupted pass has read."""
        self._last |= self._current
        self._current, self._moved = {}, None

    def end(self) -> None:
        """End a pass that has read the whole list. Forget what it did not show."""
        self._last, self._current, self._moved = self._current, {}, None

    def remembering(self, call: Call[Page[R]], place: Hashable) -> Call[Page[R]]:
        """Return the call for a page that reads new rows only. `place` is the place of the page in the list."""
        return evolve(call, read=lambda reply: self.read(place, reply, call.read))

    def read(self, place: Hashable, reply: Reply, read_all: Callable[[Reply], Page[R]]) -> Page[R]:
        """Return a page. It and its errors are those of `read_all`, which reads pages that cannot be cut."""
        known = self._last.get(place)
        if known is None or known.body != reply.body:
            known = self._read_new(place, reply, read_all)
        self._current[place] = known
        return known.page

    def _read_new(self, place: Hashable, reply: Reply, read_all: Callable[[Reply], Page[R]]) -> KnownPage[R]:
        split = self.split(reply.body)
        if split is not None:
            known, new = self._known_rows(place, split)
            page = self.read_rows(split, known, new)
            if page is not None:
                by_rows = not any(isinstance(page.items[index], UnreadableRow) for index in new)
                return KnownPage(reply.body, page, by_rows=by_rows)
        return KnownPage(reply.body, read_all(reply), by_rows=False)

    def _known_rows(self, place: Hashable, split: S) -> tuple[list[R | None], Sequence[int]]:
        """Return the record of each row, with None for a new row, and the places of the new rows."""
        rows = split.rows
        known, new = self._unmoved_rows(place, split)
        if len(new) * FEW < len(rows):
            return known, new
        moved = self._moved_rows().get(split.context, {})
        for index in new:
            known[index] = moved.get(rows[index])
        return known, [index for index in new if known[index] is None]

    def _unmoved_rows(self, place: Hashable, split: S) -> tuple[list[R | None], Sequence[int]]:
        """Return the records of the rows that are where they were, with None for the others, and their places."""
        rows, page = split.rows, self._last.get(place)
        last = self.split(page.body) if page is not None and page.by_rows else None
        if page is None or last is None or last.context != split.context:
            return [None] * len(rows), range(len(rows))
        known: list[R | None] = [*page.page.items[: len(rows)]]
        new = [*compress(range(len(known)), map(ne, rows, last.rows)), *range(len(known), len(rows))]
        known += [None] * (len(rows) - len(known))
        for index in new:
            known[index] = None
        return known, new

    def _moved_rows(self) -> dict[Hashable, dict[bytes, R]]:
        if self._moved is None:
            self._moved = {}
            for page in self._last.values():
                split = self.split(page.body) if page.by_rows else None
                if split is not None:
                    self._moved.setdefault(split.context, {}).update(zip(split.rows, page.page.items, strict=True))
        return self._moved
