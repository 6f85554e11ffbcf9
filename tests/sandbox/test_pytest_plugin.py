"""The pytest plugin in projects of their own: markers, clients as fixtures, time that skips, and the network guard."""

import importlib
import pkgutil
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

import workflow_async
from workflow_async import pytest_plugin
from workflow_async._core import network_guard

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

PREAMBLE = """
import pytest
from workflow_async import OpencastClient, Phase, PreservicaClient
from workflow_async.errors import NetworkBlocked
from workflow_async.sandbox import Fault, Faults, Sandbox
from workflow_async.testing import SkippingTime
"""
STRICT, AUTO = "asyncio_mode = strict", "asyncio_mode = auto"
ANYIO = "import pytest\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'"


@pytest.fixture(scope="module")
def _imported() -> None:
    """Import the package, because `pytester` forgets what is imported while it runs. Classes would exist twice."""
    for module in pkgutil.walk_packages(workflow_async.__path__, "workflow_async."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


@pytest.fixture
def run(pytester: pytest.Pytester, _imported: None) -> Run:
    """Return a function that runs the tests of a project, and counts their outcomes."""

    def run(tests: str, *settings: str, conftest: str = "", **expected: int) -> pytest.RunResult:
        lines = ["[pytest]", "asyncio_default_fixture_loop_scope = function", "filterwarnings = error", *settings]
        pytester.makeini("\n".join(lines))
        pytester.makeconftest(conftest)
        pytester.makepyfile(PREAMBLE + textwrap.dedent(tests))
        options = [f"-p no:{name}" for name in ("cov", "xdist", "randomly", "cacheprovider")]
        result = pytester.runpytest_inprocess("--strict-markers", "--strict-config", *" ".join(options).split())
        result.assert_outcomes(**expected)
        return result

    return run


# Sandboxes


def test_the_marker_has_the_options_of_the_sandbox(run: Run) -> None:
    run(
        """
        @pytest.mark.workflow_sandbox(version="11", seed=3, speed=50, page_cap=10, faults=Faults(seed=9))
        def test_options(workflow_sandbox):
            assert workflow_sandbox.opencast.state.release == "11"
            assert workflow_sandbox.clock.speed == 50
            assert workflow_sandbox.opencast.faults == workflow_sandbox.preservica.faults == Faults(seed=9)

        def test_default(workflow_sandbox):
            assert workflow_sandbox.opencast.state.release == "16"
            assert workflow_sandbox.clock.speed == 1
        """,
        passed=2,
    )


def test_the_marker_of_a_test_overrides_that_of_its_module(run: Run) -> None:
    run(
        """
        pytestmark = pytest.mark.workflow_sandbox(version="11", speed=7)

        @pytest.mark.workflow_sandbox(version="19")
        def test_both(workflow_sandbox):
            assert workflow_sandbox.opencast.state.release == "19"
            assert workflow_sandbox.clock.speed == 7

        @pytest.mark.parametrize(
            "version", [pytest.param(v, marks=pytest.mark.workflow_sandbox(version=v)) for v in ("11", "16")]
        )
        def test_each(workflow_sandbox, version):
            assert workflow_sandbox.opencast.state.release == version
        """,
        passed=3,
    )


def test_the_factory_serves_several_sandboxes(run: Run) -> None:
    run(
        """
        import httpx

        def test_two(workflow_sandbox_factory):
            old, new = workflow_sandbox_factory(version="11"), workflow_sandbox_factory(version="19", seed=1)
            assert (old.opencast.state.release, new.opencast.state.release) == ("11", "19")
            assert old.opencast.url != new.opencast.url
            for sandbox in (old, new):
                assert httpx.get(sandbox.opencast.url + "/api/version", auth=sandbox.opencast.auth).status_code == 200

        def test_time(workflow_sandbox_factory):
            sandbox = workflow_sandbox_factory(skip_time=True)
            assert isinstance(sandbox.clock, SkippingTime)
        """,
        passed=2,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('versio="11"', "workflow_sandbox: no option 'versio': choose from clock, codes_once, faults, "),
        ('"11"', 'workflow_sandbox: takes keyword arguments only, such as version="11"'),
        ('version="12"', "workflow_sandbox: opencast_version must be one of 11, 16, 19, not '12'"),
        ("speed=0", "workflow_sandbox: speed must be greater than 0, not 0"),
        ('faults="503"', "workflow_sandbox: faults must be Faults(...) or another condition, or several, not '503'"),
        (
            "skip_time=True, speed=5",
            "workflow_sandbox: speed and clock have no effect while time skips: leave them out",
        ),
    ],
)
def test_a_wrong_option_says_what_to_write(run: Run, options: str, message: str) -> None:
    result = run(
        f"""
        @pytest.mark.workflow_sandbox({options})
        def test_never(workflow_sandbox): raise AssertionError
        """,
        errors=1,
    )
    assert any(line.startswith(message) for line in result.outlines), result.outlines


def test_without_the_extra_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Any:
        raise ModuleNotFoundError("No module named 'starlette'")

    monkeypatch.setattr(pytest_plugin, "_made", missing)
    result = run("def test_never(workflow_sandbox): raise AssertionError", errors=1)
    assert "No module named 'starlette': pip install 'workflow-async[sandbox]'" in result.outlines


# Clients

USES = """
{mark}
async def test_both_systems(opencast_client, preservica_client, workflow_sandbox):
    workflow = await opencast_client.workflows.start(workflow_sandbox.opencast.event(), "fast")
    assert (await opencast_client.workflows.get(workflow.id)).id == workflow.id
    (id,) = workflow_sandbox.preservica.seed(1)
    assert (await preservica_client.workflows.get(id)).id == id

{fixture}
async def started(opencast_client, workflow_sandbox):
    yield await opencast_client.workflows.start(workflow_sandbox.opencast.event(), "publish")
    await opencast_client.version()

{mark}
async def test_a_fixture_can_use_the_client(started, opencast_client, workflow_time):
    await workflow_time.sleep(3600)
    assert (await opencast_client.workflows.get(started.id)).phase is Phase.SUCCEEDED

{mark}
@pytest.mark.workflow_sandbox(skip_time=True, version="11", two_factor="JBSWY3DPEHPK3PXP")
async def test_time_skips(opencast_client, preservica_client, workflow_sandbox):
    id = workflow_sandbox.opencast.start(workflow_sandbox.opencast.event(), "publish")
    assert (await opencast_client.workflows.wait(id)).phase is Phase.SUCCEEDED
    assert [workflow.id async for workflow in opencast_client.workflows.list()] == [id]
    assert [workflow async for workflow in preservica_client.workflows.list()] == []
"""


def test_a_project_with_pytest_asyncio_in_strict_mode(run: Run) -> None:
    fixture = "import pytest_asyncio\n@pytest_asyncio.fixture"
    run(USES.format(mark="@pytest.mark.asyncio", fixture=fixture), STRICT, passed=3)


def test_a_project_with_pytest_asyncio_in_auto_mode(run: Run) -> None:
    run(USES.format(mark="", fixture="@pytest.fixture"), AUTO, passed=3)


def test_a_project_with_the_plugin_of_anyio(run: Run) -> None:
    run(USES.format(mark="@pytest.mark.anyio", fixture="@pytest.fixture"), STRICT, conftest=ANYIO, passed=3)


def test_a_project_with_anyio_and_without_pytest_asyncio(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makeconftest(ANYIO)
    pytester.makepyfile(PREAMBLE + USES.format(mark="@pytest.mark.anyio", fixture="@pytest.fixture"))
    run_alone = pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "no:randomly", "-W", "error")
    run_alone.assert_outcomes(passed=3)


def test_a_client_is_open_in_the_event_loop_of_the_test(run: Run) -> None:
    run(
        """
        @pytest.mark.asyncio(loop_scope="module")
        async def test_marked(opencast_client): await opencast_client.version()

        @pytest.mark.asyncio
        async def test_by_the_option(opencast_client): await opencast_client.version()
        """,
        STRICT,
        "asyncio_default_test_loop_scope = session",
        passed=2,
    )


def test_a_client_needs_a_plugin_that_runs_coroutines(run: Run) -> None:
    result = run("def test_never(opencast_client): raise AssertionError", errors=1)
    assert (
        "opencast_client needs a test that pytest-asyncio or anyio runs: mark it with pytest.mark.asyncio"
        " or pytest.mark.anyio, or use workflow_sandbox"
    ) in result.outlines


def test_a_client_needs_asyncio(run: Run) -> None:
    trio = "import pytest\n@pytest.fixture\ndef anyio_backend_name(anyio_backend): return 'trio'\n"
    result = run(
        "@pytest.mark.anyio\nasync def test_never(preservica_client): raise AssertionError",
        conftest=trio + "@pytest.fixture\ndef anyio_backend(): return 'asyncio'",
        errors=1,
    )
    advice = "define the fixture anyio_backend so that it returns 'asyncio'"
    assert f"preservica_client needs asyncio: {advice}" in result.outlines


def test_the_third_poll_fails_in_two_lines(run: Run) -> None:
    run(
        """
        @pytest.mark.workflow_sandbox(skip_time=True, faults=Faults(script=[None, None, Fault.SERVER_ERROR]))
        async def test_it(opencast_client, workflow_sandbox):
            id = workflow_sandbox.opencast.start(workflow_sandbox.opencast.event(), "publish")
            assert (await opencast_client.workflows.wait(id)).phase is Phase.SUCCEEDED
            assert [request.status for request in workflow_sandbox.opencast.requests[:4]] == [200, 200, 503, 200]
        """,
        AUTO,
        passed=1,
    )


# The network

REAL = 'OpencastClient("https://oc.example.org", auth=("user", "secret"))'
GUARDED = f"""
async def test_guarded():
    async with {REAL} as oc:
        with pytest.raises(NetworkBlocked, match="workflow_network"):
            await oc.version()
"""
OPEN = f"""
async def test_open():
    async with {REAL} as oc:
        assert not oc._transport._blocked
"""


@pytest.fixture
def _without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKFLOW_ASYNC_NO_NETWORK", raising=False)


@pytest.mark.usefixtures("_without_the_variable")
def test_a_client_cannot_reach_another_host(run: Run) -> None:
    run(GUARDED, AUTO, passed=1)


@pytest.mark.usefixtures("_without_the_variable")
def test_a_fixture_cannot_reach_another_host(run: Run) -> None:
    run(
        f"""
        @pytest.fixture(scope="module")
        def client(): return {REAL}

        async def test_it(client):
            async with client as oc:
                with pytest.raises(NetworkBlocked):
                    await oc.version()
        """,
        AUTO,
        passed=1,
    )


@pytest.mark.usefixtures("_without_the_variable")
def test_a_marked_test_can_reach_another_host_and_the_next_cannot(run: Run) -> None:
    run("@pytest.mark.workflow_network" + OPEN + GUARDED, AUTO, passed=2)


@pytest.mark.usefixtures("_without_the_variable")
def test_a_project_can_let_every_test_reach_other_hosts(run: Run) -> None:
    run(OPEN, AUTO, "workflow_network = true", passed=1)


def test_the_plugin_imports_nothing_of_the_library_for_tests_that_do_not_use_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_modules():
            loaded = {name for name in sys.modules if name.startswith("workflow_async")}
            assert loaded == {"workflow_async", "workflow_async.pytest_plugin"}
        """
    )
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=1)
    assert pytest_plugin.NO_NETWORK == network_guard.NO_NETWORK


@pytest.mark.parametrize(("value", "tests"), [("0", OPEN), ("1", "@pytest.mark.workflow_network" + GUARDED)])
def test_the_variable_has_the_last_word(run: Run, monkeypatch: pytest.MonkeyPatch, value: str, tests: str) -> None:
    monkeypatch.setenv("WORKFLOW_ASYNC_NO_NETWORK", value)
    run(tests, AUTO, passed=1)
