"""Logs in to a Preservica for all calls of one client: retries, one-time codes, rotating passwords, stored tokens."""

import copy
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import define, evolve, field

from workflow_async._core import retry as retry_rules
from workflow_async._core.auth import Secret, SecretHeaders, TokenGrant, to_secret
from workflow_async._core.call import Call, Replay
from workflow_async._core.transport import Transport
from workflow_async.errors import Attempt, CallError, Forbidden, Unauthorized
from workflow_async.preservica.login_calls import (
    CODE_SECONDS,
    Account,
    Continuation,
    complete,
    external,
    login,
    refresh,
)
from workflow_async.preservica.token_store import StoredToken, TokenStore, dumped, loaded

T = TypeVar("T")

MOST_CODES = 5
"""One-time codes of different steps that are refused in a row before the credentials count as refused."""
LEAST_LEFT = 60.0
"""Seconds of life that a stored token must have left to be used."""
BARRED = 60.0
"""Seconds without another login after a 403 that is not a refusal of the credentials in so many words."""
REFUSED = "these credentials are not tried again: open a new client with others, or give password= as a function"


@define
class TokenService:
    """The login of one client. `TokenAuth` asks it for tokens, one request at a time."""

    account: Account
    store: TokenStore | None = None
    transport: Transport = field(init=False, repr=False)
    _password: Secret | None = field(default=None, init=False, repr=False)
    """The password of the last login."""
    _refusal: CallError | None = field(default=None, init=False)
    """The refusal of that password, which is raised instead of sending it again."""
    _barred_until: float = field(default=float("-inf"), init=False)
    _bar: CallError | None = field(default=None, init=False)
    _step: int = field(default=-1, init=False)
    """The time step of the last one-time code. No code is sent twice."""
    _refused_codes: int = field(default=0, init=False)
    _used: Secret | None = field(default=None, init=False, repr=False)
    """The token that was last taken from the store or put there."""

    async def log_in(self) -> TokenGrant:
        """Return a stored token that is still good, or log in.

        Raises:
            CallError: the login failed. After a refusal of the credentials nothing is sent until they change.
        """
        stored = await self._load()
        if stored is not None:
            return stored
        account = await self._current()
        self._check_refusal(account)
        try:
            grant = await self._granted(account)
        except CallError as error:
            self._note_refusal(error)
            raise
        self._refused_codes = 0
        await self._save(grant)
        return grant

    async def refresh(self, grant: TokenGrant) -> TokenGrant:
        """Return a token for the refresh token of another. A refresh token is good once, so it is sent once."""
        token = SecretHeaders((("preservica-access-token", grant.token.reveal()),))
        fresh = await self.transport.send_once(refresh(grant), token)
        await self._save(fresh)
        return fresh

    async def _granted(self, account: Account) -> TokenGrant:
        if account.shared_secret:
            return await self._send(_ready(lambda: external(account, self.transport.clock.wall())))
        while True:
            answer = await self._send(_ready(lambda: login(account)))
            if isinstance(answer, TokenGrant):
                return answer
            grant = await self._completed(account, answer)
            if grant is not None:
                return grant

    async def _completed(self, account: Account, continuation: Continuation) -> TokenGrant | None:
        """Send a one-time code. Return None if it was refused, since the code of a later step may be taken."""

        async def call() -> Call[TokenGrant]:
            self._step = await self._next_step()
            return complete(account, continuation, self._step * CODE_SECONDS)

        try:
            return await self._send(call)
        except (Unauthorized, Forbidden) as error:
            self._refused_codes += 1
            if self._refused_codes < MOST_CODES:
                return None
            why = f"{MOST_CODES} codes in a row were refused: check the seed and this machine's clock"
            error.message = f"{error.message}; {why}".lstrip("; ")
            raise

    async def _next_step(self) -> int:
        """Return the current time step of RFC 6238, once it is later than that of the last code."""
        clock = self.transport.clock
        while (step := int(clock.wall() // CODE_SECONDS)) <= self._step:
            await clock.sleep(max(0.0, (self._step + 1) * CODE_SECONDS - clock.wall()))
        return step

    async def _send(self, make: Callable[[], Awaitable[Call[T]]]) -> T:
        """Send a login request. Retry what may pass on the normal schedule, until the calls that wait for it end."""
        transport, history = self.transport, list[Attempt]()
        began = transport.clock.now()
        while True:
            try:
                return await transport.send_once(await make())
            except CallError as error:
                failure = error
            attempt, jitter = len(history) + 1, transport.clock.jitter()
            wait = retry_rules.retry_delay(transport.retry, failure, Replay.SAFE, attempt=attempt, jitter=jitter)
            elapsed = transport.clock.now() - began
            history.append(Attempt(elapsed, type(failure).__name__, wait))
            if wait is None:
                failure.history, failure.elapsed = tuple(history), elapsed
                raise failure
            await transport.clock.sleep(wait)

    # Credentials

    async def _current(self) -> Account:
        """Return the account with the password of this moment, which a function of the caller's may give."""
        if isinstance(self.account.password, Secret):
            return self.account
        password = self.account.password()
        text = to_secret(await password if inspect.isawaitable(password) else password)
        del password  # a traceback may print local variables
        return evolve(self.account, password=text)

    def _check_refusal(self, account: Account) -> None:
        """Raise what the server said of these credentials, unless they have changed."""
        if account.known != self._password:
            self._password, self._refusal, self._bar, self._refused_codes = account.known, None, None, 0
        if self._refusal is not None:
            raise copy.copy(self._refusal)
        if self._bar is not None and self.transport.clock.now() < self._barred_until:
            raise copy.copy(self._bar)

    def _note_refusal(self, error: CallError) -> None:
        if isinstance(error, Unauthorized) and error.clock_offset is None:
            error.message += f"; {REFUSED}" if error.message else REFUSED
            self._refusal = copy.copy(error)  # without its frames
        elif isinstance(error, Forbidden):
            self._bar, self._barred_until = copy.copy(error), self.transport.clock.now() + BARRED

    # The store

    async def _load(self) -> TokenGrant | None:
        """Return the stored token if it is another one than was used before and most of its life is left."""
        if self.store is None:
            return None
        text = self.store.load()
        stored = loaded(to_secret((await text if inspect.isawaitable(text) else text) or ""))
        del text  # a traceback may print local variables
        if stored is None or stored.token == self._used or stored.owner != self._owner:
            return None
        self._used, left = stored.token, stored.expires_at - self.transport.clock.wall()
        return TokenGrant(stored.token, left, stored.refresh_token) if left > LEAST_LEFT else None

    async def _save(self, grant: TokenGrant) -> None:
        if self.store is None:
            return
        self._used, ends = grant.token, self.transport.clock.wall() + grant.valid_for
        saving = self.store.save(dumped(StoredToken(self._owner, grant.token, ends, grant.refresh_token)))
        if inspect.isawaitable(saving):
            await saving

    @property
    def _owner(self) -> str:
        """Whose tokens these are: a store that several accounts share must not mix them up."""
        return f"{self.account.username} {self.account.tenant or ''} {self.transport.origin.base}"


def _ready(make: Callable[[], Call[T]]) -> Callable[[], Awaitable[Call[T]]]:
    async def made() -> Call[T]:
        return make()

    return made
