"""Logs in to a Preservica for all calls of one client: retries, one-time codes, rotating passwords, stored tokens."""

import copy
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import define, evolve, field

from workflow_async._core import retry as retry_rules
from workflow_async._core.auth import Secret, SecretHeaders, to_secret
from workflow_async._core.call import Call, Replay
from workflow_async._core.provenance import PAGE, absence, hint
from workflow_async._core.token_auth import TokenGrant
from workflow_async._core.transport import Transport
from workflow_async.errors import Attempt, CallError, Forbidden, Unauthorized, UnexpectedContent
from workflow_async.preservica.login_calls import (
    CODE_SECONDS,
    Account,
    Continuation,
    complete_login,
    external_login,
    is_no_login,
    password_login,
    refresh_token,
)
from workflow_async.preservica.token_store import StoredToken, TokenStore, dump_token, load_token

T = TypeVar("T")

log = logging.getLogger("workflow_async")

MAX_REFUSED_CODES = 5
"""Number of refused one-time codes of different time steps in a row after which the credentials count as refused."""
MIN_LIFETIME = 60.0
"""Seconds of life that a stored token must have left to be used."""
FORBIDDEN_PAUSE = 60.0
"""Seconds without another login after a 403, which may or may not be a refusal of the credentials."""
NEW_CREDENTIALS_HINT = (
    "these credentials are not tried again: open a new client with others, or give password= as a function"
)


@define
class TokenService:
    """The login of one client. `TokenAuth` requests tokens from it, one request at a time."""

    account: Account
    store: TokenStore | None = None
    transport: Transport = field(init=False, repr=False)
    _password: Secret | None = field(default=None, init=False, repr=False)
    """The password of the last login."""
    _refusal: CallError | None = field(default=None, init=False)
    """The refusal of that password. It is raised in place of sending the password again."""
    _paused_until: float = field(default=float("-inf"), init=False)
    _forbidden: CallError | None = field(default=None, init=False)
    _last_step: int = field(default=-1, init=False)
    """The time step of the last one-time code. No code is sent twice."""
    _refused_codes: int = field(default=0, init=False)
    _last_token: Secret | None = field(default=None, init=False, repr=False)
    """The token that was last read from the store or written to it."""

    async def log_in(self) -> TokenGrant:
        """Return a stored token that is still valid, or log in.

        Raises:
            CallError: the login failed. After a refusal of the credentials nothing is sent until they change.
        """
        stored = await self._load_stored()
        if stored is not None:
            return stored
        account = await self._current_account()
        self._check_refusal(account)
        started = self.transport.clock.now()
        try:
            grant = await self._request_token(account)
        except CallError as error:
            self._note_refusal(error)
            raise
        self._refused_codes = 0
        self.transport.observer.on_login(started, renewed=False)
        await self._save_grant(grant)
        return grant

    async def refresh(self, grant: TokenGrant) -> TokenGrant:
        """Return a new token for a refresh token. A refresh token is valid once, so the request is sent once."""
        token = SecretHeaders((("preservica-access-token", grant.token.reveal()),))
        started = self.transport.clock.now()
        renewed = await self.transport.send_once(refresh_token(grant), token)
        self.transport.observer.on_login(started, renewed=True)
        await self._save_grant(renewed)
        return renewed

    async def _request_token(self, account: Account) -> TokenGrant:
        if account.shared_secret:
            return await self._send(_as_coroutine(lambda: external_login(account, self.transport.clock.wall())))
        while True:
            response = await self._send(_as_coroutine(lambda: password_login(account)))
            if isinstance(response, TokenGrant):
                return response
            grant = await self._send_code(account, response)
            if grant is not None:
                return grant

    async def _send_code(self, account: Account, continuation: Continuation) -> TokenGrant | None:
        """Send a one-time code. Return None if it was refused, since the code of a later time step may be accepted."""

        async def call() -> Call[TokenGrant]:
            self._last_step = await self._next_step()
            return complete_login(account, continuation, self._last_step * CODE_SECONDS)

        try:
            return await self._send(call)
        except (Unauthorized, Forbidden) as error:
            self._refused_codes += 1
            if self._refused_codes < MAX_REFUSED_CODES:
                return None
            hint = f"{MAX_REFUSED_CODES} codes in a row were refused: check the seed and this machine's clock"
            error.message = f"{error.message}; {hint}".lstrip("; ")
            raise

    async def _next_step(self) -> int:
        """Return the current time step of RFC 6238 once it is later than that of the last code."""
        clock = self.transport.clock
        while (step := int(clock.wall() // CODE_SECONDS)) <= self._last_step:
            await clock.sleep(max(0.0, (self._last_step + 1) * CODE_SECONDS - clock.wall()))
        return step

    async def _send(self, make: Callable[[], Awaitable[Call[T]]]) -> T:
        """Send a login request. Retry it on the normal schedule if the error allows that.

        The retries end when no call waits for the login any more.
        """
        transport, history, name = self.transport, list[Attempt](), ""
        started = transport.clock.now()
        while True:
            try:
                call = await make()
                name = call.name
                return await transport.send_once(call)
            except CallError as error:
                caught = error
            attempt, jitter = len(history) + 1, transport.clock.jitter()
            delay = retry_rules.retry_delay(transport.retry, caught, Replay.SAFE, attempt=attempt, jitter=jitter)
            elapsed = transport.clock.now() - started
            history.append(Attempt(elapsed, type(caught).__name__, delay))
            if delay is None:
                caught.history, caught.elapsed = tuple(history), elapsed
                if is_no_login(caught):
                    caught.absent = absence("Preservica", transport.origin.base)
                elif isinstance(caught, UnexpectedContent):
                    caught.hint = hint("Preservica", transport.origin.base, PAGE)
                raise caught
            transport.observer.on_retry(name, attempt, delay, caught)
            await transport.clock.sleep(delay)

    # Credentials

    async def _current_account(self) -> Account:
        """Return the account with the current password, which a function of the caller may return."""
        if isinstance(self.account.password, Secret):
            return self.account
        password = self.account.password()
        text = to_secret(await password if inspect.isawaitable(password) else password)
        del password  # a traceback may print local variables
        return evolve(self.account, password=text)

    def _check_refusal(self, account: Account) -> None:
        """Raise the last refusal of these credentials, unless they have changed."""
        if account.known_password != self._password:
            self._password, self._refusal, self._forbidden, self._refused_codes = account.known_password, None, None, 0
        if self._refusal is not None:
            raise copy.copy(self._refusal)
        if self._forbidden is not None and self.transport.clock.now() < self._paused_until:
            raise copy.copy(self._forbidden)

    def _note_refusal(self, error: CallError) -> None:
        if isinstance(error, Unauthorized):
            error.username = self.account.username
        if isinstance(error, Unauthorized) and error.clock_offset is None:
            error.message += f"; {NEW_CREDENTIALS_HINT}" if error.message else NEW_CREDENTIALS_HINT
            self._refusal = copy.copy(error)  # a copy has no traceback
        elif isinstance(error, Forbidden):
            self._forbidden, self._paused_until = copy.copy(error), self.transport.clock.now() + FORBIDDEN_PAUSE

    # The store

    async def _load_stored(self) -> TokenGrant | None:
        """Return the stored token. None if it was used before, is another account's, or is about to expire."""
        if self.store is None:
            return None
        loaded = self.store.load()
        stored = load_token(to_secret((await loaded if inspect.isawaitable(loaded) else loaded) or ""))
        del loaded  # a traceback may print local variables
        if stored is None or stored.token == self._last_token or stored.owner != self._owner:
            return None
        self._last_token, remaining = stored.token, stored.expires_at - self.transport.clock.wall()
        return TokenGrant(stored.token, remaining, stored.refresh_token) if remaining > MIN_LIFETIME else None

    async def _save_grant(self, grant: TokenGrant) -> None:
        if self.store is None:
            return
        self._last_token, expires_at = grant.token, self.transport.clock.wall() + grant.valid_for
        stored = StoredToken(self._owner, grant.token, expires_at, grant.refresh_token)
        try:
            saved = self.store.save(dump_token(stored))
            if inspect.isawaitable(saved):
                await saved
        except Exception as error:  # noqa: BLE001 - a store of the caller may raise anything
            data = {"error": type(error).__name__, "server": self.transport.observer.server}
            log.warning("the token was not saved, so the next process logs in again", extra=data)

    @property
    def _owner(self) -> str:
        """The account and server of the tokens, because several accounts may share a store."""
        return f"{self.account.username} {self.account.tenant or ''} {self.transport.origin.base}"


def _as_coroutine(make: Callable[[], Call[T]]) -> Callable[[], Awaitable[Call[T]]]:
    async def call() -> Call[T]:
        return make()

    return call
