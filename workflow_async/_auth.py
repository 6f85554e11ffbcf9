"""Who a client says it is: headers for each request, and what to do about a 401."""

import base64
import copy
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio
from attrs import define, evolve, field, frozen

from workflow_async._call import Reply
from workflow_async.errors import CallError, UnsafeValue
from workflow_async.settings import Clock

Headers = tuple[tuple[str, str], ...]


class Proof(tuple[tuple[str, str], ...]):
    """Headers that prove who is asking, and show themselves to nobody: a traceback may print local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Proof(...)"


VISIBLE = re.compile(r"[\x21-\x7e]+")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


RENEWED_AFTER = 0.8
"""Of a token's life."""
RENEWED_AGAIN = 15.0
"""Seconds after a renewal that failed."""


class Credential(Protocol):
    """What the transport asks before each request, and again after a 401."""

    async def headers(self, method: str, url: str) -> Headers:
        """The headers that say who is asking."""

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Whether the request that was refused with these headers is worth sending once more."""


def visible(argument: str, value: str) -> str:
    """A text that can stand in a header; raises `UnsafeValue`, which never repeats the value."""
    if not VISIBLE.fullmatch(value):
        del value  # a traceback may print local variables
        raise UnsafeValue(argument, "must be visible ASCII without spaces or line ends (read from a file? strip it)")
    return value


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


def as_secret(value: "str | Secret") -> Secret:
    """A text as a secret."""
    return value if isinstance(value, Secret) else Secret(value)


@frozen
class Basic:
    """User name and password, sent with every request (HTTP Basic; contract: opencast.md 7.1)."""

    username: str
    password: Secret = field(converter=as_secret, repr=False)

    def __attrs_post_init__(self) -> None:
        if ":" in self.username or not self.username.isprintable() or not self.username:
            raise UnsafeValue("username", "must be printable, not empty, and without a colon")
        if LONE_SURROGATE.search(self.password.reveal()):
            raise UnsafeValue("password", "must be a text that can be encoded")

    async def headers(self, method: str, url: str) -> Headers:
        """`Authorization: Basic`, pre-emptively."""
        pair = f"{self.username}:{self.password.reveal()}".encode()
        return (("authorization", "Basic " + base64.b64encode(pair).decode()), ("x-requested-auth", "Basic"))

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """A refused password stays refused."""
        return False


def _hidden(token: str | Secret | Callable[[], str]) -> Secret | Callable[[], str]:
    return Secret(visible("token", token)) if isinstance(token, str) else token


@frozen
class Bearer:
    """A JSON Web Token, fixed or asked for before each request (contract: opencast.md 7.1; Opencast >= 11)."""

    token: Secret | Callable[[], str] = field(converter=_hidden, repr=False)

    @classmethod
    def of(cls, token: str | Callable[[], str]) -> "Bearer":
        """From a token, or from a function that gives the current one."""
        return cls(token)

    async def headers(self, method: str, url: str) -> Headers:
        """`Authorization: Bearer`."""
        token = self.token.reveal() if isinstance(self.token, Secret) else visible("token", self.token())
        return (("authorization", f"Bearer {token}"), ("x-requested-auth", "Basic"))

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Worth it if the function has another token by now."""
        return await self.headers(method, url) != sent


@frozen
class Grant:
    """What a login gives: a token for some seconds, and perhaps a token to renew it with."""

    token: Secret
    valid_for: float
    refresh_token: Secret | None = None


@define
class Token:
    """A short-lived token of Preservica, however many calls need it: one login an expiry (contract: preservica.md 4).

    A login that fails fails for everyone who was waiting for it. It is renewed when 80 % of its life is over, counted
    from before the login was sent; a renewal that is refused falls back to a login.
    """

    log_in: Callable[[], Awaitable[Grant]]
    refresh: Callable[[Grant], Awaitable[Grant]]
    clock: Clock
    _grant: Grant | None = field(default=None, init=False, repr=False)
    _failure: CallError | None = field(default=None, init=False)
    _generation: int = field(default=0, init=False)
    _stale_at: float = field(default=0.0, init=False)
    _ends_at: float = field(default=0.0, init=False)
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False, repr=False)

    async def headers(self, method: str, url: str) -> Headers:
        """`Preservica-Access-Token`, after a login if there is none that is fresh."""
        if self._grant is None or self.clock.now() >= self._stale_at:
            await self._turn(self._generation)
        return self._headers()

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Get another token, unless someone else has by now."""
        if self._grant is not None and sent == self._headers():
            self._grant = None
        if self._grant is None:
            await self._turn(self._generation)
        return True

    def _headers(self) -> Headers:
        if self._grant is None:
            raise RuntimeError("no token without a login")
        return (("preservica-access-token", visible("token", self._grant.token.reveal())),)

    async def _turn(self, generation: int) -> None:
        """Make the token of the next generation, or share what another caller made while this one waited."""
        async with self._lock:
            if self._generation == generation:
                await self._obtain()
            elif self._failure is not None:
                raise copy.copy(self._failure)
        if self._grant is None:
            await self._turn(self._generation)

    async def _obtain(self) -> None:
        began = self.clock.now()
        try:
            grant = await self._refreshed() or await self.log_in()
        except CallError as error:
            self._generation += 1
            if self._still_good():
                return
            self._grant, self._failure = None, error
            raise
        self._generation += 1
        self._grant, self._failure = grant, None
        self._stale_at, self._ends_at = began + grant.valid_for * RENEWED_AFTER, began + grant.valid_for

    def _still_good(self) -> bool:
        """Whether the old token outlives a renewal that failed; it is tried again a little later."""
        now = self.clock.now()
        if self._grant is None or now >= self._ends_at:
            return False
        self._stale_at = now + RENEWED_AGAIN
        return True

    async def _refreshed(self) -> Grant | None:
        if self._grant is None or self._grant.refresh_token is None or self.clock.now() >= self._ends_at:
            return None
        once, self._grant = self._grant, evolve(self._grant, refresh_token=None)
        try:
            return await self.refresh(once)
        except CallError:
            return None
