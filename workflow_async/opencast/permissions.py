"""The roles that the calls of an Opencast need by its default security rules. Pure.

See tests/contract/opencast.md, sections 2.5, 7.2 and 7.3, and etc/security/mh_default_org.xml of Opencast.
"""

import re

from workflow_async._core.call import Call, Reply
from workflow_async._core.permission import Permission

ADMIN = "ROLE_ADMIN"
"""The role for every path without a rule, such as `/workflow/count`. It replaces every other role."""

ID = "[^/]+"
JSON = "application/json"
ROLES: tuple[tuple[str, str, str], ...] = (
    ("GET", f"/api(/version(/{ID})?|/info/{ID}|/info/me/{ID})?", "ROLE_API"),
    ("GET", f"/api/workflows(/{ID})?", "ROLE_API_WORKFLOW_INSTANCE_VIEW"),
    ("POST", "/api/workflows", "ROLE_API_WORKFLOW_INSTANCE_CREATE"),
    ("PUT", f"/api/workflows/{ID}", "ROLE_API_WORKFLOW_INSTANCE_EDIT"),
    ("DELETE", f"/api/workflows/{ID}", "ROLE_API_WORKFLOW_INSTANCE_DELETE"),
    ("GET", f"/api/workflow-definitions(/{ID})?", "ROLE_API_WORKFLOW_DEFINITION_VIEW"),
    ("GET", f"/api/events(/{ID})?", "ROLE_API_EVENTS_VIEW"),
    ("GET", f"/admin-ng/event/{ID}/workflows(.json|/.+)", "ROLE_UI_EVENTS_DETAILS_WORKFLOWS_VIEW"),
    ("PUT", f"/admin-ng/event/{ID}/workflows(/.+)?", "ROLE_UI_EVENTS_DETAILS_WORKFLOWS_EDIT"),
    ("DELETE", f"/admin-ng/event/{ID}/workflows/{ID}", "ROLE_UI_EVENTS_DETAILS_WORKFLOWS_DELETE"),
)
"""The role of each call: method, pattern of the path, role."""

READ = "read access to the event by its access list, unless the user has started the workflow"
WRITE = "write access to the event by its access list, unless the user has started the workflow"
SUDO = "ROLE_SUDO for run_as_user and run_with_roles"


def role_of(method: str, path: str) -> str:
    """Return the role that a call needs."""
    rules = (role for verb, pattern, role in ROLES if verb == method and re.fullmatch(pattern, path))
    return next(rules, ADMIN)


def permission_of(call: Call[object], reply: Reply, *, switches_user: bool) -> Permission:
    """Return the permission that a refused call needs.

    An endpoint refuses with an empty body, after the user's role has been accepted. The security rules refuse with an
    error page, unless the call accepts neither JSON nor HTML.

    Args:
        call: the call.
        reply: the response with the status 403.
        switches_user: True if the client acts as another user or with other roles.
    """
    if not reply.text and call.accept == JSON:
        return Permission(access=WRITE if call.method == "DELETE" else READ)
    return Permission(role_of(call.method, call.path), SUDO if switches_user else "")
