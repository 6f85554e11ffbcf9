"""Names the permission that a refused call needs. Pure."""

from collections.abc import Callable

from attrs import frozen

from workflow_async._core.call import Call, Reply
from workflow_async.errors import CallError, Forbidden


@frozen
class Permission:
    """What a user needs for a call."""

    role: str = ""
    """The server's role, such as `ROLE_ADMIN`. "" if it is not known or not what is missing."""
    access: str = ""
    """What else the user needs, in words. "" if that is all."""


Permissions = Callable[[Call[object], Reply], Permission]
"""A function that returns the permission for a call that was refused with 403."""


def no_permission(_call: Call[object], _reply: Reply) -> Permission:
    """Return an empty permission. For calls whose system is not known."""
    return Permission()


def with_permission(error: CallError, call: Call[object], reply: Reply, permissions: Permissions) -> CallError:
    """Return the error. Add to a `Forbidden` which permission the call needs."""
    if isinstance(error, Forbidden):
        permission = permissions(call, reply)
        error.role, error.access = permission.role, permission.access
    return error
