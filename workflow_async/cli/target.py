"""Describes the server that a command talks to, and how to connect to it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from attrs import field, frozen

from workflow_async import TLS, Limits, Timeouts
from workflow_async.auth import Secret
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.replies import ReplyLog
from workflow_async.cli.shared_pace import SharedPace
from workflow_async.observe.messages import Middleware


@frozen(kw_only=True)
class Target:
    """The server options. What they leave out comes from a profile, or from the environment, or from a prompt."""

    system: str | None = None
    """A name in `systems.SYSTEMS`."""
    profile: str | None = None
    """The name of a profile. None if the environment supplies what the options leave out."""
    url: str | None = None
    username: str | None = None
    tenant: str | None = None
    password_file: Path | None = None
    token_file: Path | None = None
    credentials: Path | None = None
    digest: bool = False
    run_as: str | None = None
    run_with_roles: str | None = None
    """Names of roles, joined by commas."""
    allow_insecure_http: bool = False
    ca_file: Path | None = None
    client_cert: Path | None = None
    proxy: str | None = None
    request_timeout: float | None = None
    rate: float | None = None
    replies: ReplyLog = field(factory=ReplyLog, eq=False, repr=False)
    """What the responses of the server say about its clock."""
    pace: SharedPace = field(factory=SharedPace, eq=False, repr=False)
    """The budget of requests that the command shares with other processes."""
    asks: bool = True
    """False if nothing may be asked, because the shell waits for a completion."""
    command: str = ""
    """The name of the command. Some are for one system only."""
    secrets: Mapping[str, Secret] = field(factory=dict, repr=False)
    """Secrets that are in no file of an option, by name: "password", "token" and "two_factor"."""


class ConnectionOptions(TypedDict):
    """The keyword arguments of both clients that say how to connect."""

    allow_insecure_http: bool
    tls: TLS | None
    proxy: str | None
    timeouts: Timeouts
    limits: Limits
    middleware: Sequence[Middleware]
    pace: Callable[[], Awaitable[None]]


def connection_options(target: Target) -> ConnectionOptions:
    """Return how to connect to the target. Raise `UsageError` for a password in `--proxy`."""
    if target.proxy is not None and "@" in target.proxy:
        raise UsageError("--proxy would show its password to other users: set HTTPS_PROXY and give --proxy env")
    return {
        "allow_insecure_http": target.allow_insecure_http,
        "tls": tls_of(target),
        "proxy": target.proxy,
        "timeouts": timeouts(target.request_timeout),
        "limits": Limits(rate=target.rate),
        "middleware": (target.replies,),
        "pace": target.pace.acquire,
    }


def tls_of(target: Target) -> TLS | None:
    """Return the authorities and the certificate of the options. None without such an option."""
    has_files = target.ca_file is not None or target.client_cert is not None
    return TLS(ca_file=target.ca_file, client_cert=target.client_cert) if has_files else None


def timeouts(request_timeout: float | None) -> Timeouts:
    """Return the timeouts if no request may take longer than this, with its retries."""
    default = Timeouts()
    if request_timeout is None:
        return default
    return Timeouts(
        call=request_timeout,
        exchange=min(default.exchange, request_timeout),
        connect=min(default.connect, request_timeout),
    )
