"""Keeps the access token of Preservica: one login or renewal at a time for all calls of a client."""

import copy
from collections.abc import Awaitable, Callable

from attrs import define, evolve, field, frozen

from workflow_async._core.auth import Headers, Secret, checked_header
from workflow_async._core.call import Reply
from workflow_async._core.single_flight import SharedTask
from workflow_async.errors import CallError
from workflow_async.settings import Clock

RENEW_AFTER = 0.8  # of the lifetime of a token
RETRY_RENEWAL_AFTER = 15.0  # seconds after a failed renewal


@frozen
class TokenGrant:
    """The result of a login: a token, its lifetime in seconds, and a token that renews it, if there is one."""

    token: Secret
    valid_for: float
    refresh_token: Secret | None = None


@define
class TokenAuth:
    """The access token of Preservica, shared by all calls of a client.

    The token is renewed when 80 % of its lifetime has passed, counted from before the login was sent. After a refused
    renewal the client logs in. One login runs at a time. If a login fails, every call that waited for it raises its
    error with `at_login` set, and so does every call that was refused with the old token. Otherwise a thousand calls
    would send a thousand logins. The next call logs in again.

    See tests/contract/preservica.md, section 4.
    """

    log_in: Callable[[], Awaitable[TokenGrant]]
    refresh: Callable[[TokenGrant], Awaitable[TokenGrant]]
    clock: Clock
    _grant: TokenGrant | None = field(default=None, init=False, repr=False)
    _refused_token: Secret | None = field(default=None, init=False, repr=False)
    _failure: CallError | None = field(default=None, init=False)
    _renew_at: float = field(default=0.0, init=False)
    _expires_at: float = field(default=0.0, init=False)
    _renewal: SharedTask[CallError | None] | None = field(default=None, init=False, repr=False)

    def refusable(self, sent: Headers) -> None:
        """Return None: the next login returns another token."""

    @property
    def renews_on_redirect(self) -> bool:
        """False: otherwise each redirect of a proxy would cause a login."""
        return False

    async def headers(self, method: str, url: str) -> Headers:
        """Return `Preservica-Access-Token`. Log in first if there is no valid token."""
        if self._grant is None or self.clock.now() >= self._renew_at:
            await self._wait_for_renewal()
        return await self._current_token()

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Get another token, unless another call has already done so. Raise the error of a failed login."""
        if self._grant is not None and sent == _secret_headers(self._grant.token):
            self._drop()
        if (
            self._failure is not None
            and self._refused_token is not None
            and sent == _secret_headers(self._refused_token)
        ):
            raise copy.copy(self._failure)
        await self._current_token()
        return True

    async def _current_token(self) -> Headers:
        """Return the headers with the current token, or with the next one if the current one was refused.

        A token that was valid when the login ended may be refused before this call runs again.
        """
        while self._grant is None:
            await self._wait_for_renewal()
        return _secret_headers(self._grant.token)

    async def _wait_for_renewal(self) -> None:
        if self._renewal is None or self._renewal.closed:
            self._renewal = SharedTask.start(self._obtain())
        failure = await self._renewal.wait()
        if failure is not None:
            raise copy.copy(failure)

    async def _obtain(self) -> CallError | None:
        started = self.clock.now()
        try:
            grant = await self._refresh_grant() or await self._log_in()
        except CallError as error:
            return self._on_failure(error)
        self._grant, self._failure = grant, None
        self._renew_at, self._expires_at = started + grant.valid_for * RENEW_AFTER, started + grant.valid_for
        return None

    def _on_failure(self, error: CallError) -> CallError | None:
        if self._keep_valid_token():
            return None
        self._drop()
        self._failure = copy.copy(error)  # a copy has no traceback
        return self._failure

    def _drop(self) -> None:
        if self._grant is not None:
            self._refused_token, self._grant, self._failure = self._grant.token, None, None

    def _keep_valid_token(self) -> bool:
        """Return True if the old token is still valid after a failed renewal, and plan another renewal."""
        now = self.clock.now()
        if self._grant is None or now >= self._expires_at:
            return False
        self._renew_at = min(now + RETRY_RENEWAL_AFTER, self._expires_at)
        return True

    async def _log_in(self) -> TokenGrant:
        try:
            return await self.log_in()
        except CallError as error:
            error.at_login = True
            raise

    async def _refresh_grant(self) -> TokenGrant | None:
        if self._grant is None or self._grant.refresh_token is None or self.clock.now() >= self._expires_at:
            return None
        grant, self._grant = self._grant, evolve(self._grant, refresh_token=None)
        try:
            return await self.refresh(grant)
        except CallError:
            return None


def _secret_headers(token: Secret) -> Headers:
    return (("preservica-access-token", checked_header("token", token.reveal())),)
