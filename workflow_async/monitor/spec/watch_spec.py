"""A watch as a value that one process saves and another continues: for cron jobs and queue workers."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import reduce
from typing import Any, Self

import attrs
from attrs import evolve, field, frozen

from workflow_async._core.call import parse_id
from workflow_async._core.origin import Origin, same_server
from workflow_async._decode.json import json_tree
from workflow_async.errors import InvalidArgument
from workflow_async.monitor._engine.tracking import check_stalled_after
from workflow_async.monitor.spec.as_json import VERSION, read_tree, saved_filter, spec_tree, text_of
from workflow_async.monitor.spec.client import Client, active_listing
from workflow_async.monitor.spec.packed import pack, unpack
from workflow_async.monitor.spec.records import Cursor
from workflow_async.monitor.spec.server_memory import ServerMemory
from workflow_async.monitor.spec.sharding import merged_durations, rebased, split, unique
from workflow_async.settings import Poll, check_poll

SHARED = ("operations", "poll", "stalled_after", "filters")
"""Fields in which watches agree that are merged."""
MAX_SHARDS = 100_000


@frozen(kw_only=True)
class WatchSpec:
    """A watch that another process can continue. It holds no secret.

    Make one with `WatchSpec.of` or `WatchSpec.where`, pass it to `poll_once` from time to time, and save the spec that
    this returns. `to_bytes` and `to_json` write it with a version number. Versions of the library read what earlier
    versions have written.
    """

    url: str
    """The server that the ids belong to."""
    cursors: tuple[Cursor, ...]
    operations: bool = False
    poll: Poll = field(factory=Poll)
    lists: bool = True
    pages: int = 1
    version: int = VERSION
    label: str = ""
    """A name for your own use, such as that of a tenant."""
    stalled_after: float | timedelta | None = None
    filters: Mapping[str, str | tuple[str, ...]] | None = field(default=None, hash=False)
    """What workflows match that are watched once they appear. None if only the given ids are watched."""
    durations: Mapping[str, tuple[float, ...]] = field(factory=dict, hash=False)
    """Learned durations in seconds, by kind of workflow and step."""
    server: ServerMemory = field(factory=ServerMemory)

    @classmethod
    def of(
        cls,
        server: str | Client[Any],
        ids: Iterable[int | str],
        *,
        operations: bool = False,
        poll: Poll = Poll(),
        stalled_after: float | timedelta | None = None,
        label: str = "",
    ) -> Self:
        """Return a watch of these workflows that has seen none of them yet.

        Args:
            server: the base URL of the server, or a client of it.
            ids: the workflows.
            operations: also report every transition of every operation.
            poll: how often to check. `poll_once` computes `next_at` from it.
            stalled_after: report a step in which nothing changes (`Stalled`). A timedelta is the time until then. A
                number is a factor of the step's usual duration, which is known once three steps of its kind have ended.
            label: a name for your own use.

        Raises:
            InvalidArgument: an argument is wrong.
        """
        spec = cls._new(server, operations=operations, poll=poll, stalled_after=stalled_after, label=label)
        return spec.add(*ids)

    @classmethod
    def where(
        cls,
        client: Client[Any],
        *,
        operations: bool = False,
        poll: Poll = Poll(),
        stalled_after: float | timedelta | None = None,
        label: str = "",
        **filters: Any,
    ) -> Self:
        """Return a watch of all active workflows that match, including workflows that appear later.

        Args:
            client: a client of the server. Nothing is sent.
            operations: as of `of`.
            poll: as of `of`.
            stalled_after: as of `of`.
            label: as of `of`.
            **filters: those of `client.workflows.watch`, each as a text, a state, or several of them.

        Raises:
            InvalidArgument: an argument is wrong.
        """
        if not filters:
            raise InvalidArgument("filters", "must name at least one filter, such as state: or use WatchSpec.of")
        kept = {name: saved_filter(name, value) for name, value in filters.items()}
        active_listing(client, kept, operations=operations)
        spec = cls._new(client, operations=operations, poll=poll, stalled_after=stalled_after, label=label)
        return evolve(spec, filters=kept)

    @classmethod
    def _new(
        cls,
        server: str | Client[Any],
        *,
        operations: bool,
        poll: Poll,
        stalled_after: float | timedelta | None,
        label: str,
    ) -> Self:
        check_poll(poll)
        check_stalled_after(stalled_after)
        if not isinstance(label, str):
            raise InvalidArgument("label", "must be a text")
        url = _checked_url(server) if isinstance(server, str) else server.url
        spec = cls(url=url, cursors=(), poll=poll, label=label)
        return evolve(spec, operations=bool(operations), stalled_after=stalled_after)

    @property
    def finished(self) -> bool:
        """True if every workflow has an outcome, so that another `poll_once` would return no event.

        A watch of filters is never finished.
        """
        return self.filters is None and all(cursor.over for cursor in self.cursors)

    @property
    def ids(self) -> tuple[int, ...]:
        """The workflows that are watched, and those that have ended."""
        return tuple(cursor.id for cursor in self.cursors)

    # Other watches

    def add(self, *ids: int | str) -> Self:
        """Return a watch of these workflows too. What is known of those that are watched already stays."""
        known = set(self.ids)
        parsed = dict.fromkeys(parse_id("ids", id) for id in ids)
        return evolve(self, cursors=(*self.cursors, *(Cursor(id=id) for id in parsed if id not in known)))

    def drop(self, *ids: int | str) -> Self:
        """Return a watch without these workflows. A watch of filters finds them again while they match."""
        dropped = {parse_id("ids", id) for id in ids}
        return evolve(self, cursors=tuple(cursor for cursor in self.cursors if cursor.id not in dropped))

    def split(self, shards: int) -> tuple[Self, ...]:
        """Return this number of watches that have all workflows between them. Some may have none.

        Which of them has a workflow depends only on its id and the number. So a workflow that is added later belongs to
        the same place.

        Raises:
            InvalidArgument: the number is not from 1 to 100,000, or the watch has filters.
        """
        if isinstance(shards, bool) or not isinstance(shards, int) or not 1 <= shards <= MAX_SHARDS:
            raise InvalidArgument("shards", f"must be a whole number from 1 to {MAX_SHARDS:,}")
        if self.filters is not None:
            raise InvalidArgument("shards", "cannot be those of a watch of filters: split a watch of its ids")
        return tuple(evolve(self, cursors=part) for part in split(self.cursors, shards))

    @staticmethod
    def merge(*specs: "WatchSpec") -> "WatchSpec":
        """Return one watch of the workflows of all. If several have a workflow, the one counts that knows most of it.

        Raises:
            InvalidArgument: there is none, or they differ in their server or in what they report.
        """
        if not specs:
            raise InvalidArgument("specs", "must be at least one watch")
        return reduce(_merged, specs)

    def at(self, url: str) -> Self:
        """Return the same watch by another URL of the same server, such as its name inside a cluster.

        Keys of events name the host of the client. So the keys of later events differ if the host differs.
        """
        return evolve(self, url=_checked_url(url))

    # Texts and bytes

    def to_json(self) -> str:
        """Return the watch as JSON."""
        return text_of(spec_tree(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the watch that `to_json` has written, of this version or an earlier one.

        Raises:
            DecodeError: the text is not a saved watch.
            InvalidArgument: a later version of the library has written it.
        """
        return read_tree(cls, json_tree(text.encode() if isinstance(text, str) else text))

    def to_bytes(self) -> bytes:
        """Return the watch as few bytes: up to 20 for each workflow, sorted by id. Instants are rounded to 0.1 s.

        Raises:
            InvalidArgument: it has more workflows than fit, which are more than a million: split it.
        """
        return pack(spec_tree(self), _defaults(), _cursor_defaults())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the watch that `to_bytes` has written, of this version or an earlier one.

        Raises:
            InvalidArgument: `to_bytes` has not written this, or a later version of the library has.
            DecodeError: it is not a saved watch.
        """
        return read_tree(cls, unpack(data, _cursor_defaults()))


def _merged(mine: WatchSpec, other: WatchSpec) -> WatchSpec:
    if not same_server(mine.url, other.url):
        raise InvalidArgument("specs", f"must be of one server, not of {mine.url} and {other.url}: use at()")
    for name in SHARED:
        if getattr(mine, name) != getattr(other, name):
            raise InvalidArgument("specs", f"must not differ in `{name}`: make them with the same {name}")
    server = mine.server.merge(other.server)
    ours = rebased(mine.cursors, server.announced - mine.server.announced)
    theirs = rebased(other.cursors, server.announced - other.server.announced)
    return evolve(
        mine,
        cursors=unique((*ours, *theirs)),
        lists=mine.lists and other.lists,
        pages=max(mine.pages, other.pages),
        durations=merged_durations(mine.durations, other.durations),
        server=server,
    )


def _defaults() -> dict[str, Any]:
    """Return what `to_bytes` leaves out. What users choose is always written, because its defaults may change."""
    tree = spec_tree(WatchSpec(url="", cursors=()))
    return {key: value for key, value in tree.items() if key not in {"url", "version", "poll"}}


def _cursor_defaults() -> dict[str, Any]:
    tree: dict[str, Any] = attrs.asdict(Cursor(id=0))
    return {key: value for key, value in tree.items() if key not in {"id", "workflow"}}


def _checked_url(url: str) -> str:
    return Origin.parse(url, allow_insecure_http=True).base
