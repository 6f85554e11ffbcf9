"""The client for one Opencast. Its services are imported when they are used."""

import re
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self, Unpack

from attrs import evolve

from workflow_async._core.auth import Credential, Headers, checked_header, to_secret
from workflow_async._core.client import Client, optional_secret
from workflow_async._http import HTTPBackend, make_backend
from workflow_async._http.options import HTTPOptions
from workflow_async.auth import Basic, Bearer, Digest, PasswordFunction, Secret
from workflow_async.errors import InvalidArgument
from workflow_async.settings import Clock, Limits, Pace, Retry, Timeouts

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from workflow_async._core.call import Call
    from workflow_async._core.origin import Origin
    from workflow_async._http.tls import TLS
    from workflow_async.observe import Middleware, OnEvent
    from workflow_async.opencast.definitions import Definitions
    from workflow_async.opencast.events import Events
    from workflow_async.opencast.server_records import Me, Organization, Version
    from workflow_async.opencast.workflows import Workflows
    from workflow_async.sync.opencast import SyncOpencastClient

PRESERVICA_REFUSAL = re.compile(r"\{\s*\"success\"\s*:\s*false")
"""How a refusal of Preservica begins. Opencast writes no such text."""


class ClientOptions(HTTPOptions, total=False):
    """The keyword arguments of `OpencastClient` besides the URL and the credentials."""

    run_as_user: str | None
    run_with_roles: tuple[str, ...]


class OpencastClient(Client):
    """A client for one Opencast, as one user: `async with OpencastClient(url, auth=("user", "secret")) as oc: ...`.

    Nothing is sent before the first call. One client serves any number of concurrent calls in one event loop.

    Args:
        url: the tenant's admin node, such as https://oc.example.org.
        auth: user name and password (HTTP Basic), or `Basic`, `Digest` or `Bearer`. A function or coroutine function in
            place of the password is called for the current password.
        run_as_user: act as this user. Needs ROLE_SUDO.
        run_with_roles: act with these roles. Without `run_as_user` that allows reading only. Needs ROLE_SUDO.
        retry, timeouts, limits, clock: see `workflow_async.settings`.
        http: the HTTP backend: "httpx", "httpx2" or "aiohttp" (all but the first are extras), or an `AsyncClient` of
            httpx or httpx2, or a `ClientSession` of aiohttp. The caller closes such a client or session.
        tls: the authorities to trust and the client certificate to present, see `TLS`. Default: certifi's authorities.
        ssl_context: a TLS context in place of `tls`. Must verify.
        proxy: the URL of an HTTP proxy, such as http://user:password@proxy.example.org:3128, or "env" for HTTPS_PROXY
            and NO_PROXY of the environment. Default: no proxy. An `AsyncClient` has its own.
        middleware: functions that run around each request, the first outermost. See `workflow_async.observe`.
        pace: a coroutine function without arguments that is awaited before each request, such as that of a rate limiter
            which several processes share. Every attempt, login and poll awaits it. See `workflow_async.settings.Pace`.
        on_event: a function that is called with each event. See `workflow_async.observe.ClientEvent`.
        allow_insecure_http: send credentials over http:// to another host than this one.

    Raises:
        InvalidArgument: an argument cannot be sent.

    Source: tests/contract/opencast.md, section 7.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: tuple[str, str | Secret | PasswordFunction] | Basic | Digest | Bearer,
        run_as_user: str | None = None,
        run_with_roles: tuple[str, ...] = (),
        retry: Retry = Retry(),
        timeouts: Timeouts = Timeouts(),
        limits: Limits = Limits(),
        clock: Clock = Clock(),
        http: HTTPBackend = "httpx",
        tls: "TLS | None" = None,
        ssl_context: "ssl.SSLContext | None" = None,
        proxy: str | Secret | None = None,
        middleware: "Sequence[Middleware]" = (),
        pace: Pace | None = None,
        on_event: "OnEvent | None" = None,
        allow_insecure_http: bool = False,
    ) -> None:
        from workflow_async._core.observer import Observer
        from workflow_async._core.origin import Origin
        from workflow_async._core.provenance import Control
        from workflow_async._core.transport import Transport
        from workflow_async.opencast.permissions import permission_of

        auth = _with_secret(auth)  # no local variable holds a password as a text any more
        proxy = optional_secret(proxy)
        origin = _origin(Origin.parse(url, allow_insecure_http=allow_insecure_http))
        run_as = _run_as_headers(run_as_user, run_with_roles)
        self._transport = Transport(
            origin=origin,
            backend=make_backend(http, limits, timeouts, ssl_context, tls=tls, proxy=proxy, server=origin.base),
            credential=_credential(auth),
            extra_headers=run_as,
            retry=retry,
            timeouts=timeouts,
            limits=limits,
            clock=clock,
            control=Control("Opencast External API", _control_call, "Preservica", PRESERVICA_REFUSAL),
            observer=Observer(on_event),
            middleware=middleware,
            pace=pace,
            permissions=partial(permission_of, switches_user=bool(run_as)),
        )

    @property
    def workflows(self) -> "Workflows":
        """The service for workflows."""
        return self._workflows

    @cached_property
    def _workflows(self) -> "Workflows":
        from workflow_async.monitor._engine.poller import Poller
        from workflow_async.opencast.monitor_source import OpencastSource
        from workflow_async.opencast.workflows import Workflows

        transport = self._transport
        poller = Poller(OpencastSource(transport), transport.clock, transport.binding.check, transport.observer)
        self._polling = poller
        return Workflows(poller, transport)

    @property
    def definitions(self) -> "Definitions":
        """The service for workflow definitions."""
        return self._definitions

    @cached_property
    def _definitions(self) -> "Definitions":
        from workflow_async.opencast.definitions import Definitions

        return Definitions(self._transport)

    @property
    def events(self) -> "Events":
        """The service for events."""
        return self._events

    @cached_property
    def _events(self) -> "Events":
        from workflow_async.opencast.events import Events

        return Events(self._transport)

    @classmethod
    def from_env(
        cls,
        *,
        url: str | None = None,
        username: str | None = None,
        password: str | Secret | None = None,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """Return a client with HTTP Basic credentials from arguments and the environment.

        Each value comes from its argument, else from its variable: OPENCAST_URL, OPENCAST_USERNAME, OPENCAST_PASSWORD.
        An empty variable counts as unset. For another kind of credentials use the constructor with `auth`.

        Raises:
            InvalidArgument: a value is missing or cannot be sent. The message names the variable of a missing value.
        """
        from workflow_async.opencast.credential_sources import find_credentials

        password = optional_secret(password)
        found = find_credentials(url, username, password)
        return cls(found.url, auth=(found.username, found.password), **options)

    @classmethod
    def sync(
        cls,
        url: str,
        *,
        auth: tuple[str, str | Secret | PasswordFunction] | Basic | Digest | Bearer,
        **options: Unpack[ClientOptions],
    ) -> "SyncOpencastClient":
        """Return a client whose calls block the calling thread. For code that runs without an event loop.

        `with OpencastClient.sync(url, auth=…) as oc: oc.workflows.get(1603)`. The arguments are those of the
        constructor. The client opens itself with its first call. Any number of threads may share it. A process that is
        forked afterwards opens connections of its own.

        Raises:
            InvalidArgument: an argument cannot be sent.
        """
        from workflow_async.sync.opencast import SyncOpencastClient

        auth = _with_secret(auth)  # see `Secret`
        if "proxy" in options:
            options["proxy"] = optional_secret(options["proxy"])
        return SyncOpencastClient(partial(cls, url, auth=auth, **options))

    async def version(self) -> "Version":
        """Get the versions of the External API that the server supports. Needs ROLE_API. Source: GET /api/version."""
        from workflow_async.opencast.server_calls import get_version

        return await self._transport.send(get_version())

    async def me(self, *, with_roles: bool = False) -> "Me":
        """Get the user that the server has authenticated.

        Args:
            with_roles: fill `roles`. It costs a second request. A `Forbidden` names the role that a call needs.

        Source: GET /api/info/me and /api/info/me/roles. Needs ROLE_API. See tests/contract/opencast.md, section 7.
        """
        from workflow_async.opencast.server_calls import get_me, get_roles

        me = await self._transport.send(get_me())
        return evolve(me, roles=await self._transport.send(get_roles())) if with_roles else me

    async def organization(self) -> "Organization":
        """Get the organization (tenant) that the client works in.

        The server chooses it by the host name of the URL, so each tenant needs a client of its own.

        Source: GET /api/info/organization. Needs ROLE_API. See tests/contract/opencast.md, section 7.3.
        """
        from workflow_async.opencast.server_calls import get_organization

        return await self._transport.send(get_organization())


def _control_call() -> "Call[Version]":
    from workflow_async.opencast.server_calls import get_version

    return get_version()


def _origin(origin: "Origin") -> "Origin":
    """Return the origin. Raise `InvalidArgument` for the URL of the API, since the URL of the server is needed."""
    if origin.base.endswith("/api"):
        raise InvalidArgument("url", "must be the server's base URL, without the /api that the client adds itself")
    return origin


def _with_secret(auth: tuple[str, str | Secret | PasswordFunction] | Basic | Digest | Bearer) -> Any:
    if not isinstance(auth, tuple):
        return auth
    return (*auth[:1], *(value if callable(value) else to_secret(value) for value in auth[1:]))


def _is_password(value: object) -> bool:
    return isinstance(value, Secret) or callable(value)


def _credential(auth: Any) -> Credential:
    match auth:
        case Basic() | Digest() | Bearer():
            return auth
        case (str(username), password) if _is_password(password):
            return Basic(username, password)
        case _:
            raise InvalidArgument("auth", 'must be ("user", "password"), Basic, Digest or Bearer')


def _run_as_headers(user: str | None, roles: tuple[str, ...]) -> Headers:
    """Return the headers that switch user and roles. See tests/contract/opencast.md, section 7.3."""
    headers: list[tuple[str, str]] = []
    if user is not None:
        headers.append(("x-run-as-user", checked_header("run_as_user", user)))
    if not isinstance(roles, tuple | list):
        raise InvalidArgument("run_with_roles", "must be a tuple of role names")
    if roles:
        if any("," in checked_header("run_with_roles", role) for role in roles):
            raise InvalidArgument("run_with_roles", "must be role names without commas")
        headers.append(("x-run-with-roles", ",".join(roles)))
    return tuple(headers)
