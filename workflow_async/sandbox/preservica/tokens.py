"""Accounts and tokens of Preservica: passwords, one-time codes, and tokens that expire."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from attrs import define, field

from workflow_async.sandbox.engine import TimeSource
from workflow_async.sandbox.hashing import hash_uuid

Form = Mapping[str, str]

TOTP_PERIOD = 30
CODE_LIFETIME = 3 * TOTP_PERIOD
"""Seconds for which a code is valid: the three time steps that are accepted."""
CONTINUATION_SECONDS = 300.0
EXTERNAL_TOLERANCE = 300.0
TIMESTAMP_DIGITS = 12


class RefusalError(Exception):
    """A request that is refused with a status and a message."""

    def __init__(self, status: int, message: str, **more: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.fields = more

    @property
    def body(self) -> dict[str, object]:
        """The body of a JSON response."""
        return {"success": False, "message": self.message, **self.fields}


def totp(secret: str, at: float) -> str:
    """Return the six digits of RFC 6238 (SHA-1, 30 s) at an instant."""
    text = secret.replace(" ", "").upper()
    key = base64.b32decode(text + "=" * (-len(text) % 8))
    mac = hmac.digest(key, (int(at) // TOTP_PERIOD).to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 1_000_000:06d}"


def external_hash(timestamp: str, username: str, secret: str) -> str:
    """Return the hash that replaces a password with a shared secret: SHA-1 of the plain text, not HMAC."""
    text = f"preservica-external-auth{timestamp}{username}{secret}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def required_fields(form: Form, *names: str) -> tuple[str, ...]:
    """Return the named fields of a form. Refuse a form without one of them."""
    missing = [name for name in names if not form.get(name)]
    if missing:
        raise RefusalError(400, f"Missing form parameter: {', '.join(missing)}")
    return tuple(form[name] for name in names)


@define(eq=False)
class Accounts:
    """One user, the ways to log in, and every valid token."""

    clock: TimeSource
    username: str
    password: str
    tenant: str
    shared_secret: str
    seed: int = 0
    minutes: int = 15
    two_factor: str | None = None
    refresh_works: bool = True
    codes_once: bool = False
    """True if each one-time code is accepted once only. See RFC 6238, section 5.2."""
    logins: int = 0
    """The number of tokens issued for a password, a one-time code or the shared secret."""
    refreshes: int = 0
    _access: dict[str, float] = field(factory=dict, init=False)
    _refresh: dict[str, float] = field(factory=dict, init=False)
    _continuations: dict[str, float] = field(factory=dict, init=False)
    _used_codes: dict[str, float] = field(factory=dict, init=False)
    """The instant at which each accepted one-time code expires."""
    _issued: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        if self.two_factor is not None:
            totp(self.two_factor, self.clock())  # An invalid secret raises now, not at the first login.

    def is_valid(self, token: str | None) -> bool:
        """Return True if the token was issued here and has not expired. A new token does not end older ones."""
        return token is not None and self.clock() < self._access.get(token, 0.0)

    def revoke(self) -> None:
        """Invalidate every issued token."""
        self._access.clear()
        self._refresh.clear()

    def login(self, form: Form) -> dict[str, object]:
        """Exchange a name and a password for a token, or ask for a one-time code."""
        username, password = required_fields(form, "username", "password")
        self._check_tenant(form)
        if (username, password) != (self.username, self.password):
            raise RefusalError(401, "Invalid username or password")
        if self.two_factor is not None:
            raise self._two_factor_challenge()
        return self._issue_login(form)

    def complete_two_factor(self, form: Form) -> dict[str, object]:
        """Exchange the continuation of a login and a one-time code for a token."""
        username, continuation, code = required_fields(form, "username", "continuationToken", "twoFactorToken")
        self._check_tenant(form)
        if username != self.username or self.clock() >= self._continuations.get(continuation, 0.0):
            raise RefusalError(401, "Invalid continuation token")
        if not self._is_valid_code(code) or not self._mark_used(code):
            raise RefusalError(401, "Invalid two factor token")
        del self._continuations[continuation]
        return self._issue_login(form)

    def acquire_external(self, form: Form) -> dict[str, object]:
        """Exchange a fresh hash of the shared secret for a token."""
        username, tenant, timestamp, proof = required_fields(form, "username", "tenant", "timestamp", "hash")
        self._check_tenant({"tenant": tenant})
        if not self._is_fresh(timestamp):
            raise RefusalError(401, "Timestamp is not within the allowed time")
        if username != self.username or proof.lower() != external_hash(timestamp, username, self.shared_secret):
            raise RefusalError(401, "Invalid hash")
        return self._issue_login(form)

    def refresh(self, form: Form, token: str | None) -> dict[str, object]:
        """Exchange a refresh token for a new pair. It works once, and while the access token is valid."""
        (refresh,) = required_fields(form, "refreshToken")
        ends = self._refresh.pop(refresh, 0.0)
        if not self.refresh_works or not self.is_valid(token) or self.clock() >= ends:
            raise RefusalError(401, "Invalid refresh token")
        self.refreshes += 1
        return self._issue(form)

    def _check_tenant(self, form: Form) -> None:
        if form.get("tenant", self.tenant) != self.tenant:
            raise RefusalError(401, "Invalid tenant")

    def _two_factor_challenge(self) -> RefusalError:
        continuation = self._new_secret()
        self._continuations[continuation] = self.clock() + CONTINUATION_SECONDS
        return RefusalError(401, "needs.2fa", continuationToken=continuation, tenant=self.tenant)

    def _is_valid_code(self, code: str) -> bool:
        now, secret = self.clock(), self.two_factor or ""
        return code in {totp(secret, now + drift * TOTP_PERIOD) for drift in (-1, 0, 1)}

    def _mark_used(self, code: str) -> bool:
        """Mark a code as used. Return False if the code was used before and is still valid."""
        now = self.clock()
        spent = self.codes_once and now < self._used_codes.get(code, 0.0)
        self._used_codes[code] = now + CODE_LIFETIME
        return not spent

    def _is_fresh(self, timestamp: str) -> bool:
        number = int(timestamp) if timestamp.isdecimal() and len(timestamp) <= TIMESTAMP_DIGITS else 0
        return abs(self.clock() - number) <= EXTERNAL_TOLERANCE

    def _issue_login(self, form: Form) -> dict[str, object]:
        self.logins += 1
        return self._issue(form)

    def _issue(self, form: Form) -> dict[str, object]:
        token, refresh = self._new_secret(), self._new_secret()
        self._access[token] = self._refresh[refresh] = self.clock() + self.minutes * 60
        fields: dict[str, object] = {"success": True, "user": self.username, "token": token}
        fields |= {"refresh-token": refresh, "validFor": self.minutes}
        return fields | self.user_details() if form.get("includeUserDetails") == "true" else fields

    def user_details(self) -> dict[str, object]:
        """Return the details of the user."""
        return {
            "fullName": "Sandbox Manager",
            "email": self.username,
            "tenant": self.tenant,
            "tenantValue": self.tenant,
            "roles": ["ROLE_SDB_MANAGER_USER"],
        }

    def _new_secret(self) -> str:
        self._issued += 1
        return hash_uuid("token", self.seed, self._issued)
