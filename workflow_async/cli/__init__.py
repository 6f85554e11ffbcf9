"""The command line `workflow-async`. It needs the extra `[cli]`."""

from workflow_async.cli.app import main

__all__ = ["main"]
