"""Imports point one way: what is pure stays pure, and the carriers alone know what carries the bytes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import workflow_async

ROOT = Path(workflow_async.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
CORE = [name for name in MODULES if "/" not in name or name.startswith("monitor/")]
PURE = [
    *(
        "errors.py",
        "phase.py",
        "_call.py",
        "_provenance.py",
        "_status.py",
        "_retry.py",
        "_json.py",
        "_xml.py",
        "_rows.py",
        "_lists/scan.py",
        "_lists/offsets.py",
        "_lists/windows.py",
        "_lists/manner.py",
        "_structure.py",
        "_values.py",
        "_reader.py",
        "_origin.py",
    ),
    *(
        f"{system}/{name}.py"
        for system in ("opencast", "preservica")
        for name in ("calls", "records", "_convert", "filters")
    ),
    "opencast/_internal.py",
    *("monitor/pace.py", "sandbox/engine.py", "sandbox/faults.py"),
]
WIRES = {"httpx", "httpx2", "httpcore", "asyncio", "anyio", "aiohttp", "trio", "socket", "ssl"}


def imported(name: str, *, lazily: bool = True) -> set[str]:
    """The modules that a module imports, by their full names; `lazily` counts those within functions too."""
    tree = ast.parse((ROOT / name).read_text())
    nodes = ast.walk(tree) if lazily else iter(tree.body)
    return {found for node in nodes for found in _named(node)}


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        yield str(node.module)
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tops(name: str, *, lazily: bool = True) -> set[str]:
    return {module.partition(".")[0] for module in imported(name, lazily=lazily)}


def run_by(name: str) -> set[str]:
    """The libraries that are imported when a module runs, not when its types are checked."""
    nodes = [node for node in ast.parse((ROOT / name).read_text()).body if not isinstance(node, ast.If)]
    return {module.partition(".")[0] for top in nodes for node in ast.walk(top) for module in _named(node)}


def parts(name: str, *, lazily: bool = True) -> set[str]:
    """The parts of this package that a module imports, such as `opencast` or `_call`."""
    return {
        module.split(".")[1] for module in imported(name, lazily=lazily) if module.startswith("workflow_async.")
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in PURE if name in MODULES])
def test_what_is_pure_knows_neither_wire_nor_loop(name: str) -> None:
    assert not tops(name) & WIRES


@pytest.mark.parametrize("name", [name for name in PURE if name in MODULES and not name.startswith("sandbox/")])
def test_what_is_pure_leads_to_no_transport(name: str) -> None:
    allowed = {pure.split("/")[0].removesuffix(".py") for pure in PURE} | {"settings", "_auth"}
    assert parts(name) <= allowed - {"sandbox"}


HOMES = {"httpx": "lent.py", "httpx2": "lent.py", "httpcore": "httpcore.py", "aiohttp": "aiohttp.py"}


@pytest.mark.parametrize("name", MODULES)
def test_the_carriers_alone_know_what_carries_the_bytes(name: str) -> None:
    knowing = name.startswith("_carriers/") or name == "_digest.py"
    assert knowing or not tops(name) & {"httpx", "httpx2", "httpcore", "aiohttp", "certifi"}


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("_carriers/")])
def test_a_carrier_knows_its_own_library(name: str) -> None:
    assert all(name.endswith(home) for library, home in HOMES.items() if library in run_by(name))


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("_carriers/")])
def test_nothing_else_looks_behind_the_seam(name: str) -> None:
    needed = {module for module in imported(name) if module.startswith("workflow_async._carriers.")}
    assert needed <= {"workflow_async._carriers.Carrier", "workflow_async._carriers.carried_by"}


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith(("sandbox/", "cli/"))])
def test_nothing_needs_the_sandbox_or_the_command_line(name: str) -> None:
    assert not parts(name, lazily=name != "__main__.py") & {"sandbox", "cli"}
    assert not tops(name, lazily=name != "__main__.py") & {"starlette", "uvicorn", "typer", "rich", "click"}


@pytest.mark.parametrize("name", [name for name in CORE if name not in {"__init__.py", "__main__.py"}])
def test_the_core_knows_neither_system(name: str) -> None:
    assert not parts(name) & {"opencast", "preservica"}


@pytest.mark.parametrize(
    ("system", "other"),
    [("opencast", "preservica"), ("preservica", "opencast"), ("monitor", "opencast"), ("monitor", "preservica")],
)
def test_the_systems_do_not_know_each_other(system: str, other: str) -> None:
    assert not any(other in parts(name) for name in MODULES if name.startswith(f"{system}/"))


def test_every_import_of_the_core_points_downward() -> None:
    known = {name.removesuffix(".py"): parts(name) for name in CORE if "/" not in name and not name.startswith("__")}
    while known:
        lowest = {name for name, needs in known.items() if not needs & known.keys()}
        assert lowest, f"a circle among {sorted(known)}"
        known = {name: needs for name, needs in known.items() if name not in lowest}
