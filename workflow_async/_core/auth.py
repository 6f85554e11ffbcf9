"""Credentials as the transport uses them, and checks of names, passwords and header values."""

import re
from typing import Protocol, TypeGuard

from attrs import field, frozen

from workflow_async._core.call import Reply
from workflow_async.errors import InvalidArgument

Headers = tuple[tuple[str, str], ...]


class SecretHeaders(tuple[tuple[str, str], ...]):
    """Headers that hold credentials. `repr` does not show them (see `Secret`)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SecretHeaders(...)"


VISIBLE_CHARS = re.compile(r"[\x21-\x7e]+")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
FORBIDDEN_CHARS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters: RFC 7617, section 2
MAX_LENGTH = 8192  # characters of a secret: the default limit of many servers for all headers of a request
ADVICE = f"(read from a file? strip it), and at most {MAX_LENGTH} characters"


@frozen
class Refusable:
    """Credentials that stay refused after a 401, such as a password. Equal ones are not sent again."""

    identity: object = field(repr=False)
    """What was sent, without the parts that change with each request."""
    advice: str = field(eq=False)
    """How the user can go on."""
    username: str = field(default="", eq=False)
    """The user whose credentials these are. "" for a token."""


class Credential(Protocol):
    """The credentials that the transport sends with each request, and renews after a 401."""

    def refusable(self, sent: Headers) -> Refusable | None:
        """Return what a 401 to these headers refuses for good. None if the server may accept the same later."""
        ...

    @property
    def renews_on_redirect(self) -> bool:
        """True if any redirect may mean that the credential has expired, and renewing it is cheap."""
        ...

    async def headers(self, method: str, url: str) -> Headers:
        """Return the headers that authenticate a request."""
        ...

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Return True if the refused request is worth sending once more, with other headers than `sent`."""
        ...


def checked_header(argument: str, value: str) -> str:
    """Return a header value. Raise `InvalidArgument` if it cannot stand in a header. The message never repeats it."""
    if not is_header_value(value):
        del value  # see `Secret`
        raise InvalidArgument(argument, f"must be visible ASCII, without spaces or line ends {ADVICE}")
    return value


def is_header_value(value: object) -> TypeGuard[str]:
    """Return True for a text that can stand in a header."""
    return isinstance(value, str) and len(value) <= MAX_LENGTH and VISIBLE_CHARS.fullmatch(value) is not None


class Secret:
    """A text that `repr`, logging and pickling never reveal.

    Tools that report errors print the local variables of every frame in a traceback. Therefore each function that
    receives a password or a token as a plain text wraps it, or deletes its variable, before anything can raise.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def to_secret(value: "str | Secret") -> Secret:
    """Return a text as a secret. Never raises, because a traceback could show the text."""
    return value if isinstance(value, Secret) else Secret(value)


def checked_password(argument: str, secret: Secret) -> str:
    """Return the password. Raise `InvalidArgument` if it contains control characters. The message never repeats it."""
    text = secret.reveal()
    if not isinstance(text, str) or len(text) > MAX_LENGTH or FORBIDDEN_CHARS.search(text):
        del text  # see `Secret`
        raise InvalidArgument(argument, f"must be a text without line ends or other control characters {ADVICE}")
    return text


def checked_name(argument: str, value: str) -> str:
    """Return the name. Raise `InvalidArgument` if it is empty or contains control characters."""
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InvalidArgument(argument, "must be a text that is printable and not empty")
    return value
