"""Credentials for `auth=`: `Basic`, `Bearer`, `Digest`, and `Secret` for their texts."""

import base64
import inspect
from collections.abc import Awaitable, Callable

from attrs import field, frozen

from workflow_async._core.auth import Headers, Secret, checked_header, checked_name, checked_password, to_secret
from workflow_async._core.call import Reply
from workflow_async._core.digest import Digest
from workflow_async.errors import InvalidArgument

__all__ = ["Basic", "Bearer", "Digest", "Secret", "TokenFunction"]


@frozen(init=False)
class Basic:
    """User name and password, sent with every request (HTTP Basic).

    See tests/contract/opencast.md, section 7.1.
    """

    username: str
    password: Secret = field(repr=False)

    def __init__(self, username: str, password: str | Secret) -> None:
        password = to_secret(password)  # see `Secret`
        self.__attrs_init__(username, password)  # pyright: ignore[reportAttributeAccessIssue]
        checked_password("password", password)
        if ":" in checked_name("username", username):
            raise InvalidArgument("username", "must be printable, not empty, and without a colon")

    @property
    def fixed(self) -> bool:
        """True: the password does not change."""
        return True

    @property
    def renews_on_redirect(self) -> bool:
        """False: there is no other password."""
        return False

    async def headers(self, method: str, url: str) -> Headers:
        """Return `Authorization: Basic`, which is sent without waiting for a challenge."""
        pair = f"{self.username}:{self.password.reveal()}".encode()
        return (("authorization", "Basic " + base64.b64encode(pair).decode()), ("x-requested-auth", "Basic"))

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Return False: a refused password stays refused."""
        return False


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

    def __init__(self, token: str | Secret | TokenFunction) -> None:
        token = token if callable(token) else to_secret(token)  # see `Secret`
        self.__attrs_init__(token)  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(token, Secret):
            checked_header("token", token.reveal())

    @classmethod
    def of(cls, token: str | Secret | TokenFunction) -> "Bearer":
        """Return a credential for a token, or for a function that returns the current token."""
        token = token if callable(token) else to_secret(token)
        return cls(token)

    @property
    def fixed(self) -> bool:
        """True if the token is a text, so that there is no other token."""
        return isinstance(self.token, Secret)

    @property
    def renews_on_redirect(self) -> bool:
        """True if a function returns the token: single sign-on redirects where an API would send 401."""
        return not self.fixed

    async def headers(self, method: str, url: str) -> Headers:
        """Return `Authorization: Bearer`."""
        token = await self._current()
        return (("authorization", f"Bearer {checked_header('token', token.reveal())}"), ("x-requested-auth", "Basic"))

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Return True if the function now returns another token."""
        return await self.headers(method, url) != sent

    async def _current(self) -> Secret:
        if isinstance(self.token, Secret):
            return self.token
        token = self.token()
        text = to_secret(await token if inspect.isawaitable(token) else token)
        del token  # see `Secret`
        return text
