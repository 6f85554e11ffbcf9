"""The command `sandbox`: serves both systems until it is interrupted."""

import importlib
import shlex
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from time import sleep
from typing import TYPE_CHECKING, Annotated, cast

import typer

from workflow_async.cli.choices import choice_option
from workflow_async.cli.command import Json
from workflow_async.cli.exit_codes import Exit, SandboxError, UsageError, run_and_exit
from workflow_async.cli.output import Output, print_message
from workflow_async.cli.systems import SYSTEMS

if TYPE_CHECKING:
    from workflow_async.sandbox import Sandbox
    from workflow_async.sandbox.opencast.releases import Release

SLEEP_INTERVAL = 3600
EVENT = "3f9a1c52-7d64-4b0e-9c1d-5e2a8b7f0c61"
"""The id of an event without a workflow, which the README starts a workflow on."""


SANDBOX_EXTRA = frozenset({"starlette", "uvicorn"})
"""The libraries of the extra `[sandbox]`."""


def releases() -> tuple[str, ...]:
    """Return the Opencast releases in the sandbox's table. Empty if the extra `[sandbox]` is not installed."""
    try:
        return tuple(importlib.import_module("workflow_async.sandbox.opencast.releases").RELEASES)
    except ModuleNotFoundError as error:
        if error.name not in SANDBOX_EXTRA:
            raise
        return ()


Port = Annotated[
    int, typer.Option(help="Port of Opencast. Preservica gets the next one. 0: free ports.", min=0, max=65534)
]
OpencastVersion = Annotated[str, choice_option(choices=releases())]
SeedOption = Annotated[int, typer.Option(help="Number of workflows that each system has at first.", min=0)]
FaultOption = Annotated[
    list[str] | None,
    typer.Option("--fault", help="A fault, such as 'boot,seconds=60' or '503,rate=0.1,path=/api/*'. Repeatable."),
]
Speed = Annotated[float, typer.Option(help="Speed of the clock. 1 is real time.", min=0.001)]


def sandbox(
    *,
    port: Port = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    workflows: SeedOption = 100,
    opencast_version: OpencastVersion = "16",
    speed: Speed = 1.0,
    fault: FaultOption = None,
    json: Json = False,
) -> None:
    """Serve a fake Opencast and a fake Preservica until Ctrl-C."""

    def run() -> Exit:
        fakes = sandbox_class()(
            cast("Release", opencast_version),
            host=host,
            opencast_port=port,
            preservica_port=port + 1 if port else 0,
            speed=speed,
        )
        set_faults(fakes, fault or [])
        return serve(fakes, workflows, Output(json=json))

    run_and_exit(run)


def set_faults(fakes: "Sandbox", texts: Iterable[str]) -> None:
    """Set the faults of both systems. Raise `UsageError` for a text that is not a fault."""
    read_condition = importlib.import_module("workflow_async.sandbox.fault_text").read_condition
    try:
        fakes.opencast.faults = fakes.preservica.faults = tuple(map(read_condition, texts))
    except ValueError as error:
        raise UsageError(f"--fault: {error}") from None


def serve(fakes: "Sandbox", workflows: int, output: Output) -> Exit:
    """Serve until SIGINT or SIGTERM."""
    ids = fakes.opencast.seed(workflows)
    fakes.preservica.seed(workflows)
    fakes.opencast.event(identifier=EVENT, title="An event to try")
    with ExitStack() as stack:
        try:
            stack.enter_context(fakes)
        except OSError as error:
            raise SandboxError(f"the sandbox cannot be served: {error}") from None
        with suppress(KeyboardInterrupt), interrupt_on_signals():
            print_access(fakes, output)
            if not output.json:
                print_examples(ids, output)
            while True:
                sleep(SLEEP_INTERVAL)
    return Exit.DONE


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Make SIGINT and SIGTERM raise KeyboardInterrupt in the block, even if the shell ignores SIGINT."""
    previous = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def print_access(fakes: "Sandbox", output: Output) -> None:
    """Print the URL and the credentials of both systems."""
    servers = access(fakes)
    if output.json:
        output.json_line(servers)
        return
    for system, fields in servers.items():
        for name, value in fields.items():
            output.message(f"export {SYSTEMS[system].variables[name]}={shlex.quote(value)}")


def print_examples(ids: Sequence[int], output: Output) -> None:
    """Print commands to try, with ids that the sandbox has, on stderr."""
    print_message(output.err, "Paste these lines into another terminal, then try:")
    for id in ids[:1]:
        print_message(output.err, f"  workflow-async show {id}")
    print_message(output.err, "  workflow-async events --status processing --limit 5")
    print_message(output.err, f"  workflow-async start {EVENT} fast --wait")
    print_message(output.err, "Serving until Ctrl-C")


def access(fakes: "Sandbox") -> dict[str, dict[str, str]]:
    """Return the URL and the credentials of each system."""
    return {
        name: {attribute: getattr(getattr(fakes, name), attribute) for attribute in system.variables}
        for name, system in SYSTEMS.items()
    }


def sandbox_class() -> "type[Sandbox]":
    """Import and return the class `Sandbox`. Raise `UsageError` if the extra `[sandbox]` is not installed."""
    try:
        return cast("type[Sandbox]", importlib.import_module("workflow_async.sandbox").Sandbox)
    except ModuleNotFoundError as error:
        if error.name not in SANDBOX_EXTRA:
            raise
        raise UsageError("the sandbox needs the extra [sandbox]: pip install 'workflow-async[cli,sandbox]'") from None
