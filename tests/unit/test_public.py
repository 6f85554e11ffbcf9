"""What users can see: the names, their docstrings and types, and what importing them costs."""

import enum
import importlib
import inspect
import pickle
import subprocess
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
import pytest

import workflow_async
from workflow_async import Clock, OpencastClient, PreservicaClient, errors, opencast, preservica
from workflow_async.errors import CallError, NotFound

PUBLIC = {
    "workflow_async": """
        Basic Bearer Clock Consistency Digest HTTPBackend Limits Listing ListingReport OpencastClient Page
        ParameterValue Phase Poll PreservicaClient Retry Secret Timeouts UnreadableRow
    """,
    "workflow_async.auth": "Basic Bearer Digest Secret TokenFunction",
    "workflow_async.batch": """
        AlreadyDone Ambiguous Completed Conflicted JournalContents NoStartFound NotStarted OnConflict
        OutcomeUnknown ReconcileResult Rejected Result Run Skipped StartFound StartStatus StatusKind Ticket read_journal
    """,
    "workflow_async.monitor": """
        Change ConditionMet EventHook Finished MonitoringMixin OperationChange Outcome OutcomeStream Parked Poller
        PollingFailed Predicate Replaced Stalled Subscription TimedOut Vanished Watch WatchEvent WatchSpec WhenParked
        poll_once watching
    """,
    "workflow_async.opencast": """
        Definition DefinitionSort Definitions Event EventSort Events Me OpencastClient Operation OperationDefinition
        OperationState Start State Version Workflow WorkflowFilters Workflows
    """,
    "workflow_async.preservica": """
        ClientOptions Context Contexts FileTokenStore Message MessageStatus Monitor MonitorCategory MonitorStatus
        Monitors PreservicaClient Process Processes Start Started State TokenStore Workflow WorkflowFilters WorkflowType
        Workflows
    """,
    "workflow_async.sandbox": """
        Boot CannedResponse Fault Faults IndexFault ManualClock OddRow RealClock RecordedRequest Sandbox SecondResume
        ServerClock Step StepResult TimeSource Trouble
    """,
}
SERVICES = ("workflows", "definitions", "events", "contexts", "processes", "monitors")
OPTIONAL = {"typer", "rich", "click", "starlette", "fastapi", "uvicorn", "aiohttp", "aiosqlite", "orjson", "httpx2"}
"""What importing the package must not pull in, though it is installed: extras, and what the tests embed it in."""
PLAIN: dict[Any, Any] = {
    int: 7,
    str: "text",
    bool: True,
    float: 1.5,
    datetime: datetime(2026, 1, 1, 12, tzinfo=UTC),
    Mapping[str, str]: {"key": "text"},
    Mapping[str, Any]: {"key": {"more": ["text"]}},
    CallError: NotFound(404),
}
"""A value of each type that a record is made of."""


def public(module: str) -> Iterator[Any]:
    """Everything a module names in `__all__`."""
    here = importlib.import_module(module)
    return (getattr(here, name) for name in here.__all__)


def methods(kind: type[Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public functions of a class, properties included, as far as this package wrote them."""
    for name, member in inspect.getmembers_static(kind):
        function: Any = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        ours = inspect.isfunction(function) and function.__module__.startswith("workflow_async")
        if ours and not name.startswith("_"):
            yield f"{function.__module__}.{function.__qualname__}", function


def services() -> Iterator[type[Any]]:
    """The classes behind `client.workflows` and its like, and the clients."""
    oc = OpencastClient("https://oc.example.org", auth=("user", "secret"))
    pv = PreservicaClient("eu.preservica.com", username="user", password="secret")
    for client in (oc, pv):
        yield type(client)
        yield from (type(getattr(client, name)) for name in SERVICES if hasattr(client, name))


def signature(method: Callable[..., Any]) -> str:
    """What a method takes and returns, as it is written."""
    return str(inspect.signature(method))


def classes() -> dict[str, type[Any]]:
    """Every public class by its full name: those of the façades, the services and the errors."""
    of_errors = [kind for kind in vars(errors).values() if inspect.isclass(kind) and kind.__module__ == errors.__name__]
    named = [kind for module in PUBLIC for kind in public(module) if inspect.isclass(kind)]
    return {f"{kind.__module__}.{kind.__qualname__}": kind for kind in (*named, *services(), *of_errors)}


CLASSES = classes()
METHODS = dict(method for kind in CLASSES.values() for method in methods(kind))
CALLS = {name: method for kind in services() for name, method in methods(kind) if inspect.iscoroutinefunction(method)}
RECORDS = {
    name: kind
    for name, kind in CLASSES.items()
    if attrs.has(kind) and kind.__module__.endswith((".records", ".outcomes", ".settings")) and kind is not Clock
}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_these_in_this_order(module: str) -> None:
    names = importlib.import_module(module).__all__
    assert names == PUBLIC[module].split()
    assert names == sorted(names)


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_there(module: str) -> None:
    assert all(thing is not None for thing in public(module))


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_class_says_what_it_is(name: str) -> None:
    said = CLASSES[name].__doc__
    assert said
    assert not said.startswith("Method generated by attrs")


@pytest.mark.parametrize("name", METHODS)
def test_every_public_method_says_what_it_does(name: str) -> None:
    assert METHODS[name].__doc__


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_function_says_what_it_does(module: str) -> None:
    assert all(function.__doc__ for function in public(module) if inspect.isfunction(function))


@pytest.mark.parametrize("name", CALLS)
def test_every_call_names_its_source_or_waits(name: str) -> None:
    said = CALLS[name].__doc__ or ""
    elsewhere = ("ait for", "ait until", "like `start`", "Open the client", "closes every connection")
    assert "Source: " in said or any(words in said for words in elsewhere)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if "Listing[" in signature(method)])
def test_every_listing_names_its_source(name: str) -> None:
    assert "Source: " in (METHODS[name].__doc__ or "")


def loaded(code: str) -> set[str]:
    """The modules that a fresh interpreter has after running this."""
    without = "import sys; sys.modules['httpx._main'] = None"  # httpx's own command line brings click and rich
    asked = f"{without}; {code}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split())


MAKING = "workflow_async.OpencastClient('https://oc.example.org', auth=('user', 'secret'))"


def test_importing_the_package_imports_next_to_nothing() -> None:
    ours = {name for name in loaded("import workflow_async") if name.startswith("workflow_async")}
    assert ours == {"workflow_async", "workflow_async._core", "workflow_async._core.lazy"}


@pytest.mark.parametrize(("client", "other"), [("OpencastClient", "preservica"), ("PreservicaClient", "opencast")])
def test_importing_a_client_imports_neither_the_other_system_nor_what_calls_need(client: str, other: str) -> None:
    found = loaded(f"from workflow_async import {client}")
    assert not found & {"httpx", "httpcore", "certifi", "cattrs", "xml", "workflow_async.monitor"}
    assert not {name for name in found if name.startswith(f"workflow_async.{other}")}


@pytest.mark.parametrize(("http", "library"), [("httpx", "httpcore"), ("httpx2", "httpcore2"), ("aiohttp", "aiohttp")])
def test_making_a_client_imports_its_own_carrier_and_nothing_else_that_is_optional(http: str, library: str) -> None:
    found = loaded(f"import workflow_async; {MAKING[:-1]}, http={http!r})")
    assert not {name for name in found if name.startswith("workflow_async.preservica")}
    assert {"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp"} & found == {library}
    assert not (OPTIONAL - {library}).intersection(found)


def test_a_name_that_is_not_public_is_missed_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'workflow_async' has no attribute 'Nobody'"):
        workflow_async.Nobody  # noqa: B018 - the asking is the test


@pytest.mark.parametrize("module", ["workflow_async", "workflow_async.opencast", "workflow_async.preservica"])
def test_a_facade_lists_its_names_before_they_are_imported(module: str) -> None:
    listed = f"import {module} as facade; assert not set(facade.__all__) - set(dir(facade)), dir(facade)"
    assert module in loaded(listed)


@pytest.mark.parametrize("name", RECORDS)
def test_the_types_of_a_record_are_there_at_run_time(name: str) -> None:
    kind = RECORDS[name]
    assert get_type_hints(kind).keys() >= {field.name for field in attrs.fields(kind)}


@pytest.mark.parametrize("whole", [False, True], ids=["least", "whole"])
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_survives_a_pickle_and_can_be_hashed(name: str, whole: bool) -> None:  # noqa: FBT001 - a column
    record = specimen(RECORDS[name], whole=whole)
    again = pickle.loads(pickle.dumps(record))
    assert repr(again) == repr(record)
    assert again == record or "error" in attrs.fields_dict(type(record))  # no two exceptions are equal
    assert hash(record) == hash(record)
    assert {record: 1}[record] == 1


def specimen(kind: type[Any], *, whole: bool) -> Any:
    """A record with something in every field, or only in those it cannot do without."""
    hints = get_type_hints(kind)
    return kind(
        **{
            field.alias: value(hints[field.name])
            for field in attrs.fields(kind)
            if field.init and (field.default is attrs.NOTHING or (whole and kind.__module__.endswith(".records")))
        }
    )


def value(hint: Any) -> Any:
    """Something of a type."""
    if get_origin(hint) in (Union, types.UnionType):
        return value(get_args(hint)[0])
    if isinstance(hint, TypeVar):
        return specimen(opencast.Workflow, whole=True)
    if get_origin(hint) is tuple:
        return (value(get_args(hint)[0]),)
    if hint in PLAIN:
        return PLAIN[hint]
    return next(iter(hint)) if issubclass(hint, enum.Enum) else specimen(hint, whole=True)


def test_every_record_of_both_systems_is_tried() -> None:
    tried = set(RECORDS.values())
    for module in (opencast, preservica):
        assert {kind for kind in vars(module.records).values() if attrs.has(kind)} - tried <= {
            preservica.records.AcceptedCounts
        }
