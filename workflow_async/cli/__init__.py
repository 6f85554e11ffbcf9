"""The command line: `workflow-async`; needs the extra `[cli]`."""

from workflow_async.cli.app import main

__all__ = ["main"]
