"""The text of a stub that is written from source text, with what it imports."""

import subprocess
import sys

from attrs import define, field

from tests.support.source_names import ROOT, Reference

COMMAND = "python -m tests.support.sync_stubs"
HEAD = f"# Written by `{COMMAND}`. Do not edit.\n"


@define
class Stub:
    """The text of one stub, and the names that it imports."""

    module: str
    imports: dict[str, Reference] = field(factory=dict)
    variables: dict[str, str] = field(factory=dict)
    """The type variables by name, each as its definition."""
    classes: list[str] = field(factory=list)

    def use(self, name: str, reference: Reference) -> None:
        """Import a name. Raise if the stub already uses the name for another object."""
        if reference.module != self.module:
            other = self.imports.setdefault(name, reference)
            assert other == reference, f"{name} is {other} and {reference}: give one of them another name"

    def text(self) -> str:
        """Return the formatted stub."""
        lines = [reference.statement(name) for name, reference in sorted(self.imports.items())]
        return formatted("\n".join([HEAD, *lines, "", *self.variables.values(), "", *self.classes]), self.module)


def formatted(text: str, module: str) -> str:
    """Return the text as ruff sorts and formats it."""
    name = str(ROOT / f"{module.replace('.', '/')}.pyi")
    for command in (["check", "--fix-only", "--select", "I", "--quiet"], ["format"]):
        text = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", name, "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout
    return text
