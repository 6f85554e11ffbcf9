"""A pytest plugin, active where the package is installed: sandboxes, opened clients, and a guard for the network."""

import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest

if TYPE_CHECKING:
    from workflow_async import OpencastClient, PreservicaClient
    from workflow_async.sandbox import Sandbox
    from workflow_async.testing import SkippingTime

SANDBOX, NETWORK = "workflow_sandbox", "workflow_network"
"""The names of the markers."""
NO_NETWORK = "WORKFLOW_ASYNC_NO_NETWORK"
"""The variable of `_core.network_guard`, which is not imported in projects that do not use the package."""
LOOP_SCOPES: tuple[Literal["function", "class", "module", "package", "session"], ...] = (
    "function",
    "class",
    "module",
    "package",
    "session",
)
"""The scopes of an event loop of pytest-asyncio."""
MARKERS = (
    f"{SANDBOX}(version, speed, seed, faults, skip_time, ...): the options of the sandbox of a test",
    f"{NETWORK}: let the workflow clients of a test send requests to other hosts",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option that turns the guard for the network off."""
    parser.addini(NETWORK, "let workflow clients send requests to other hosts in all tests", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, and the client fixtures for each plugin that runs coroutines."""
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    clients = ModuleType("workflow_async_clients")
    vars(clients).update(_client_fixtures(config))
    config.pluginmanager.register(clients, clients.__name__)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Forbid requests to other hosts while a test and its fixtures run, unless the test or the project allows them."""
    is_allowed = item.get_closest_marker(NETWORK) is not None or item.config.getini(NETWORK)
    if is_allowed or NO_NETWORK in os.environ:
        yield
        return
    os.environ[NO_NETWORK] = "1"
    try:
        yield
    finally:
        os.environ.pop(NO_NETWORK, None)


@pytest.fixture
def workflow_time(request: pytest.FixtureRequest) -> "SkippingTime":
    """Time that skips waits, for the sandbox and the clients of a test. To use it is to skip."""
    from workflow_async.testing import SkippingTime

    return SkippingTime(seed=_marked_options(request.node).get("seed", 0))


@pytest.fixture
def workflow_sandbox(request: pytest.FixtureRequest) -> "Iterator[Sandbox]":
    """Serve an Opencast and a Preservica on loopback for the length of one test. Needs the extra `sandbox`.

    The marker `workflow_sandbox` has the options: `version`, `speed`, `seed`, `faults`, `skip_time`, and the other
    arguments of `Sandbox`.
    """
    with _sandbox(request, _marked_options(request.node)) as sandbox:
        yield sandbox


@pytest.fixture
def workflow_sandbox_factory(request: pytest.FixtureRequest) -> "Iterator[Callable[..., Sandbox]]":
    """Return a function that serves a sandbox until the end of the test. It takes the options of the marker."""
    with ExitStack() as sandboxes:
        yield lambda **options: sandboxes.enter_context(_sandbox(request, options))


@pytest.fixture
def opencast_client(request: pytest.FixtureRequest) -> "OpencastClient":
    """Open a client of the Opencast in `workflow_sandbox`, for a test that pytest-asyncio or anyio runs."""
    return cast("OpencastClient", request.getfixturevalue(_runner_fixture(request, "opencast")))


@pytest.fixture
def preservica_client(request: pytest.FixtureRequest) -> "PreservicaClient":
    """Open a client of the Preservica in `workflow_sandbox`, for a test that pytest-asyncio or anyio runs."""
    return cast("PreservicaClient", request.getfixturevalue(_runner_fixture(request, "preservica")))


# Sandboxes


def _marked_options(item: pytest.Item) -> dict[str, Any]:
    """Return the options of the markers of a test. The marker of a function overrides that of its class or module."""
    options: dict[str, Any] = {}
    for marker in reversed([*item.iter_markers(SANDBOX)]):
        if marker.args:
            pytest.fail(f'{SANDBOX}: takes keyword arguments only, such as version="11"', pytrace=False)
        options |= marker.kwargs
    return options


def _sandbox(request: pytest.FixtureRequest, options: Mapping[str, Any]) -> "Sandbox":
    """Return a sandbox with these options. Fail the test for an option that does not exist or cannot be used."""
    time = None
    if options.get("skip_time") or "workflow_time" in request.fixturenames:
        if options.keys() & {"speed", "clock"}:
            pytest.fail(f"{SANDBOX}: speed and clock have no effect while time skips: leave them out", pytrace=False)
        time = request.getfixturevalue("workflow_time")
    try:
        return _made(options, time)
    except ModuleNotFoundError as error:
        problem = f"{error}: pip install 'workflow-async[sandbox]'"
    except (TypeError, ValueError) as error:
        problem = f"{SANDBOX}: {error}"
    pytest.fail(problem, pytrace=False)


def _made(given: Mapping[str, Any], time: "SkippingTime | None") -> "Sandbox":
    """Return a sandbox. Raise `TypeError` or `ValueError` for an option that does not exist or cannot be used."""
    from workflow_async.sandbox import Faults, Sandbox

    known = {*inspect.signature(Sandbox).parameters, "version", "faults", "skip_time"} - {"opencast_version"}
    unknown = sorted(given.keys() - known)
    if unknown:
        raise TypeError(f"no option {unknown[0]!r}: choose from {', '.join(sorted(known))}")
    options: dict[str, Any] = {
        "opencast_version" if name == "version" else name: value for name, value in given.items()
    }
    faults, _ = options.pop("faults", Faults()), options.pop("skip_time", None)
    if not all(hasattr(each, "plans") for each in (faults if isinstance(faults, list | tuple) else [faults])):
        raise TypeError(f"faults must be Faults(...) or another condition, or several, not {faults!r}")
    if time is not None:
        options["clock"] = time
    sandbox = Sandbox(**options)
    sandbox.opencast.faults = sandbox.preservica.faults = faults
    return sandbox


# Clients


def _new_client(sandbox: "Sandbox", system: str) -> "OpencastClient | PreservicaClient":
    from workflow_async import OpencastClient, PreservicaClient
    from workflow_async.testing import SkippingTime

    options: dict[str, Any] = {**sandbox.clock.options} if isinstance(sandbox.clock, SkippingTime) else {}
    if system == "opencast":
        return OpencastClient(sandbox.opencast.url, auth=sandbox.opencast.auth, **options)
    pv = sandbox.preservica
    account: dict[str, Any] = {"username": pv.username, "password": pv.password, "tenant": pv.tenant}
    return PreservicaClient(pv.url, two_factor=pv.state.accounts.two_factor, **account, **options)


def _opened(system: str) -> Callable[..., AsyncIterator[Any]]:
    """Return a function for a fixture: it opens a client in the event loop of the test, and closes it there."""

    async def opened(workflow_sandbox: "Sandbox") -> AsyncIterator[Any]:
        async with _new_client(workflow_sandbox, system) as client:
            yield client

    return opened


def _client_fixtures(config: pytest.Config) -> dict[str, Any]:
    """Return a fixture for each system, plugin that runs coroutines, and scope of an event loop."""
    fixtures: dict[str, Any] = {}
    for system in ("opencast", "preservica"):
        name = f"_anyio_{system}_client"
        fixtures[name] = pytest.fixture(name=name)(_opened(system))
        if config.pluginmanager.hasplugin("asyncio"):
            import pytest_asyncio

            for scope in LOOP_SCOPES:
                name = f"_asyncio_{system}_client_{scope}"
                fixtures[name] = pytest_asyncio.fixture(_opened(system), loop_scope=scope, name=name)
    return fixtures


def _runner_fixture(request: pytest.FixtureRequest, system: str) -> str:
    """Return the name of the fixture that opens a client in the event loop of a test."""
    if "anyio_backend" in request.fixturenames:
        if request.getfixturevalue("anyio_backend_name") != "asyncio":
            advice = "define the fixture anyio_backend so that it returns 'asyncio'"
            pytest.fail(f"{system}_client needs asyncio: {advice}", pytrace=False)
        return f"_anyio_{system}_client"
    marker = request.node.get_closest_marker("asyncio")
    if marker is None or not request.config.pluginmanager.hasplugin("asyncio"):
        advice = "mark it with pytest.mark.asyncio or pytest.mark.anyio, or use workflow_sandbox"
        pytest.fail(f"{system}_client needs a test that pytest-asyncio or anyio runs: {advice}", pytrace=False)
    scope = marker.kwargs.get("loop_scope") or request.config.getini("asyncio_default_test_loop_scope")
    return f"_asyncio_{system}_client_{scope or 'function'}"
