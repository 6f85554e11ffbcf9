"""The workflow contexts that the sandbox's Preservica starts with."""

from collections.abc import Iterable

from attrs import evolve, frozen

from workflow_async.sandbox.engine import Step, StepResult

TYPES = ("Ingest", "Access", "Transformation", "DataManagement")
CORE = "com.preservica.core.workflow"


@frozen
class Context:
    """A workflow that an administrator has set up: a definition with a name and settings."""

    id: str
    name: str
    definition: str
    type: str
    steps: tuple[Step, ...]
    active: bool = True


def scale_seconds(steps: Iterable[Step], factor: float) -> tuple[Step, ...]:
    """Return the steps with their durations multiplied by `factor`."""
    return tuple(evolve(step, seconds=step.seconds * factor) for step in steps)


def steps(*names: str, **results: StepResult) -> tuple[Step, ...]:
    """Return steps of one or two seconds. `results` are the results of steps by name."""
    return tuple(Step(name, 1.0 + number % 2, results.get(name, StepResult.DONE)) for number, name in enumerate(names))


DEFAULT_CONTEXTS = (
    Context(
        "42",
        "Ingest OPEX (Incremental)",
        f"{CORE}.ingest.opex.incremental",
        "Ingest",
        steps("RetrieveContent", "Validate", "Ingest", "DeleteIngestedFromSource"),
    ),
    Context(
        "43",
        "Ingest Packages",
        f"{CORE}.ingest",
        "Ingest",
        steps("Unpack", "VirusCheck", "Characterise", "Store", VirusCheck=StepResult.SKIPPED),
    ),
    Context(
        "44",
        "Web Crawl & Ingest",
        f"{CORE}.web.crawl.and.ingest",
        "Ingest",
        steps("Crawl", "BuildWarc", "Ingest", Crawl=StepResult.PARTIAL),
    ),
    Context(
        "45",
        "Ingest with Appraisal",
        f"{CORE}.ingest",
        "Ingest",
        steps("Unpack", "Appraise", "Store", Appraise=StepResult.HELD),
    ),
    Context(
        "46",
        "Ingest Single Files",
        f"{CORE}.ingest.single.file",
        "Ingest",
        steps("Unpack", "Fixity", "Store", Fixity=StepResult.FAILED),
    ),
    Context("47", "Ingest SIPs (retired)", f"{CORE}.ingest", "Ingest", steps("Unpack"), active=False),
    Context("60", "Export Packages", f"{CORE}.export", "Access", steps("Collect", "Zip", "Publish")),
    Context(
        "61",
        "Export Metadata",
        f"{CORE}.export.metadata",
        "Access",
        steps("Collect", "Zip", Collect=StepResult.PARTIAL),
    ),
    Context("70", "Migrate Images", f"{CORE}.migrate", "Transformation", steps("Plan", "Migrate", "Verify")),
    Context(
        "71",
        "Migrate Video",
        f"{CORE}.migrate",
        "Transformation",
        steps("Plan", "Migrate", "Verify", Migrate=StepResult.FAILED),
    ),
    Context("80", "Check Integrity", f"{CORE}.integrity.check", "DataManagement", steps("Select", "Compare")),
    Context(
        "81",
        "Delete Assets",
        f"{CORE}.delete",
        "DataManagement",
        steps("Select", "SecondApproval", "Erase", SecondApproval=StepResult.HELD),
    ),
    Context("82", "Characterise Again", f"{CORE}.characterise", "DataManagement", steps("Select", "Characterise")),
)
