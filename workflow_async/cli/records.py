"""Converts records to the lines of `--json`."""

from workflow_async._records.tree import Tree, tree as record_tree
from workflow_async.monitor import Change
from workflow_async.phase import Workflow


def tree(value: object) -> Tree:
    """Return a value for JSON. A record is its `to_dict()`, except that a change is one short line.

    A row of a list also has its `source`, which `to_dict()` leaves out.
    """
    if isinstance(value, Change):
        return _change(value)
    found, source = record_tree(value), getattr(value, "source", None)
    if source is None or not isinstance(found, dict):
        return found
    return {**found, "source": record_tree(source)}


def _change(change: Change[Workflow]) -> dict[str, Tree]:
    """Return a change with the state and the step of its workflow instead of the whole record."""
    workflow = change.workflow
    words = {"state": workflow.state_text, "step": workflow.step}
    return {"id": workflow.id, "was": record_tree(change.was), "now": record_tree(change.now), **words}
