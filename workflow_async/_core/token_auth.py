"""Keeps the short-lived access token of Preservica: one login or renewal for all calls of a client."""

import copy
from collections.abc import Awaitable, Callable

from attrs import define, evolve, field, frozen

from workflow_async._core.auth import Headers, Secret, checked_header
from workflow_async._core.call import Reply
from workflow_async._core.single_flight import SharedTask
from workflow_async.errors import CallError
from workflow_async.settings import Clock

RENEW_AFTER = 0.8  # of a token's life
RETRY_RENEWAL_AFTER = 15.0  # seconds after a renewal that failed


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
    _refused_token: Secret | None = field(default=None, init=False, repr=False)
    _failure: CallError | None = field(default=None, init=False)
    _renew_at: float = field(default=0.0, init=False)
    _expires_at: float = field(default=0.0, init=False)
    _renewal: SharedTask[CallError | None] | None = field(default=None, init=False, repr=False)

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
        if self._grant is None or self.clock.now() >= self._renew_at:
            await self._wait_for_renewal()
        return await self._current_token()

    async def renew(self, sent: Headers, reply: Reply, method: str, url: str) -> bool:
        """Get another token, unless someone else has by now, or has tried to."""
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
        """The token there is, or the next; one that was good when a flight landed may be refused by now."""
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
            grant = await self._refresh_grant() or await self._log_in_marked()
        except CallError as error:
            return self._on_failure(error)
        self._grant, self._failure = grant, None
        self._renew_at, self._expires_at = started + grant.valid_for * RENEW_AFTER, started + grant.valid_for
        return None

    def _on_failure(self, error: CallError) -> CallError | None:
        if self._is_still_valid():
            return None
        self._drop()
        self._failure = copy.copy(error)  # without its frames
        return self._failure

    def _drop(self) -> None:
        if self._grant is not None:
            self._refused_token, self._grant, self._failure = self._grant.token, None, None

    def _is_still_valid(self) -> bool:
        """Whether the old token outlives a renewal that failed; it is tried again a little later."""
        now = self.clock.now()
        if self._grant is None or now >= self._expires_at:
            return False
        self._renew_at = min(now + RETRY_RENEWAL_AFTER, self._expires_at)
        return True

    async def _log_in_marked(self) -> TokenGrant:
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
