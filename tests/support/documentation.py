"""Runs a page of the documentation as its reader would: the sandbox in one terminal, `python -m asyncio` in another."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from tests.support.nats_server import running_nats_server

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "workflow_async" / "docs"
README = ROOT / "README.md"
OPENCAST, PRESERVICA, NATS = "127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:4222"
"""The addresses in the pages. Free ports take their place, so that pages can run side by side."""
SECONDS = 200
PROMPT = ["-m", "asyncio"] if sys.version_info < (3, 13) else [str(Path(__file__).with_name("prompt.py"))]
"""The arguments for a prompt with top-level `await`."""
PLUGIN = "workflow_async.pytest_plugin"


@frozen
class Block:
    """A fenced block of code."""

    language: str
    text: str

    @property
    def file(self) -> str:
        """The name of the file that the first line asks the reader to save. "" if the block is typed at the prompt."""
        match = re.match(r"# (\w+\.py)$", self.text.partition("\n")[0])
        return match[1] if match else ""


@frozen
class Page:
    """A page of Markdown."""

    path: Path

    @property
    def text(self) -> str:
        """The page as it is written."""
        return self.path.read_text(encoding="utf-8")

    @property
    def blocks(self) -> list[Block]:
        """The blocks of code, in order."""
        found = re.findall(r"^```(\w+)\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)
        return [Block(language, text) for language, text in found]

    @property
    def programs(self) -> list[Block]:
        """The blocks of Python that the reader saves to a file."""
        return [block for block in self.blocks if block.language == "python" and block.file]

    @property
    def session(self) -> list[Block]:
        """The blocks of Python that the reader types at the prompt."""
        return [block for block in self.blocks if block.language == "python" and not block.file]

    @property
    def sandbox(self) -> list[str]:
        """The arguments of the page's `workflow-async sandbox`. Empty if the page starts none."""
        match = re.search(r"^workflow-async sandbox\b(.*)$", self.text, re.MULTILINE)
        return ["sandbox", *shlex.split(match[1])] if match else []

    @property
    def needs_nats(self) -> bool:
        """True if the page starts a NATS server."""
        return re.search(r"^nats-server\b", self.text, re.MULTILINE) is not None


def pages() -> list[Page]:
    """Return the README and every page of the documentation."""
    return [Page(README), *map(Page, sorted(PAGES.glob("*.md")))]


@contextmanager
def served(page: Page) -> Iterator[Mapping[str, str]]:
    """Run the page's servers on free ports. Yield the new address for each address of the page."""
    addresses: dict[str, str] = {}
    with ExitStack() as stack:
        if page.sandbox:
            systems = stack.enter_context(sandbox_process(*page.sandbox[1:]))
            addresses[OPENCAST] = systems["opencast"]["url"].partition("//")[2]
            addresses[PRESERVICA] = systems["preservica"]["url"].partition("//")[2]
        if page.needs_nats:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            addresses[NATS] = stack.enter_context(running_nats_server(folder)).url.partition("//")[2]
        yield addresses


@contextmanager
def sandbox_process(*options: str) -> Iterator[Mapping[str, Mapping[str, str]]]:
    """Run `workflow-async sandbox` with these options on free ports. Yield the access to both systems."""
    command = [sys.executable, "-m", "workflow_async", "sandbox", *options, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=_env()) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def run_programs(page: Page, addresses: Mapping[str, str], folder: Path) -> None:
    """Save each program of a page and run it. A file `test_….py` is run by pytest."""
    for program in page.programs:
        (folder / program.file).write_text(_with_free_ports(program.text, addresses), encoding="utf-8")
        options = (
            ["-m", "pytest", "-q", "-p", "no:cacheprovider", *_plugin()] if program.file.startswith("test_") else []
        )
        done = _run([sys.executable, *options, program.file], folder)
        assert done.returncode == 0, f"{page.path.name}: {program.file}\n{done.stdout}\n{done.stderr}"


def run_session(page: Page, addresses: Mapping[str, str], folder: Path) -> str:
    """Type all blocks of a page at the prompt of `python -m asyncio`, one after the other. Return the output."""
    typed = _with_free_ports("\n".join(block.text for block in page.session), addresses)
    done = _run([sys.executable, *PROMPT], folder, typed + "\n")
    assert not re.search(r"^(Traceback|\w*Error\b)|SyntaxError", done.stderr, re.MULTILINE), (
        f"{page.path.name}\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout


def run_commands(page: Page, addresses: Mapping[str, str], folder: Path) -> str:
    """Run all shell blocks of a page in one shell, except those that start a server. Return the output."""
    shell = [block.text for block in page.blocks if block.language == "sh"]
    blocks = [text for text in shell if not re.search(r"^(workflow-async sandbox|nats-server)\b", text, re.MULTILINE)]
    return _run_shell(page, _with_free_ports("\n".join(blocks), addresses), folder)


def run_section(page: Page, heading: str, systems: Mapping[str, Mapping[str, str]], folder: Path) -> str:
    """Run the shell blocks of one section of a page with the variables of an Opencast. Return the output."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## )", page.text, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    variables = [f"export OPENCAST_{name.upper()}={shlex.quote(text)}" for name, text in systems["opencast"].items()]
    return _run_shell(page, "\n".join([*variables, *blocks]), folder)


def _run_shell(page: Page, script: str, folder: Path) -> str:
    function = f'workflow-async() {{ {shlex.quote(sys.executable)} -m workflow_async "$@"; }}\n'
    done = _run(["bash", "-euo", "pipefail", "-c", function + script], folder)
    assert done.returncode == 0, f"{page.path.name}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _with_free_ports(text: str, addresses: Mapping[str, str]) -> str:
    for there, here in addresses.items():
        text = text.replace(there, here)
    return text


def _run(command: list[str], folder: Path, typed: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, input=typed, capture_output=True, text=True, cwd=folder, env=_env(), timeout=SECONDS, check=False
    )


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _plugin() -> list[str]:
    """Return the option that loads the pytest plugin where the installed package does not register it yet."""
    registered = {entry.value for entry in entry_points(group="pytest11")}
    return [] if PLUGIN in registered else ["-p", PLUGIN]
