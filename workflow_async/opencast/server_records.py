"""The records of the server itself: its versions, the user and the organization."""

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from workflow_async._records.record import Record

LAST_API_WITH_LIST = (1, 7, 0)
"""The last version of the External API that lists workflows. It came with Opencast 11.

This is the only version number that the library compares with. All other differences between releases show in the
responses. See tests/contract/opencast.md, section 0.
"""


@frozen(kw_only=True)
class Version(Record):
    """The versions of the External API that a server supports, such as `v1.11.0`."""

    default: str
    versions: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)

    @property
    def number(self) -> tuple[int, ...]:
        """The default version as numbers, such as (1, 11, 0)."""
        return tuple(int(part) for part in self.default.removeprefix("v").split(".") if part.isdigit())

    @property
    def lists_workflows(self) -> bool:
        """True if workflows can be listed. See `LAST_API_WITH_LIST`."""
        return self.number <= LAST_API_WITH_LIST


@frozen(kw_only=True)
class Me(Record):
    """The user that the server has authenticated."""

    username: str
    name: str = ""
    email: str = ""
    provider: str = ""
    userrole: str = ""
    roles: tuple[str, ...] | None = None
    """The names of all roles. None unless requested."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)


@frozen(kw_only=True)
class Organization(Record):
    """The organization (tenant) that the server has chosen by the host name of the request."""

    id: str
    name: str = ""
    admin_role: str = ""
    """The role of its administrators."""
    anonymous_role: str = ""
    """The role of users without a login."""
    extra: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)
