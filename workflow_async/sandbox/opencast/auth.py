"""Authentication and authorization of Opencast: accounts, logins, roles by path, switching users."""

import base64
import binascii
import hashlib
import hmac
import re

from attrs import define, evolve, field, frozen
from starlette.requests import Request
from starlette.responses import Response

from workflow_async.sandbox.engine import TimeSource
from workflow_async.sandbox.hashing import hash_uuid
from workflow_async.sandbox.opencast.container import error_page
from workflow_async.sandbox.opencast.event import USER_ROLE

ADMIN = "ROLE_ADMIN"
SUDO = "ROLE_SUDO"
API = "ROLE_API"
REALM = "Opencast"
NONCE_SECONDS = 300
VIEW = "ROLE_API_WORKFLOW_INSTANCE_VIEW"

_RULES = (
    ("GET", r"/api(/version(/[^/]+)?|/info/[^/]+|/info/me/[^/]+)?", API),
    ("GET", r"/api/workflows(/[^/]+)?", VIEW),
    ("POST", r"/api/workflows", "ROLE_API_WORKFLOW_INSTANCE_CREATE"),
    ("PUT", r"/api/workflows/[^/]+", "ROLE_API_WORKFLOW_INSTANCE_EDIT"),
    ("DELETE", r"/api/workflows/[^/]+", "ROLE_API_WORKFLOW_INSTANCE_DELETE"),
    ("GET", r"/api/workflow-definitions(/[^/]+)?", "ROLE_API_WORKFLOW_DEFINITION_VIEW"),
    ("GET", r"/api/events", "ROLE_API_EVENTS_VIEW"),
)
_UI_RULES = (
    ("GET", r"/admin-ng/event/[^/]+/workflows/[^/]+/errors(/[^/]+)?\.json", "ROLE_UI_EVENTS_DETAILS_WORKFLOWS_VIEW"),
    (
        "PUT",
        r"(?i)/admin-ng/event/[^/]+/workflows/[^/]+/action/(stop|retry|none)",
        "ROLE_UI_EVENTS_DETAILS_WORKFLOWS_EDIT",
    ),
)
"""The rules of the admin interface. The server ignores case in all rules."""


@frozen
class Account:
    """A user: a name, a password, roles."""

    name: str
    password: str = field(repr=False)
    roles: frozenset[str] = frozenset({USER_ROLE})
    digest: bool = False
    """True if this account logs in by Digest only."""
    loadable: bool = True
    """True if the user directory can load this account. Only loadable accounts start workflows."""

    def has_role(self, role: str) -> bool:
        """Return True if the account has the role or is an administrator."""
        return role in self.roles or ADMIN in self.roles

    def has_access(self, roles: frozenset[str], creator: str = "") -> bool:
        """Return True if the account has one of the roles, is the creator or is an administrator."""
        return ADMIN in self.roles or creator == self.name or bool(roles & self.roles)


ACCOUNTS = (
    Account("admin", "opencast", frozenset({ADMIN, SUDO, USER_ROLE})),
    Account("viewer", "viewer", frozenset({USER_ROLE, API, VIEW})),
    Account("integration", "integration", frozenset({USER_ROLE, API, *(role for *_, role in _RULES)})),
    Account("operator", "operator", frozenset({USER_ROLE, API, *(role for *_, role in (*_RULES, *_UI_RULES))})),
    Account("opencast_system_account", "CHANGE_ME", frozenset({ADMIN, SUDO}), digest=True),
)


class RefusedError(Exception):
    """Authentication or authorization failed."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def role_for(method: str, path: str) -> str:
    """Return the role that a request needs."""
    rules = (*_RULES, *_UI_RULES)
    return next(
        (role for rule_method, pattern, role in rules if rule_method == method and re.fullmatch(pattern, path)), ADMIN
    )


@define(eq=False)
class Access:
    """The authentication and authorization of requests."""

    clock: TimeSource
    accounts: dict[str, Account]
    challenges_basic: bool = True
    """True if `X-Requested-Auth: Basic` gets a challenge instead of the login page."""
    jwt: str = "header.payload.signature"
    """The bearer token that is accepted, for the account of the administrator."""
    sessions: dict[str, float] = field(factory=dict)
    """The instant at which each JSESSIONID was issued. A client that keeps its cookie has one session."""
    _key: str = field(factory=lambda: hash_uuid("digest"), init=False)

    def authenticate(self, request: Request) -> Account:
        """Return the account of a request. Raise `RefusedError` without a valid login or the role."""
        account = self._login(request)
        if not account.has_role(role_for(request.method, request.url.path)):
            raise RefusedError(error_page(request, 403))
        return self._switch_user(request, account)

    def new_session(self, request: Request) -> str | None:
        """Return the id of a new session. None if the request belongs to a session."""
        if request.cookies.get("JSESSIONID") in self.sessions:
            return None
        session = f"node0{hash_uuid('session', len(self.sessions)).replace('-', '')}"
        self.sessions[session] = self.clock()
        return session

    def _login(self, request: Request) -> Account:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        token = request.query_params.get("jwt", "")
        if scheme == "Basic":
            return self._basic(request, credentials)
        if scheme == "Digest":
            return self._digest(request, credentials)
        if scheme == "Bearer" or token:
            return self._bearer(request, credentials or token)
        raise RefusedError(self._refuse_anonymous(request))

    def _refuse_anonymous(self, request: Request) -> Response:
        wanted = request.headers.get("x-requested-auth")
        if wanted == "Digest":
            return self._challenge(request)
        if wanted == "Basic" and self.challenges_basic:
            return _unauthorized(request, _BASIC)
        if request.headers.get("x-requested-with") == "XMLHttpRequest":
            return error_page(request, 419)
        return Response(status_code=302, headers={"location": "/login.html"})

    def _basic(self, request: Request, credentials: str) -> Account:
        try:
            name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            name = password = ""
        account = self.accounts.get(name)
        if account is None or account.digest or not hmac.compare_digest(account.password.encode(), password.encode()):
            raise RefusedError(_unauthorized(request, _BASIC))
        return account

    def _bearer(self, request: Request, token: str) -> Account:
        if token != self.jwt:
            raise RefusedError(_unauthorized(request, "Bearer"))
        return self.accounts[ACCOUNTS[0].name]

    def _digest(self, request: Request, credentials: str) -> Account:
        fields = {k: v.strip('"') for k, v in re.findall(r'(\w+)=("[^"]*"|[^\s,]+)', credentials)}
        account = self.accounts.get(fields.get("username", ""))
        if account is None or not account.digest or not self._is_valid_digest(request.method, fields, account):
            raise RefusedError(self._challenge(request))
        if float(_nonce_parts(fields["nonce"])[0]) < self.clock():
            raise RefusedError(self._challenge(request, stale=True))
        return account

    def _is_valid_digest(self, method: str, fields: dict[str, str], account: Account) -> bool:
        expiry, signature = _nonce_parts(fields.get("nonce", ""))
        user = _md5(f"{account.name}:{REALM}:{account.password}")
        call = _md5(f"{method}:{fields.get('uri')}")
        expected = _md5(f"{user}:{fields.get('nonce')}:{fields.get('nc')}:{fields.get('cnonce')}:auth:{call}")
        is_own_nonce = signature == _md5(f"{expiry}:{self._key}")
        return (
            is_own_nonce and fields.get("qop") == "auth" and hmac.compare_digest(expected, fields.get("response", ""))
        )

    def _challenge(self, request: Request, *, stale: bool = False) -> Response:
        expiry = str(int(self.clock()) + NONCE_SECONDS)
        nonce = base64.b64encode(f"{expiry}:{_md5(f'{expiry}:{self._key}')}".encode()).decode()
        extra = ', stale="true"' if stale else ""
        return _unauthorized(request, f'Digest realm="{REALM}", qop="auth", nonce="{nonce}"{extra}')

    def _switch_user(self, request: Request, account: Account) -> Account:
        name = _first_header(request, "x-run-as-user", "x-opencast-matterhorn-user")
        roles = _first_header(request, "x-run-with-roles", "x-opencast-matterhorn-roles")
        if name is None and roles is None:
            return account
        if not account.has_role(SUDO) or (name is not None and name not in self.accounts):
            raise RefusedError(error_page(request, 403))
        if name is not None:
            return self.accounts[name]
        return evolve(account, name="anonymous", roles=frozenset((roles or "").split(",")), loadable=False)


_BASIC = f'Basic realm="{REALM}"'


def _unauthorized(request: Request, challenge: str) -> Response:
    return error_page(request, 401, headers={"www-authenticate": challenge})


def _nonce_parts(nonce: str) -> tuple[str, str]:
    try:
        expiry, _, signature = base64.b64decode(nonce, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "0", ""
    return expiry, signature


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _first_header(request: Request, *names: str) -> str | None:
    return next((request.headers[name] for name in names if name in request.headers), None)
