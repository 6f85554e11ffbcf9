"""Builds the requests that return a token: login, second factor, refresh, shared secret. Pure.

A response to these calls may carry values worth a password, so errors keep only the server's message. See
tests/contract/preservica.md, section 4.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

from attrs import evolve, field, frozen
from attrs.converters import optional

from workflow_async._core.auth import Secret, checked_password, is_header_value, to_secret
from workflow_async._core.call import Call, Params, Replay, Reply
from workflow_async._core.retry import http_date
from workflow_async._core.status import HTTP_ERRORS, foreign_response, status_error
from workflow_async._core.token_auth import TokenGrant
from workflow_async._decode.json import json_tree
from workflow_async._decode.values import TypeMismatch, parse_int
from workflow_async.auth import PasswordFunction
from workflow_async.errors import (
    CallError,
    DecodeError,
    ForeignResponse,
    InvalidArgument,
    StatusError,
    Unauthorized,
    UnexpectedContent,
)
from workflow_async.preservica.filters import checked_filled, given_params

T = TypeVar("T")

LOGIN = "/api/accesstoken/login"
SECOND_FACTOR = "/api/accesstoken/complete-2fa"
REFRESH = "/api/accesstoken/refresh"
EXTERNAL = "/api/accesstoken/acquire-external"
FORM = "application/x-www-form-urlencoded"
NAMES = {LOGIN: "login", SECOND_FACTOR: "login.code", REFRESH: "login.refresh", EXTERNAL: "login.shared_secret"}
"""The names of the calls in events."""

VALID_MINUTES = range(1, 1441)
"""Credible lifetimes of a token in minutes. For any other value the documented lifetime is assumed."""
DEFAULT_MINUTES = 15
CODE_SECONDS = 30
MAX_CLOCK_OFFSET = 60.0
"""Seconds by which a signed timestamp may differ from the server's clock before the clock is blamed for a refusal."""
REFUSED = 401
REFUSAL_STATUSES = frozenset({REFUSED, 403})
NO_LOGIN_STATUSES = frozenset({404, 405, 501})
"""Statuses of a server that does not serve the login, such as any other web server."""
MAX_MESSAGE = 300
"""Characters of a server's message that an error keeps."""

NEEDS_SEED = "this account has two-factor authentication: give two_factor=, the seed its authenticator was set up with"
NEEDS_SETUP = (
    "this account has yet to set up two-factor authentication, which cannot be done unattended: "
    "log in once with a browser, keep the seed, and give it as two_factor="
)


def _password_secret(password: str | Secret | PasswordFunction) -> Secret | PasswordFunction:
    return password if callable(password) else to_secret(password)


@frozen
class Account:
    """The user that the client logs in as, and how."""

    username: str
    password: Secret | PasswordFunction = field(converter=_password_secret, repr=False)
    """The password, or a function that is called for it at each login."""
    tenant: str | None = None
    two_factor: Secret | None = field(default=None, converter=optional(to_secret), repr=False)
    shared_secret: bool = False

    def __attrs_post_init__(self) -> None:
        checked_filled("username", self.username)
        if isinstance(self.password, Secret):
            checked_filled("password", checked_password("password", self.password))
        if self.tenant is not None:
            checked_filled("tenant", self.tenant)
        if self.two_factor is not None:
            one_time_code(self.two_factor, 0.0)
        if self.shared_secret and self.tenant is None:
            raise InvalidArgument("tenant", "must be given with shared_secret=True: it is part of the request")

    @property
    def known_password(self) -> Secret:
        """The password as a secret. Available once a function has been called for it."""
        if isinstance(self.password, Secret):
            return self.password
        raise TypeError("the password function has not been called yet")


@frozen
class Continuation:
    """A login that waits for its second factor."""

    token: Secret
    tenant: str | None


def is_no_login(error: CallError) -> bool:
    """Return True if the response to a login shows that another kind of server wrote it.

    An HTML page does not show that, because a proxy sends one during maintenance. See `_core.provenance.PAGE`.
    """
    other_status = isinstance(error, StatusError) and error.status in NO_LOGIN_STATUSES
    return other_status or isinstance(error, ForeignResponse)


def password_login(account: Account) -> Call[TokenGrant | Continuation]:
    """Return the call that logs in with name and password.

    Without a tenant it also requests the user's details, because the server expects that.
    """
    form = given_params(
        username=account.username,
        password=account.known_password.reveal(),
        tenant=account.tenant,
        includeUserDetails=None if account.tenant is not None else "true",
    )
    return _token_call(
        LOGIN, form, partial(_read_login, seeded=account.two_factor is not None), frozenset({200, REFUSED})
    )


def complete_login(account: Account, continuation: Continuation, at: float) -> Call[TokenGrant]:
    """Return the call that sends the one-time code of an instant (seconds since 1970)."""
    seed = account.two_factor or Secret("")
    form = given_params(
        username=account.username,
        continuationToken=continuation.token.reveal(),
        tenant=account.tenant or continuation.tenant,
        twoFactorToken=one_time_code(seed, at),
    )
    return _token_call(SECOND_FACTOR, form, _read_grant)


def refresh_token(grant: TokenGrant) -> Call[TokenGrant]:
    """Return the call that exchanges a refresh token for a new token.

    A refresh token is valid once and as long as the old token is.
    """
    token = grant.refresh_token or Secret("")
    return _token_call(REFRESH, (("refreshToken", token.reveal()),), _read_grant)


def external_login(account: Account, at: float) -> Call[TokenGrant]:
    """Return the call that logs in with a hash of the shared secret.

    Deprecated by the vendor since 7.6, with removal planned.
    """
    timestamp = str(int(at))
    signed = f"preservica-external-auth{timestamp}{account.username}{account.known_password.reveal()}"
    digest = hashlib.sha1(signed.encode(), usedforsecurity=False).hexdigest()
    form = given_params(username=account.username, tenant=account.tenant, timestamp=timestamp, hash=digest)
    call = _token_call(EXTERNAL, form, _read_grant)
    return evolve(
        call, refusals={**REFUSALS, REFUSED: partial(_read_stamp_refusal, at), 403: partial(_read_stamp_refusal, at)}
    )


def one_time_code(seed: Secret, at: float) -> str:
    """Return the six digits that an authenticator shows at this instant (RFC 6238: SHA-1, 30 s).

    Raises:
        InvalidArgument: the seed is not base32.
    """
    key = _decode_seed(seed)
    if not key:
        raise InvalidArgument("two_factor", "must be the base32 seed of the authenticator (letters A-Z, digits 2-7)")
    mac = hmac.digest(key, int(at // CODE_SECONDS).to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 0x0F
    return f"{(int.from_bytes(mac[offset : offset + 4], 'big') & 0x7FFF_FFFF) % 1_000_000:06d}"


def _decode_seed(seed: Secret) -> bytes:
    """Return the bytes of a seed, which may have spaces, dashes and lower-case letters. Empty if it is not base32."""
    text = seed.reveal()
    letters = "".join(text.split() if isinstance(text, str) else "").replace("-", "").upper().rstrip("=")
    try:
        return base64.b32decode(letters + "=" * (-len(letters) % 8))
    except ValueError:
        return b""


def _token_call(
    path: str, form: Params, read: Callable[[Reply], T], success: frozenset[int] = frozenset({200})
) -> Call[T]:
    body = urlencode(form).encode()
    return Call(
        "POST",
        path,
        read,
        body=body,
        content_type=FORM,
        replay=Replay.ONCE,
        success=success,
        refusals=REFUSALS,
        sensitive=True,
        name=NAMES[path],
    )


@frozen
class TokenResponse:
    """The JSON of a response to one of these calls. Its repr does not show it."""

    _tree: dict[str, Any] = field(repr=False)

    @classmethod
    def read(cls, reply: Reply) -> "TokenResponse":
        """Return the JSON of a reply. Empty if the body is not a JSON object."""
        try:
            tree = json_tree(reply.body)
        except DecodeError:
            tree = {}
        return cls(tree if isinstance(tree, dict) else {})

    def secret(self, *names: str) -> Secret | None:
        """Return the first of these fields that is a token. None if there is none."""
        values = (self._tree.get(name) for name in names)
        return next((Secret(text) for text in values if is_header_value(text)), None)

    def text(self, name: str) -> str:
        """Return a field that is a text, "" otherwise."""
        value = self._tree.get(name)
        return value[:MAX_MESSAGE] if isinstance(value, str) else ""

    @property
    def seconds(self) -> float:
        """Lifetime of the token in seconds."""
        try:
            minutes = parse_int(self._tree.get("validFor"))
        except TypeMismatch:
            minutes = DEFAULT_MINUTES
        return 60.0 * (minutes if minutes in VALID_MINUTES else DEFAULT_MINUTES)


def _read_login(reply: Reply, *, seeded: bool) -> TokenGrant | Continuation:
    """Return the token of a login, or its continuation. The server answers 401 also to request a second factor."""
    if reply.status != REFUSED:
        return _read_grant(reply)
    response = TokenResponse.read(reply)
    if response.text("message") == "needs.2fa.setup":
        raise Unauthorized(REFUSED, "", NEEDS_SETUP)
    if response.text("message") != "needs.2fa":
        raise _read_refusal(reply)
    if not seeded:
        raise Unauthorized(REFUSED, "", NEEDS_SEED)
    token = response.secret("continuationToken", "continuation-token")
    if token is None:
        raise DecodeError("expected a token @ $.continuationToken")
    return Continuation(token, response.text("tenant") or None)


def _read_grant(reply: Reply) -> TokenGrant:
    if reply.is_page:
        raise UnexpectedContent("an HTML page where a token is due @ $")
    response = TokenResponse.read(reply)
    token = response.secret("token")
    if token is None:
        raise DecodeError("expected a token @ $.token")
    return TokenGrant(token, response.seconds, response.secret("refresh-token"))


def _read_refusal(reply: Reply) -> CallError:
    """Return the error without the body, which may carry a continuation, a seed, or what was sent.

    An HTML page does not come from the token service but from a proxy, and tells nothing about the credentials.
    """
    if reply.is_page and reply.status in REFUSAL_STATUSES:
        return UnexpectedContent(f"{reply.status} with an HTML page, which is not the token service's @ $")
    empty = Reply(reply.status, reply.headers, b"")
    error = status_error(empty) if reply.status in HTTP_ERRORS else foreign_response(empty)
    error.message = TokenResponse.read(reply).text("message")
    return error


def _read_stamp_refusal(at: float, reply: Reply) -> CallError:
    """Return the refusal of a signed request. Add the difference of the clocks if that is the likely reason."""
    error = _read_refusal(reply)
    server_time = http_date(reply.headers.get("date", ""))
    if server_time is None or not isinstance(error, StatusError):
        return error
    offset = server_time.timestamp() - at
    if abs(offset) <= MAX_CLOCK_OFFSET:
        return error
    hint = f"this clock is {-offset:+.0f} s off: correct it"
    with_offset = Unauthorized(REFUSED, "", f"{error.message}; {hint}".lstrip("; "))
    with_offset.clock_offset = offset
    return with_offset


REFUSALS = dict.fromkeys(range(100, 1000), _read_refusal)
