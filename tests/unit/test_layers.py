"""Imports point downward, from a folder to those below it. Pure modules import neither network nor event loop."""

import ast
from collections.abc import Iterator
from pathlib import Path

import workflow_async

ROOT = Path(workflow_async.__file__).parent
MODULES = {path.relative_to(ROOT).with_suffix("").as_posix(): path for path in sorted(ROOT.rglob("*.py"))}

LAYERS = (
    {"errors", "phase"},
    {"_records"},
    {"observe"},
    {"settings"},
    {"_core"},
    {"auth", "problems"},
    {"_http", "_decode"},
    {"_listing"},
    {"monitor/events", "monitor/source", "monitor/system_source"},
    {"monitor/_engine"},
    {"monitor"},
    {"batch"},
    {"distributed"},
    {"opencast", "preservica"},
    {"sync", "testing"},
    {"sandbox", "cli"},
    {"__init__", "__main__", "pytest_plugin"},
)
"""Folders and modules, lowest first. A module imports its own folder and the entries of earlier lines."""

SYSTEMS = ("opencast", "preservica")
PURE = {
    "phase",
    *(f"errors/{name}" for name in ("__init__", "_base", "_content", "_status", "_transport", "_workflow")),
    *(f"_core/{name}" for name in ("auth", "call", "excerpts", "origin", "outage", "provenance", "retry", "status")),
    "_http/proxy",
    *(f"_decode/{name}" for name in ("compiled", "json", "raw", "records", "reference", "values")),
    *(f"_decode/{name}" for name in ("row_memory", "xml", "xml_rows", "xml_split")),
    *(f"{system}/active_list" for system in SYSTEMS),
    *(f"_listing/{name}" for name in ("by_offset", "by_time", "options", "resume", "scan", "sequence")),
    *(f"{system}/{name}" for system in SYSTEMS for name in ("calls", "converter", "filters", "query", "records")),
    *(f"opencast/{name}_records" for name in ("definition", "event", "operation", "server")),
    *(f"_records/{name}" for name in ("record", "schema", "spans", "tree")),
    *(
        f"opencast/{name}"
        for name in ("count_calls", "definition_calls", "event_calls", "incident_calls", "server_calls")
    ),
    *(f"opencast/{name}" for name in ("incidents", "jettison", "panel", "panel_fields", "params", "responses")),
    *(f"observe/{name}" for name in ("events", "messages", "stats")),
    "errors/_process",
    "_core/permission",
    *(f"{system}/permissions" for system in SYSTEMS),
    *(f"opencast/{name}" for name in ("event_query", "event_texts")),
    "distributed/nats/headers",
    "distributed/nats/shard_view",
    "monitor/events",
    *(f"monitor/_engine/{name}" for name in ("backoff", "bulk", "due_queue", "durations", "fallback", "keys")),
    "monitor/_engine/duration_text",
    *(f"monitor/_engine/{name}" for name in ("observation", "operations", "pauses", "scheduler", "spread")),
    *(f"monitor/_engine/{name}" for name in ("tracking", "wakes")),
    "distributed/slices",
    *(f"monitor/spec/{name}" for name in ("as_json", "packed", "records", "server_memory", "sharding")),
    *(f"sandbox/{name}" for name in ("canned", "engine", "faults", "hashing", "run")),
}
"""Modules that decide, without I/O."""
VALUES = {"settings"}
"""Modules without I/O in the parts that pure modules import."""
NETWORK = {"httpx", "httpx2", "httpcore", "asyncio", "anyio", "aiohttp", "trio", "socket", "ssl"}
HTTP_CLIENTS = {"httpx", "httpx2", "httpcore", "aiohttp", "certifi"}
EXTRAS = {"starlette", "uvicorn", "typer", "rich", "click"}
ENTRY_POINTS = {"__main__", "pytest_plugin"}
"""Modules that import the command line or the sandbox when they run."""
LAZY = {("opencast/client", "sync/opencast"), ("preservica/client", "sync/preservica")}
"""Imports that point upward: a module, and what one of its functions imports. `OpencastClient.sync` returns a client of
the layer above, so that asynchronous and synchronous clients have the same entry. Nothing else loads that layer."""
BACKENDS = {
    "_http/borrowed": {"httpx", "httpx2"},
    "_http/httpcore": {"httpcore"},
    "_http/aiohttp": {"aiohttp"},
    "_http/borrowed_session": {"aiohttp"},
}


def imports(module: str, *, top_only: bool = False) -> Iterator[str]:
    """Yield the full names that a module imports. `top_only` skips imports inside functions and type checks."""
    tree = ast.parse(MODULES[module].read_text())
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def libraries(module: str, *, top_only: bool = False) -> set[str]:
    """Return the libraries that a module imports, by their top-level names."""
    return {name.partition(".")[0] for name in imports(module, top_only=top_only)}


def modules(module: str, *, top_only: bool = False) -> set[str]:
    """Return the modules of this package that a module imports, such as `_core/call`."""
    names = [name.split(".")[1:] for name in imports(module, top_only=top_only) if name.startswith("workflow_async.")]
    return {found for name in names for found in (_module("/".join(name)), _module("/".join(name[:-1]))) if found} - {
        module
    }


def _module(path: str) -> str | None:
    return path if path in MODULES else f"{path}/__init__" if f"{path}/__init__" in MODULES else None


def layer(module: str) -> int:
    """Return the number of a module's layer. The longest matching name in `LAYERS` decides."""
    found = {
        len(name): number
        for number, names in enumerate(LAYERS)
        for name in names
        if module == name or module.startswith(f"{name}/")
    }
    assert found, f"{module} is in no layer"
    return found[max(found)]


def test_every_import_points_to_the_same_layer_or_a_lower_layer() -> None:
    upward = [
        (module, needed)
        for module in MODULES
        for needed in modules(module, top_only=module in ENTRY_POINTS)
        if layer(needed) > layer(module) and needed != "__init__" and (module, needed) not in LAZY
    ]
    assert not upward


def test_only_a_facade_is_part_of_an_import_cycle() -> None:
    remaining = {name: modules(name, top_only=True) for name in MODULES if not name.endswith("__init__")}
    while remaining:
        lowest = {name for name, needs in remaining.items() if not needs & remaining.keys()}
        assert lowest, f"an import cycle among {sorted(remaining)}"
        remaining = {name: needs for name, needs in remaining.items() if name not in lowest}


def test_every_pure_module_exists() -> None:
    assert PURE | VALUES | BACKENDS.keys() <= MODULES.keys()


def test_a_pure_module_imports_neither_network_nor_event_loop() -> None:
    assert not {name: found for name in PURE if (found := libraries(name) & NETWORK)}


def test_a_pure_module_imports_pure_modules_only() -> None:
    allowed = PURE | VALUES | {"__init__"}
    assert not {name: found for name in PURE if (found := modules(name) - allowed)}


def test_only_the_backends_and_digest_import_an_http_client() -> None:
    others = [name for name in MODULES if not name.startswith("_http/") and name != "_core/digest"]
    assert not {name: found for name in others if (found := libraries(name) & HTTP_CLIENTS)}


def test_a_backend_imports_its_own_library_only() -> None:
    clients = HTTP_CLIENTS - {"certifi"}
    backends = [name for name in MODULES if name.startswith("_http/")]
    others = {name: libraries(name, top_only=True) & clients - BACKENDS.get(name, set()) for name in backends}
    assert not {name: found for name, found in others.items() if found}


def test_only_its_observer_imports_opentelemetry() -> None:
    assert {name for name in MODULES if "opentelemetry" in libraries(name)} == {"observe/otel"}
    assert not {name for name in MODULES if "observe/otel" in modules(name)}


def test_only_the_clients_choose_a_backend() -> None:
    needed = {name for name in MODULES if not name.startswith("_http/") and any("_http" in m for m in modules(name))}
    examines = {"cli/certificates"}  # it makes a TLS context, to look at a certificate
    assert needed - {"__init__"} - examines == {"opencast/client", "preservica/client"}


def test_the_library_imports_neither_sandbox_nor_command_line() -> None:
    library = [name for name in MODULES if not name.startswith(("sandbox/", "cli/"))]
    needed = {name: modules(name, top_only=name in ENTRY_POINTS) for name in library}
    assert not {name for name, found in needed.items() if any(m.startswith(("sandbox/", "cli/")) for m in found)}
    assert not {name for name in library if libraries(name, top_only=name in ENTRY_POINTS) & EXTRAS}


def test_neither_system_imports_the_other() -> None:
    for system, other in (SYSTEMS, reversed(SYSTEMS)):
        own = [name for name in MODULES if name.startswith(f"{system}/")]
        assert not {name for name in own if any(needed.startswith(f"{other}/") for needed in modules(name))}
