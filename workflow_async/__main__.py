"""Runs the command line: `python -m workflow_async`, or the `workflow-async` command."""

import sys


def main() -> None:
    """Run the command line, or explain how to install it."""
    try:
        from workflow_async.cli import main as run

        run()
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich", "yaml"}:
            raise
        sys.exit("The command line needs its extras: pip install 'workflow-async[cli,sandbox]'")


if __name__ == "__main__":
    main()
