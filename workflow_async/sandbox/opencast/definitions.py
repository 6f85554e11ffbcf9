"""Workflow definitions, and the built-in ones of the sandbox's Opencast."""

import json
from collections.abc import Mapping

from attrs import field, frozen

from workflow_async.sandbox.engine import REPAIR_STEP, FakeWorkflow, Status, Step, StepResult


@frozen
class Operation:
    """The properties of an operation that its step does not have."""

    description: str = ""
    configuration: Mapping[str, str] = field(factory=dict)
    condition: str = ""
    exception: str = ""
    """The `unless` condition."""


OPERATIONS = {
    "defaults": Operation("Applying default configuration values", {"publishLive": "false"}),
    "prepare-av": Operation("Preparing audio and video", {"source-flavor": "presenter/source", "rewrite": "false"}),
    "inspect": Operation("Inspecting the media package"),
    "encode": Operation("Encoding to distribution formats", {"source-flavors": "*/trimmed", "encoding-profile": "mp4"}),
    "analyze-audio": Operation("Normalizing audio", {"target-decibel": "-26"}, "${normalizeAudio}", "${skipAudio}"),
    "editor": Operation("Waiting for the cutting of ${event_title}", {"interactive": "true"}),
    "publish-engage": Operation("Publishing to Opencast Media Module", {"download-target-tags": "engage-download"}),
    "publish-youtube": Operation("Publishing to YouTube", {}, "${publishToYouTube}"),
    "archive": Operation("Archiving", {"source-flavors": "*/*"}),
    "schedule": Operation("Waiting for the capture agent", {"agent": "hall-1"}),
    "send-email": Operation(
        "Telling the operators", {"to": "ops@example.org", "subject": "${event_title} <failed> & gone"}
    ),
    "cleanup": Operation("Cleaning up", {"preserve-flavors": "security/*"}),
    REPAIR_STEP: Operation("Error Resolution Operation"),
}


@frozen
class Definition:
    """A workflow definition."""

    identifier: str
    steps: tuple[Step, ...]
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    panel: str = ""
    """The configuration panel in HTML."""
    panel_json: str = ""
    """The configuration panel as JSON in a string."""
    display_order: int = 0
    handler: str = ""
    """The definition that takes over when a step with handlers fails."""

    @property
    def seconds(self) -> float:
        """The duration of all steps."""
        return sum(step.seconds for step in self.steps)


def current_definition_id(run: FakeWorkflow, definition: Definition | None) -> str:
    """Return the definition id of a workflow: that of the error handler after the handler has taken over."""
    handled = any(s.status is Status.FAILED and s.step.handlers for s in run.steps)
    return definition.handler if handled and definition is not None and definition.handler else run.definition


_PANEL = (
    '<fieldset><input type="checkbox" name="publishLive" id="publishLive" class="configField" checked="checked"/>'
    '<label for="publishLive">Publish the live stream</label></fieldset>'
)
_PUBLISH_LIVE = {"type": "checkbox", "name": "publishLive", "label": "Publish the live stream", "value": True}
_PANEL_JSON = json.dumps([{"description": "Live", "fieldset": [_PUBLISH_LIVE]}])
NO_SPACE = "Encoding failed: ffmpeg exited with code 1 (No space left on device)"
_NOTIFY_STEPS = (Step("send-email", 3.0), Step("cleanup", 1.0))

BUILT_IN = (
    Definition(
        "fast",
        (Step("defaults", 1.0), Step("prepare-av", 3.0), Step("publish-engage", 2.0), Step("cleanup", 1.0)),
        "Fast Testing Workflow",
        "\n      A minimal workflow for tests.\n    ",
        ("upload", "schedule", "archive"),
        _PANEL,
        _PANEL_JSON,
        display_order=100,
    ),
    Definition(
        "publish",
        (Step("inspect", 4.0), Step("encode", 60.0), Step("publish-engage", 10.0), Step("archive", 6.0)),
        "Publish",
        "Publish a recording to the Media Module",
        ("archive", "editor"),
        _PANEL,
        _PANEL_JSON,
        display_order=90,
    ),
    Definition(
        "schedule-and-upload",
        (
            Step("schedule", 30.0),
            Step("prepare-av", 20.0),
            Step("analyze-audio", 15.0),
            Step("encode", 120.0),
            Step("archive", 10.0),
        ),
        "Process upon upload and schedule",
        tags=("schedule", "upload"),
        panel=_PANEL,
        panel_json=_PANEL_JSON,
        display_order=1000,
    ),
    Definition(
        "review",
        (Step("inspect", 2.0), Step("editor", 1.0, StepResult.HELD), Step("publish-engage", 8.0)),
        "Cut by hand, then publish",
        tags=("editor",),
    ),
    Definition(
        "fails",
        (Step("inspect", 2.0), Step("encode", 5.0, StepResult.FAILED, error=NO_SPACE), Step("cleanup", 1.0)),
        "always fails in encoding",
    ),
    Definition(
        "fails-with-handler",
        (Step("inspect", 2.0), Step("encode", 5.0, StepResult.FAILED, _NOTIFY_STEPS, NO_SPACE), Step("archive", 1.0)),
        "Fails and tells the operators",
        handler="partial-error",
    ),
    Definition("partial-error", _NOTIFY_STEPS, "Error handler"),
    Definition(
        "holds",
        (Step("inspect", 2.0), Step("encode", 5.0, StepResult.STUCK, error=NO_SPACE), Step("archive", 1.0)),
        "Waits for an operator after a failure",
    ),
    Definition(
        "skips",
        (Step("inspect", 2.0), Step("publish-youtube", 0.0, StepResult.SKIPPED), Step("cleanup", 1.0)),
        "Publishes to YouTube if asked to",
    ),
    Definition("noop", (Step("defaults", 0.5),), "No operation"),
)
