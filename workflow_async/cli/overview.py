"""The groups of the commands in the help, and an example of each. A test runs the examples."""

from collections.abc import Mapping, Sequence

GROUPS: Mapping[str, Sequence[str]] = {
    "See workflows": ("list", "show", "watch", "events", "count", "definitions", "contexts"),
    "Start and stop workflows": ("start", "run", "report", "stop", "pause", "resume", "answer", "retry", "delete"),
    "Ingest processes of Preservica": ("processes", "activate", "deactivate", "monitors"),
    "Watch with several processes": ("worker", "shards"),
    "Check the connection": ("check", "profiles"),
    "Try it without a server": ("demo", "sandbox"),
}
"""The commands in the order of the help."""
OTHER = "Other commands"
"""The group of a command that `GROUPS` does not name."""
EXAMPLES: Mapping[str, str] = {
    "list": "list --state failed --limit 20 --columns id,title,definition",
    "show": "show 1003 --follow",
    "watch": "watch 1003 1004 --timeout 600",
    "definitions": "definitions --tag archive -o ids",
    "contexts": "contexts --system preservica --type Ingest",
    "start": "start f41e4417-6d6c-4d8c-a5a1-0e4d1b0f2a77 fast -p publishLive=false --wait",
    "run": "run batch.csv --max-running 4 --journal batch.sqlite",
    "report": "report batch.sqlite --csv",
    "stop": "stop 1003 --yes",
    "processes": "processes --system preservica --type OPEX",
    "activate": "activate --system preservica 9f2c4d1e-7a35-4b0c-8d61-2f0e5b7a9c13",
    "deactivate": "deactivate --system preservica 9f2c4d1e-7a35-4b0c-8d61-2f0e5b7a9c13",
    "monitors": "monitors --system preservica --status Running --since 2h",
    "events": "events --limit 20 --columns id,title",
    "count": "count --system preservica --state Completed",
    "pause": "pause 1003",
    "resume": "resume 1003",
    "answer": "answer retry 1003",
    "retry": "retry --system preservica 51234",
    "delete": "delete 1003 --yes",
    "worker": "worker --nats nats://127.0.0.1:4222 --pace 50",
    "shards": "shards --nats nats://127.0.0.1:4222 --add nightly 1003 1004 --split 2",
    "check": "check",
    "profiles": "profiles",
    "demo": "demo --workflows 40",
    "sandbox": "sandbox --opencast-version 11 --speed 10",
}


def group_of(name: str) -> str:
    """Return the heading of a command in the help."""
    return next((group for group, names in GROUPS.items() if name in names), OTHER)


def position_of(name: str) -> int:
    """Return the place of a command in the help. Commands without a group are last."""
    names = [name for names in GROUPS.values() for name in names]
    return names.index(name) if name in names else len(names)


def paragraphs(text: str) -> str:
    """Return a text with each paragraph in one line, so that the help wraps it for the terminal."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def example_text(name: str) -> str | None:
    """Return the last lines of the help of a command. None for a command without an example."""
    return f"Example:\n\nworkflow-async {EXAMPLES[name]}" if name in EXAMPLES else None
