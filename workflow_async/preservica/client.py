"""The client for one Preservica. Its services are imported when they are used."""

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self, Unpack

from workflow_async._core.auth import Secret, to_secret
from workflow_async._core.client import Client, optional_secret
from workflow_async._core.token_auth import TokenAuth
from workflow_async._http import HTTPBackend, make_backend
from workflow_async._http.options import HTTPOptions
from workflow_async.errors import InvalidArgument
from workflow_async.settings import Clock, Limits, Pace, Retry, Timeouts

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from workflow_async._core.call import Call
    from workflow_async._core.origin import Origin
    from workflow_async._http.tls import TLS
    from workflow_async.auth import PasswordFunction
    from workflow_async.observe import Middleware, OnEvent
    from workflow_async.preservica.contexts import Contexts
    from workflow_async.preservica.monitors import Monitors
    from workflow_async.preservica.processes import Processes
    from workflow_async.preservica.token_store import TokenStore
    from workflow_async.preservica.workflows import Workflows
    from workflow_async.sync.preservica import SyncPreservicaClient


class ClientOptions(HTTPOptions, total=False):
    """The keyword arguments of `PreservicaClient` besides the server and the credentials."""

    shared_secret: bool
    token_store: "TokenStore | None"


class PreservicaClient(Client):
    """A client for one Preservica, as one user: `async with PreservicaClient(host, username=…, password=…) as pv: ...`.

    Nothing is sent before the first call, which logs in. One login serves all calls until its token expires. One client
    serves any number of concurrent calls in one event loop. The workflow services need the Enterprise edition.

    Args:
        server: a host, such as eu.preservica.com, or a URL. It has the name that pyPreservica and its credentials files
            use. Opencast's `url` must be a URL.
        username: the user. There is no `auth` as for Opencast, because every login gets a token.
        password: the password, or with `shared_secret` the secret. A function or coroutine function is called for the
            current password at each login. A new password clears the refusal of the old one.
        tenant: the tenant. The server decides if None.
        two_factor: the seed of the user's authenticator (base32), if the account has two-factor authentication.
        shared_secret: log in with a hash of a shared secret. Deprecated by the vendor since 7.6, with removal planned.
        token_store: where to keep tokens between processes, such as `FileTokenStore(path)`.
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

    Source: tests/contract/preservica.md, sections 1, 2 and 4.
    """

    def __init__(
        self,
        server: str,
        *,
        username: str,
        password: "str | Secret | PasswordFunction",
        tenant: str | None = None,
        two_factor: str | Secret | None = None,
        shared_secret: bool = False,
        token_store: "TokenStore | None" = None,
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
        from workflow_async._core.provenance import Control
        from workflow_async._core.transport import Transport
        from workflow_async.preservica.login import TokenService
        from workflow_async.preservica.login_calls import Account
        from workflow_async.preservica.permissions import permission_of

        password = password if callable(password) else to_secret(password)  # no local variable holds the text
        two_factor, proxy = optional_secret(two_factor), optional_secret(proxy)
        origin = _origin(server, allow_insecure_http=allow_insecure_http)
        login = TokenService(Account(username, password, tenant, two_factor, shared_secret), token_store)
        self._transport = login.transport = Transport(
            origin=origin,
            backend=make_backend(http, limits, timeouts, ssl_context, tls=tls, proxy=proxy, server=origin.base),
            credential=TokenAuth(login.log_in, login.refresh, clock),
            retry=retry,
            timeouts=timeouts,
            limits=limits,
            clock=clock,
            control=Control("Preservica", _control_call),
            observer=Observer(on_event),
            middleware=middleware,
            pace=pace,
            permissions=permission_of,
        )

    @property
    def contexts(self) -> "Contexts":
        """The service for workflow contexts."""
        return self._contexts

    @cached_property
    def _contexts(self) -> "Contexts":
        from workflow_async.preservica.contexts import Contexts

        return Contexts(self._transport)

    @property
    def workflows(self) -> "Workflows":
        """The service for workflows."""
        return self._workflows

    @cached_property
    def _workflows(self) -> "Workflows":
        from workflow_async.monitor._engine.poller import Poller
        from workflow_async.preservica.monitor_source import PreservicaSource
        from workflow_async.preservica.workflows import Workflows

        transport = self._transport
        poller = Poller(PreservicaSource(transport), transport.clock, transport.binding.check, transport.observer)
        self._polling = poller
        return Workflows(poller, transport)

    @property
    def processes(self) -> "Processes":
        """The service for processes."""
        return self._processes

    @cached_property
    def _processes(self) -> "Processes":
        from workflow_async.preservica.processes import Processes

        return Processes(self._transport)

    @property
    def monitors(self) -> "Monitors":
        """The service for monitors."""
        return self._monitors

    @cached_property
    def _monitors(self) -> "Monitors":
        from workflow_async.preservica.monitors import Monitors

        return Monitors(self._transport)

    @classmethod
    def from_env(
        cls,
        *,
        username: str | None = None,
        password: str | Secret | None = None,
        tenant: str | None = None,
        server: str | None = None,
        two_factor: str | Secret | None = None,
        credentials_path: str | os.PathLike[str] = "credentials.properties",
        **options: Unpack[ClientOptions],
    ) -> Self:
        """Return a client with credentials from arguments, the environment or a file.

        Each field comes from the first of these sources that has it. The variables are PRESERVICA_USERNAME,
        PRESERVICA_PASSWORD, PRESERVICA_TENANT, PRESERVICA_SERVER and PRESERVICA_2FA_TOKEN. An empty variable counts as
        unset. The file is INI in UTF-8, readable by its owner only. Its section `[credentials]` holds username,
        password, tenant, server and twoFactorToken. pyPreservica reads the same file. Opencast has no such file.

        Raises:
            InvalidArgument: a required field is missing everywhere, or the file is not private or not such a file.

        Source: tests/contract/preservica.md, section 4.8.
        """
        from workflow_async.preservica.credential_sources import find_credentials

        password, two_factor = optional_secret(password), optional_secret(two_factor)
        given = {
            "username": username,
            "password": password,
            "tenant": tenant,
            "server": server,
            "two_factor": two_factor,
        }
        credentials = find_credentials({name: optional_secret(text) for name, text in given.items()}, credentials_path)
        return cls(
            credentials.server,
            username=credentials.username,
            password=credentials.password,
            tenant=credentials.tenant,
            two_factor=credentials.two_factor,
            **options,
        )

    @classmethod
    def sync(
        cls,
        server: str,
        *,
        username: str,
        password: "str | Secret | PasswordFunction",
        tenant: str | None = None,
        two_factor: str | Secret | None = None,
        **options: Unpack[ClientOptions],
    ) -> "SyncPreservicaClient":
        """Return a client whose calls block the calling thread. For code that runs without an event loop.

        `with PreservicaClient.sync(host, username=…, password=…) as pv: pv.workflows.get(51234)`. The arguments are
        those of the constructor. The client opens itself with its first call. Any number of threads may share it. A
        process that is forked afterwards opens connections of its own.

        Raises:
            InvalidArgument: an argument cannot be sent.
        """
        from workflow_async.sync.preservica import SyncPreservicaClient

        password = password if callable(password) else to_secret(password)  # see `Secret`
        two_factor = optional_secret(two_factor)
        if "proxy" in options:
            options["proxy"] = optional_secret(options["proxy"])
        make: partial[PreservicaClient] = partial(
            cls, server, username=username, password=password, tenant=tenant, two_factor=two_factor, **options
        )
        return SyncPreservicaClient(make)


def _control_call() -> "Call[None]":
    from workflow_async.preservica.calls import get_version

    return get_version()


def _origin(server: str, *, allow_insecure_http: bool) -> "Origin":
    """Return the origin of a host or a URL."""
    from workflow_async._core.origin import Origin

    url = server if not isinstance(server, str) or "://" in server else f"https://{server}"
    try:
        return Origin.parse(url, allow_insecure_http=allow_insecure_http)
    except InvalidArgument as error:
        why = error.why
    raise InvalidArgument("server", why)
