"""Who a client says it is: headers for each request, and what to do about a 401."""

import re
from typing import Protocol, TypeGuard

from workflow_async._core.call import Reply
from workflow_async.errors import InvalidArgument

Headers = tuple[tuple[str, str], ...]


class SecretHeaders(tuple[tuple[str, str], ...]):
    """Headers that prove who is asking, and show themselves to nobody: a traceback may print local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SecretHeaders(...)"


VISIBLE_CHARS = re.compile(r"[\x21-\x7e]+")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
FORBIDDEN_CHARS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters: RFC 7617, 2
MAX_LENGTH = 8192  # characters of a secret: what servers take for all headers together, unless told otherwise
ADVICE = f"(read from a file? strip it), and at most {MAX_LENGTH} characters"


class Credential(Protocol):
    """What the transport asks before each request, and again after a 401."""

    @property
    def fixed(self) -> bool:
        """True if the credential is the same for ever: once refused, it stays refused."""

    @property
    def renews_on_redirect(self) -> bool:
        """True if any redirect may mean that the credential has expired, and asking for another one costs nothing."""

    async def headers(self, method: str, url: str) -> Headers:
        """The headers that say who is asking."""

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Whether the request that was refused with these headers is worth sending once more."""


def checked_header(argument: str, value: str) -> str:
    """A text that can stand in a header; raises `InvalidArgument`, which never repeats the value."""
    if not is_header_value(value):
        del value  # a traceback may print local variables
        raise InvalidArgument(argument, f"must be visible ASCII, without spaces or line ends {ADVICE}")
    return value


def is_header_value(value: object) -> TypeGuard[str]:
    """Whether this is a text that can stand in a header."""
    return isinstance(value, str) and len(value) <= MAX_LENGTH and VISIBLE_CHARS.fullmatch(value) is not None


class Secret:
    """A text that shows itself to nobody who does not ask for it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def to_secret(value: "str | Secret") -> Secret:
    """A text as a secret; it never raises, since the text would stand in the traceback's local variables."""
    return value if isinstance(value, Secret) else Secret(value)


def checked_password(argument: str, secret: Secret) -> str:
    """A password, in whatever language; raises `InvalidArgument` for what is none, and never repeats it."""
    text = secret.reveal()
    if not isinstance(text, str) or len(text) > MAX_LENGTH or FORBIDDEN_CHARS.search(text):
        del text  # a traceback may print local variables
        raise InvalidArgument(argument, f"must be a text without line ends or other control characters {ADVICE}")
    return text


def checked_name(argument: str, value: str) -> str:
    """Return a name. Raise `InvalidArgument` for an empty one and for control characters."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InvalidArgument(argument, "must be a text that is printable and not empty")
    return value
