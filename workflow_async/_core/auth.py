"""Who a client says it is: headers for each request, and what to do about a 401."""

import base64
import copy
import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeGuard

from attrs import define, evolve, field, frozen

from workflow_async._core.call import Reply
from workflow_async._core.single_flight import SharedTask
from workflow_async.errors import CallError, InvalidArgument
from workflow_async.settings import Clock

Headers = tuple[tuple[str, str], ...]


class SecretHeaders(tuple[tuple[str, str], ...]):
    """Headers that prove who is asking, and show themselves to nobody: a traceback may print local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Proof(...)"


VISIBLE_CHARS = re.compile(r"[\x21-\x7e]+")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
FORBIDDEN_CHARS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters: RFC 7617, 2
MAX_LENGTH = 8192  # characters of a secret: what servers take for all headers together, unless told otherwise
ADVICE = f"(read from a file? strip it), and at most {MAX_LENGTH} characters"

RENEWED_AFTER = 0.8  # of a token's life
RENEWED_AGAIN = 15.0  # seconds after a renewal that failed


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


@frozen(init=False)
class Basic:
    """User name and password, sent with every request (HTTP Basic; contract: opencast.md 7.1)."""

    username: str
    password: Secret = field(repr=False)

    def __init__(self, username: str, password: str | Secret) -> None:
        password = to_secret(password)  # from here on no frame has it as a text
        self.__attrs_init__(username, password)
        checked_password("password", password)
        if ":" in checked_name("username", username):
            raise InvalidArgument("username", "must be printable, not empty, and without a colon")

    @property
    def fixed(self) -> bool:
        """True: a password does not change."""
        return True

    @property
    def renews_on_redirect(self) -> bool:
        """False: there is no other password."""
        return False

    async def headers(self, method: str, url: str) -> Headers:
        """`Authorization: Basic`, pre-emptively."""
        pair = f"{self.username}:{self.password.reveal()}".encode()
        return (("authorization", "Basic " + base64.b64encode(pair).decode()), ("x-requested-auth", "Basic"))

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """A refused password stays refused."""
        return False


TokenFunction = Callable[[], "str | Secret | Awaitable[str | Secret]"]
"""A function, or a coroutine function, that gives the current token."""


@frozen(init=False)
class Bearer:
    """A JSON Web Token, for Opencast 11 and later.

    Args:
        token: the token, or a function or coroutine function that gives the current one. The function is asked before
            each request, and again after a 401 or a redirect.
    """

    token: Secret | TokenFunction = field(repr=False)

    def __init__(self, token: str | Secret | TokenFunction) -> None:
        token = token if callable(token) else to_secret(token)  # from here on no frame has it as a text
        self.__attrs_init__(token)
        if isinstance(token, Secret):
            checked_header("token", token.reveal())

    @classmethod
    def of(cls, token: str | Secret | TokenFunction) -> "Bearer":
        """Make a credential of a token, or of a function that gives the current one."""
        token = token if callable(token) else to_secret(token)
        return cls(token)

    @property
    def fixed(self) -> bool:
        """True if there is no function to ask for another token."""
        return isinstance(self.token, Secret)

    @property
    def renews_on_redirect(self) -> bool:
        """True if a function gives the current token: single sign-on redirects where an API would say 401."""
        return not self.fixed

    async def headers(self, method: str, url: str) -> Headers:
        """`Authorization: Bearer`."""
        token = await self._current()
        return (("authorization", f"Bearer {checked_header('token', token.reveal())}"), ("x-requested-auth", "Basic"))

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Return True if the function gives another token by now."""
        return await self.headers(method, url) != sent

    async def _current(self) -> Secret:
        if isinstance(self.token, Secret):
            return self.token
        token = self.token()
        text = to_secret(await token if inspect.isawaitable(token) else token)
        del token  # a traceback may print local variables
        return text


@frozen
class TokenGrant:
    """What a login gives: a token for some seconds, and perhaps a token to renew it with."""

    token: Secret
    valid_for: float
    refresh_token: Secret | None = None


@define
class TokenAuth:
    """A short-lived token of Preservica, however many calls need it: one login an expiry (contract: preservica.md 4).

    The token is renewed when 80 % of its life is over, counted from before the login was sent. A renewal that is
    refused falls back to a login. One login runs at a time. If it fails, every call that waited for it, or was refused
    with the token it was to replace, raises that failure with `at_login` set, since a thousand calls would otherwise
    send a thousand logins. The next call logs in again.
    """

    log_in: Callable[[], Awaitable[TokenGrant]]
    refresh: Callable[[TokenGrant], Awaitable[TokenGrant]]
    clock: Clock
    _grant: TokenGrant | None = field(default=None, init=False, repr=False)
    _spent: Secret | None = field(default=None, init=False, repr=False)
    _failure: CallError | None = field(default=None, init=False)
    _stale_at: float = field(default=0.0, init=False)
    _ends_at: float = field(default=0.0, init=False)
    _flight: SharedTask[CallError | None] | None = field(default=None, init=False, repr=False)

    @property
    def fixed(self) -> bool:
        """False: the next login gives another token."""
        return False

    @property
    def renews_on_redirect(self) -> bool:
        """False: a login for each redirect of a proxy would be a storm of logins."""
        return False

    async def headers(self, method: str, url: str) -> Headers:
        """`Preservica-Access-Token`, after a login if there is none that is fresh."""
        if self._grant is None or self.clock.now() >= self._stale_at:
            await self._renewed()
        return await self._current_token()

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Get another token, unless someone else has by now, or has tried to."""
        if self._grant is not None and sent == _secret_headers(self._grant.token):
            self._drop()
        if self._failure is not None and self._spent is not None and sent == _secret_headers(self._spent):
            raise copy.copy(self._failure)
        await self._current_token()
        return True

    async def _current_token(self) -> Headers:
        """The token there is, or the next; one that was good when a flight landed may be refused by now."""
        while self._grant is None:
            await self._renewed()
        return _secret_headers(self._grant.token)

    async def _renewed(self) -> None:
        if self._flight is None or self._flight.closed:
            self._flight = SharedTask.start(self._obtain())
        failure = await self._flight.wait()
        if failure is not None:
            raise copy.copy(failure)

    async def _obtain(self) -> CallError | None:
        began = self.clock.now()
        try:
            grant = await self._refreshed() or await self._logged_in()
        except CallError as error:
            return self._failed(error)
        self._grant, self._failure = grant, None
        self._stale_at, self._ends_at = began + grant.valid_for * RENEWED_AFTER, began + grant.valid_for
        return None

    def _failed(self, error: CallError) -> CallError | None:
        if self._still_good():
            return None
        self._drop()
        self._failure = copy.copy(error)  # without its frames
        return self._failure

    def _drop(self) -> None:
        if self._grant is not None:
            self._spent, self._grant, self._failure = self._grant.token, None, None

    def _still_good(self) -> bool:
        """Whether the old token outlives a renewal that failed; it is tried again a little later."""
        now = self.clock.now()
        if self._grant is None or now >= self._ends_at:
            return False
        self._stale_at = min(now + RENEWED_AGAIN, self._ends_at)
        return True

    async def _logged_in(self) -> TokenGrant:
        try:
            return await self.log_in()
        except CallError as error:
            error.at_login = True
            raise

    async def _refreshed(self) -> TokenGrant | None:
        if self._grant is None or self._grant.refresh_token is None or self.clock.now() >= self._ends_at:
            return None
        once, self._grant = self._grant, evolve(self._grant, refresh_token=None)
        try:
            return await self.refresh(once)
        except CallError:
            return None


def _secret_headers(token: Secret) -> Headers:
    return (("preservica-access-token", checked_header("token", token.reveal())),)
