"""The checks of an Opencast."""

from collections.abc import Sequence

from workflow_async import OpencastClient
from workflow_async.cli.systems.checks import Check


def opencast_checks(client: OpencastClient) -> Sequence[Check]:
    """Return the checks of a server: its version, the user, the organization, and how workflows are listed."""

    async def server() -> str:
        return f"{client.url} has External API {(await client.version()).default}"

    async def user() -> str:
        me = await client.me(with_roles=True)
        return f"{me.username}, {me.name}".rstrip(", ")

    async def roles() -> str:
        me = await client.me(with_roles=True)
        return ", ".join(sorted(me.roles or ())) or "none"

    async def organization() -> str:
        found = await client.organization()
        return f"{found.id}, {found.name}".rstrip(", ")

    async def listing() -> str:
        if (await client.version()).lists_workflows:
            return "the server has a list of workflows"
        admin = (await client.organization()).admin_role
        roles = (await client.me(with_roles=True)).roles or ()
        needed = {"ROLE_ADMIN", admin} & {*roles}
        able = "which this user can read" if needed else "which needs ROLE_ADMIN, and this user has not"
        return f"no list of workflows: they are found by their events, {able}"

    return (
        Check("server", server),
        Check("user", user),
        Check("roles", roles),
        Check("organization", organization),
        Check("list", listing),
    )
