"""Where a listing stands, as a text from which another process continues. Pure.

A place is an offset in the server's list. An anchored listing also keeps the ids of the rows before it, so that it
notices if rows have moved since.
"""

import copy
import hashlib
import json
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import attrs
from attrs import define, field, frozen

from workflow_async._core.call import MAX_ID
from workflow_async._decode.json import json_tree
from workflow_async.errors import DecodeError, InvalidArgument

T = TypeVar("T")

VERSION = 1
MAX_KEYS = 100
"""Rows before the place whose ids a point keeps."""
DIGEST_LENGTH = 16
"""Hexadecimal digits of the digest of a listing."""
MEMBERS = frozenset({"version", "system", "consistency", "listing", "offset", "keys", "longest"})


@frozen(kw_only=True)
class ListingIdentity:
    """What a point must have in common with the listing that continues from it."""

    system: str
    server: str
    consistency: str
    terms: tuple[str, ...]
    """The filters and the order of the rows. Their order does not matter."""

    @property
    def digest(self) -> str:
        """A digest of the server and the terms, which shows neither."""
        named = json.dumps([self.server, *sorted(self.terms)])
        return hashlib.sha256(named.encode()).hexdigest()[:DIGEST_LENGTH]

    @property
    def resumable(self) -> bool:
        """True if the rows come in the order of the list."""
        return self.consistency != "partitioned"

    def point_text(self, place: "Place[T]", key: Callable[[T], Hashable]) -> str | None:
        """Return the point of a place. None if the listing cannot be resumed."""
        if not (self.resumable and place.resumable):
            return None
        return place.point(key, with_keys=self.consistency != "fast").to_json(self)

    def start(self, resume: str | None, offset: int = 0) -> "ResumePoint":
        """Return the place at which a listing begins: that of the text, if there is one, or else the offset.

        Raises:
            InvalidArgument: the text is not a point of this listing, or this listing cannot be resumed.
        """
        if resume is None:
            return ResumePoint(offset=offset)
        if not self.resumable:
            raise InvalidArgument("resume", f"must be None with consistency={self.consistency!r}: list shorter periods")
        if offset:
            raise InvalidArgument("offset", "must be 0 with resume, which holds the place")
        return ResumePoint.from_json(resume, self)


@frozen(kw_only=True)
class ResumePoint:
    """A place in a list."""

    offset: int = 0
    """The offset of the next row."""
    keys: tuple[int, ...] = ()
    """Ids of the last rows before it. Empty for a listing that does not compare them."""
    longest: int = 0
    """Rows of the longest page so far, which the server is known to return."""

    def to_json(self, identity: ListingIdentity) -> str:
        """Return the point as a text."""
        members = {"system": identity.system, "consistency": identity.consistency, "listing": identity.digest}
        return json.dumps({"version": VERSION, **members, **attrs.asdict(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, identity: ListingIdentity) -> "ResumePoint":
        """Return the point of a text.

        Raises:
            InvalidArgument: the text is not a point, or a point of another listing.
        """
        tree = _tree(text)
        if tree["system"] != identity.system:
            raise InvalidArgument("resume", f"is a point of {tree['system']}: pass it to a client of that system")
        if tree["consistency"] != identity.consistency:
            raise InvalidArgument("resume", f"needs consistency={tree['consistency']!r}, as in the listing it is from")
        if tree["listing"] != identity.digest:
            raise InvalidArgument("resume", "is a point of another listing: pass the same server, filters and order")
        return cls(offset=tree["offset"], keys=tuple(tree["keys"]), longest=tree["longest"])


BEGINNING = ResumePoint()
"""The place before the first row."""


def _tree(text: str) -> dict[str, Any]:
    """Return the members of a point. Raise `InvalidArgument` if the text is not a point of this version."""
    try:
        tree = json_tree(text.encode()) if isinstance(text, str) else None
    except (DecodeError, UnicodeEncodeError):
        tree = None
    if isinstance(tree, dict) and type(tree.get("version")) is int and tree["version"] != VERSION:
        raise InvalidArgument("resume", f"must have version {VERSION}: another version of the library has written it")
    if not isinstance(tree, dict) or not _is_point(tree):
        raise InvalidArgument("resume", "must be a text that `resume_point` of a listing has returned")
    return tree


def _is_point(tree: dict[str, Any]) -> bool:
    """Return True if every member is there and has its type."""
    if tree.keys() != MEMBERS or not isinstance(tree["keys"], list) or len(tree["keys"]) > MAX_KEYS:
        return False
    texts, numbers = (tree["system"], tree["consistency"], tree["listing"]), (tree["offset"], tree["longest"])
    return all(isinstance(text, str) for text in texts) and all(_is_id(each) for each in (*numbers, *tree["keys"]))


def _is_id(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_ID


@define
class Place(Generic[T]):
    """How far the rows of a pass have been yielded."""

    resumed_at: ResumePoint = field(factory=ResumePoint)
    """Where the pass began."""
    resumable: bool = True
    """False if the pass reads something else than the list."""
    unyielded: Iterator[T] = field(factory=lambda: iter(()))
    """The rows of the latest page that have not been yielded. They are never taken from here."""
    _offset: int = field(init=False)
    """The offset of the latest page."""
    _keys: Sequence[Hashable] = field(default=(), init=False)
    """The keys of the rows of the latest page."""
    _longest: int = field(init=False)
    _earlier: deque[Hashable] = field(init=False)
    """The keys of rows of earlier pages."""

    def __attrs_post_init__(self) -> None:
        self._offset, self._longest = self.resumed_at.offset, self.resumed_at.longest
        self._earlier = deque(self.resumed_at.keys, MAX_KEYS)

    def enter(self, offset: int, keys: Sequence[Hashable], used: int) -> None:
        """Note the next page, after all rows of the page before have been yielded. Only its first `used` rows count."""
        self._earlier.extend(self._keys[-MAX_KEYS:])
        self._offset, self._keys, self._longest = offset, keys[:used], max(self._longest, len(keys))

    def point(self, key: Callable[[T], Hashable], *, with_keys: bool) -> ResumePoint:
        """Return the point before the first row that has not been yielded."""
        following = next(copy.copy(self.unyielded), None)
        yielded = len(self._keys) if following is None else self._keys.index(key(following))
        before = [*self._earlier, *self._keys[:yielded]] if with_keys else []
        ids = [each for each in dict.fromkeys(before) if isinstance(each, int)]
        return ResumePoint(offset=self._offset + yielded, keys=tuple(ids[-MAX_KEYS:]), longest=self._longest)
