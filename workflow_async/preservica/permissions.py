"""What the calls of a Preservica need, as far as it is known. Pure.

Preservica documents no roles of these services. See tests/contract/preservica.md, sections 1, 1.9 and 8.
"""

from workflow_async._core.call import Call, Reply
from workflow_async._core.permission import Permission

WORKFLOWS = "/sdb/rest/workflow"
NEEDS = {
    WORKFLOWS: "the Enterprise edition and a role for workflows, which Preservica does not document",
    "/api/process": "a role for ingest processes, which Preservica does not document",
    "/api/processmonitor": "a role for process monitors, which Preservica does not document",
}
"""What the calls of each service need, by the first parts of their paths."""


def permission_of(call: Call[object], _: Reply) -> Permission:
    """Return what a refused call needs. It is empty for a call of another service."""
    services = (service for service in NEEDS if call.path.startswith(f"{service}/"))
    return Permission(access=NEEDS.get(next(services, ""), ""))
