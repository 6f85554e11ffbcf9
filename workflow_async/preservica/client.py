"""The client of one Preservica; what it is made of is imported when one is made."""

import os
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from workflow_async._core.auth import Secret, TokenAuth, to_secret
from workflow_async._core.client import Client, optional_secret
from workflow_async._http import HTTPBackend, make_backend
from workflow_async.errors import InvalidArgument
from workflow_async.settings import Clock, Limits, Retry, Timeouts

if TYPE_CHECKING:
    import ssl

    from workflow_async._core.origin import Origin
    from workflow_async.preservica.login_calls import Password
    from workflow_async.preservica.token_store import TokenStore


class ClientOptions(TypedDict, total=False):
    """What a client can be told besides who it is; see `PreservicaClient`."""

    shared_secret: bool
    token_store: "TokenStore | None"
    retry: Retry
    timeouts: Timeouts
    limits: Limits
    clock: Clock
    http: HTTPBackend
    ssl_context: "ssl.SSLContext | None"
    allow_insecure_http: bool


class PreservicaClient(Client):
    """One Preservica, as one user: `async with PreservicaClient(host, username=…, password=…) as pv: ...`.

    Nothing is sent before the first call, which logs in; one login serves all calls for as long as its token lives. One
    client serves any number of concurrent calls of one event loop. The workflow services need the Enterprise edition.

    Args:
        server: a host, such as eu.preservica.com, or a URL.
        username: the user.
        password: the password, or with `shared_secret` the secret. A function or coroutine function is asked for the
            current one at each login: a new password clears the refusal of the old one.
        tenant: the tenant; None leaves it to the server.
        two_factor: the seed of the user's authenticator (base32), where the account has two-factor authentication.
        shared_secret: log in with a hash of a shared secret; deprecated by the vendor since 7.6, with removal planned.
        token_store: where to keep tokens between processes, such as `FileTokenStore(path)`.
        retry, timeouts, limits, clock: see `workflow_async.settings`.
        http: what carries the bytes: "httpx", "httpx2" or "aiohttp" (each an extra but the first), or a ready
            `AsyncClient` of httpx or httpx2, which stays yours to close (see `workflow_async._http`).
        ssl_context: whom to trust; must verify. Default: certifi's authorities. A ready client has its own.
        allow_insecure_http: send credentials over http:// to another host than this one.

    Raises:
        InvalidArgument: for arguments that cannot be sent.

    Source: contract: preservica.md 1, 2, 4.
    """

    def __init__(
        self,
        server: str,
        *,
        username: str,
        password: "str | Secret | Password",
        tenant: str | None = None,
        two_factor: str | Secret | None = None,
        shared_secret: bool = False,
        token_store: "TokenStore | None" = None,
        retry: Retry = Retry(),
        timeouts: Timeouts = Timeouts(),
        limits: Limits = Limits(),
        clock: Clock = Clock(),
        http: HTTPBackend = "httpx",
        ssl_context: "ssl.SSLContext | None" = None,
        allow_insecure_http: bool = False,
    ) -> None:
        from workflow_async._core.provenance import Control
        from workflow_async._core.transport import Transport
        from workflow_async.monitor import Poller
        from workflow_async.preservica.calls import get_version
        from workflow_async.preservica.contexts import Contexts
        from workflow_async.preservica.login import TokenService
        from workflow_async.preservica.login_calls import Account
        from workflow_async.preservica.monitor_source import PreservicaSource
        from workflow_async.preservica.monitors import Monitors
        from workflow_async.preservica.processes import Processes
        from workflow_async.preservica.workflows import Workflows

        password = password if callable(password) else to_secret(password)  # from here on no frame has it as a text
        two_factor = optional_secret(two_factor)  # likewise
        login = TokenService(Account(username, password, tenant, two_factor, shared_secret), token_store)
        self._transport = login.transport = Transport(
            origin=_origin(server, allow_insecure_http=allow_insecure_http),
            backend=make_backend(http, limits, timeouts, ssl_context),
            credential=TokenAuth(login.log_in, login.refresh, clock),
            retry=retry,
            timeouts=timeouts,
            limits=limits,
            clock=clock,
            control=Control("Preservica", get_version()),
        )
        self.contexts = Contexts(self._transport)
        poller = Poller(PreservicaSource(self._transport), clock, self._transport.binding.check)
        self._polling = poller
        self.workflows = Workflows(poller, self._transport)
        self.processes = Processes(self._transport)
        self.monitors = Monitors(self._transport)

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
        """A client with credentials from arguments, the environment or a file; each field from the first that has it.

        The variables are PRESERVICA_USERNAME, PRESERVICA_PASSWORD, PRESERVICA_TENANT, PRESERVICA_SERVER and
        PRESERVICA_2FA_TOKEN; an empty one counts as unset. The file is INI in UTF-8, with a section `[credentials]` of
        username, password, tenant, server and twoFactorToken, and readable by its owner only.

        Raises:
            InvalidArgument: a required field is nowhere, or the file is not private or no such file.

        Source: contract: preservica.md 4.8.
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


def _origin(server: str, *, allow_insecure_http: bool) -> "Origin":
    """The origin of a host or a URL."""
    from workflow_async._core.origin import Origin

    url = server if not isinstance(server, str) or "://" in server else f"https://{server}"
    try:
        return Origin.parse(url, allow_insecure_http=allow_insecure_http)
    except InvalidArgument as error:
        why = error.why
    raise InvalidArgument("server", why)
