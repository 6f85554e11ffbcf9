"""Blocks connections to other hosts while `WORKFLOW_ASYNC_NO_NETWORK` is set, so that no test starts a workflow."""

import os

from workflow_async._core.origin import Origin

NO_NETWORK = "WORKFLOW_ASYNC_NO_NETWORK"
NETWORK_BLOCKED = (
    f"{NO_NETWORK} forbids connections to other hosts than this one: use a sandbox, or unset it"
    " (in pytest: mark the test with workflow_network)"
)


def is_network_blocked(origin: Origin) -> bool:
    """Return True if the variable is set, to anything but 0, and the origin is another host."""
    return os.environ.get(NO_NETWORK, "0") not in {"", "0"} and not origin.local
