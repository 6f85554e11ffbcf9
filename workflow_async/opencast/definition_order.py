"""Sorts definitions by several keys, which the server would combine in an arbitrary order. Pure.

See tests/contract/opencast.md, section 3.1.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Self

from attrs import frozen

from workflow_async._core.call import Page, Reply, checked_values
from workflow_async.errors import InvalidArgument
from workflow_async.opencast.definition_records import Definition
from workflow_async.opencast.filters import DefinitionSort, definition_sort

VALUES: Mapping[str, Callable[[Definition], bytes]] = {
    "identifier": lambda definition: _java_order(definition.id),
    "title": lambda definition: _java_order(definition.title),
}
"""The values that a record holds. They are compared as the server compares them: capital letters come first."""


@frozen
class DefinitionOrder:
    """The order of a list of definitions. The server sorts by the last key, and this library by the others."""

    sent: str
    """The `sort` parameter. "" for the server's own order, which is by title."""
    others: tuple[str, ...] = ()
    """The keys before the last one, such as `title:DESC`."""

    @classmethod
    def of(cls, sort: DefinitionSort | Iterable[DefinitionSort] | None) -> Self:
        """Return the order of one key or of several keys, the most significant first.

        Raises:
            InvalidArgument: there is no key, a key is unknown, or `displayorder` comes before another key.
        """
        if sort is None:
            return cls("")
        keys = [definition_sort(key) for key in ([sort] if isinstance(sort, str) else checked_values("sort", sort))]
        if not keys:
            raise InvalidArgument("sort", "must name at least one key")
        if any(_name(key) not in VALUES for key in keys[:-1]):
            why = "must name displayorder last: definitions are sorted here by the keys before, and do not show it"
            raise InvalidArgument("sort", why)
        return cls(keys[-1], tuple(keys[:-1]))

    def read_page(self, read: Callable[[Reply], Page[Definition]], skip: int, reply: Reply) -> Page[Definition]:
        """Return all definitions in this order, without the first `skip`. Unreadable rows come last.

        The server must have sorted the rows by the last key.
        """
        rows = read(reply).items
        readable = [row for row in rows if isinstance(row, Definition)]
        for key in reversed(self.others):  # sorting is stable
            readable.sort(key=VALUES[_name(key)], reverse=key.endswith("DESC"))
        return Page((*readable[skip:], *(row for row in rows if not isinstance(row, Definition))))


def _java_order(text: str) -> bytes:
    """Return bytes that compare as Java compares the texts: by UTF-16 code units."""
    return text.encode("utf-16-be", "surrogatepass")


def _name(key: str) -> str:
    return key.partition(":")[0]
