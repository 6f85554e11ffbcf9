"""Credentials for `auth=`: `Basic`, `Bearer`, `Digest`, and `Secret` for their texts."""

import base64
import inspect
from collections.abc import Awaitable, Callable

from attrs import field, frozen

from workflow_async._core.auth import (
    Headers,
    Refusable,
    Secret,
    SecretHeaders,
    checked_header,
    checked_name,
    checked_password,
    to_secret,
)
from workflow_async._core.call import Reply
from workflow_async._core.digest import Digest
from workflow_async.errors import InvalidArgument

__all__ = ["Basic", "Bearer", "Digest", "PasswordFunction", "Secret", "TokenFunction"]


PasswordFunction = Callable[[], "str | Secret | Awaitable[str | Secret]"]
"""A function or coroutine function that returns the current password."""
ADVICE = "open a new client with others, or give the password as a function"
FUNCTION_ADVICE = "the function for the password must return another one"


@frozen(init=False)
class Basic:
    """User name and password, sent with every request (HTTP Basic).

    See tests/contract/opencast.md, section 7.1.

    Args:
        username: the user.
        password: the password, or a function or coroutine function that returns the current password. The function is
            called before each request, and again after a 401. A new password clears the refusal of the old one.
    """

    username: str
    password: Secret | PasswordFunction = field(repr=False)
    _fixed: SecretHeaders | None = field(default=None, init=False, eq=False, repr=False)
    """The headers with a password that is not a function."""

    def __init__(self, username: str, password: str | Secret | PasswordFunction) -> None:
        password = password if callable(password) else to_secret(password)  # see `Secret`
        self.__attrs_init__(username, password)  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(password, Secret):
            checked_password("password", password)
        if ":" in checked_name("username", username):
            raise InvalidArgument("username", "must be printable, not empty, and without a colon")
        if isinstance(password, Secret):
            object.__setattr__(self, "_fixed", self._headers(password))

    def refusable(self, sent: Headers) -> Refusable:
        """Return the user name and the password."""
        advice = ADVICE if isinstance(self.password, Secret) else FUNCTION_ADVICE
        return Refusable(sent, advice, self.username)

    @property
    def renews_on_redirect(self) -> bool:
        """False: a redirect does not mean that the password has changed."""
        return False

    async def headers(self, method: str, url: str) -> Headers:
        """Return `Authorization: Basic`, which is sent without waiting for a challenge."""
        return self._headers(await _current(self.password)) if self._fixed is None else self._fixed

    def _headers(self, password: Secret) -> SecretHeaders:
        pair = f"{self.username}:{checked_password('password', password)}".encode()
        basic = base64.b64encode(pair).decode()
        return SecretHeaders((("authorization", f"Basic {basic}"), ("x-requested-auth", "Basic")))

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Return True if a function now returns another password. A refused password stays refused."""
        return callable(self.password) and await self.headers(method, url) != sent


TokenFunction = Callable[[], "str | Secret | Awaitable[str | Secret]"]
"""A function or coroutine function that returns the current token."""


@frozen(init=False)
class Bearer:
    """A JSON Web Token, for Opencast 11 and later.

    Args:
        token: the token, or a function or coroutine function that returns the current token. The function is called
            before each request, and again after a 401 or a redirect.
    """

    token: Secret | TokenFunction = field(repr=False)
    _fixed: SecretHeaders | None = field(default=None, init=False, eq=False, repr=False)
    """The headers with a token that is not a function."""

    def __init__(self, token: str | Secret | TokenFunction) -> None:
        token = token if callable(token) else to_secret(token)  # see `Secret`
        self.__attrs_init__(token)  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(token, Secret):
            object.__setattr__(self, "_fixed", _token_headers(token))

    @classmethod
    def of(cls, token: str | Secret | TokenFunction) -> "Bearer":
        """Return a credential for a token, or for a function that returns the current token."""
        token = token if callable(token) else to_secret(token)
        return cls(token)

    def refusable(self, sent: Headers) -> Refusable | None:
        """Return the token. None if a function returns it."""
        return None if callable(self.token) else Refusable(sent, "open a new client, or give the token as a function")

    @property
    def renews_on_redirect(self) -> bool:
        """True if a function returns the token: single sign-on redirects where an API would send 401."""
        return callable(self.token)

    async def headers(self, method: str, url: str) -> Headers:
        """Return `Authorization: Bearer`."""
        return _token_headers(await _current(self.token)) if self._fixed is None else self._fixed

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Return True if the function now returns another token."""
        return await self.headers(method, url) != sent


def _token_headers(token: Secret) -> SecretHeaders:
    bearer = f"Bearer {checked_header('token', token.reveal())}"
    return SecretHeaders((("authorization", bearer), ("x-requested-auth", "Basic")))


async def _current(value: Secret | PasswordFunction) -> Secret:
    """Return the current password or token."""
    if isinstance(value, Secret):
        return value
    current = value()
    text = to_secret(await current if inspect.isawaitable(current) else current)
    del current  # see `Secret`
    return text
