"""Creates and checks the client of a Preservica."""

from collections.abc import Sequence

from workflow_async.auth import Secret
from workflow_async.cli.exit_codes import UsageError
from workflow_async.cli.secret_sources import ask, secret_of
from workflow_async.cli.systems.checks import Check
from workflow_async.cli.target import Target, connection_options
from workflow_async.errors import InvalidArgument
from workflow_async.preservica import PreservicaClient

OPENCAST_OPTIONS = ("digest", "run_as", "run_with_roles", "token_file")
"""Server options that Preservica does not have."""


def preservica_client(target: Target) -> PreservicaClient:
    """Create the client from options, environment, file and prompt. Raise `UsageError` for an option of Opencast."""
    for option in OPENCAST_OPTIONS:
        if getattr(target, option):
            raise UsageError(f"--{option.replace('_', '-')} is an option for Opencast: remove it")
    if "token" in target.secrets:
        raise UsageError("a token is for Opencast: Preservica takes a user name and a password")
    password = secret_of(target, "password")
    try:
        return _client(target, password)
    except InvalidArgument as error:
        answer = ask(target, "Password", hidden=True) if error.argument == "password" else None
        if not answer:
            raise
    return _client(target, Secret(answer))


def preservica_checks(client: PreservicaClient) -> Sequence[Check]:
    """Return the checks of a server: the login, and the list of workflows."""

    async def server() -> str:
        await client.contexts.list(limit=1).first()
        return f"{client.url} has accepted the login"

    async def listing() -> str:
        return f"{await client.workflows.count()} workflows"

    return (Check("server", server), Check("list", listing))


def _client(target: Target, password: Secret | None) -> PreservicaClient:
    """Return the client. What the target leaves out comes from a file, unless the target is a profile.

    Raises:
        InvalidArgument: something is missing.
    """
    if target.profile is None:
        return PreservicaClient.from_env(
            server=target.url,
            username=target.username,
            password=password,
            tenant=target.tenant,
            credentials_path=target.credentials or "credentials.properties",
            **connection_options(target),
        )
    for argument, value in (("url", target.url), ("username", target.username), ("password", password)):
        if not value:
            raise InvalidArgument(argument, f"is missing in the profile {target.profile!r}")
    return PreservicaClient(
        target.url or "",
        username=target.username or "",
        password=password or "",
        tenant=target.tenant,
        two_factor=secret_of(target, "two_factor"),
        **connection_options(target),
    )
