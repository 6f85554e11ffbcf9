"""The style of each word for the state of a workflow, of an operation, or of a process. Pure."""

from workflow_async.phase import Phase, Workflow

STYLES = {
    Phase.WAITING: "dim",
    Phase.RUNNING: "cyan",
    Phase.PARKED: "bold magenta",
    Phase.SUCCEEDED: "green",
    Phase.PARTIAL: "yellow",
    Phase.FAILED: "bold red",
    Phase.STOPPED: "yellow",
    Phase.UNKNOWN: "bold yellow",
}
"""The style of each phase, by the names of rich."""
SYNONYMS = {
    "instantiated": Phase.WAITING,
    "pending": Phase.WAITING,
    "skipped": Phase.WAITING,
    "unseen": Phase.WAITING,
    "paused": Phase.PARKED,
    "suspended": Phase.PARKED,
    "recoverable": Phase.PARKED,
    "retry": Phase.PARTIAL,
    "timed out": Phase.PARTIAL,
    "conflict": Phase.PARTIAL,
    "failing": Phase.FAILED,
    "refused": Phase.FAILED,
    "not started": Phase.FAILED,
    "unobserved": Phase.UNKNOWN,
    "vanished": Phase.UNKNOWN,
    "replaced": Phase.UNKNOWN,
}
"""The phase that has the colour of a word that is no phase."""
PHASES = {phase.value: phase for phase in Phase} | SYNONYMS


def word_style(word: str) -> str:
    """Return the style of a word for a state or an outcome. "" for a word that is not known."""
    phase = PHASES.get(word.lower())
    return STYLES[phase] if phase is not None else ""


def workflow_style(workflow: Workflow) -> str:
    """Return the style of the phase of a workflow."""
    return STYLES[workflow.phase]
