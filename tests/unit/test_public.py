"""The public face: names, docstrings and types, and what importing them loads."""

import enum
import importlib
import inspect
import pickle
import subprocess
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
import pytest

import workflow_async
from workflow_async import Clock, OpencastClient, PreservicaClient, errors, opencast, preservica, sandbox
from workflow_async.errors import CallError, NotFound

PUBLIC = {
    "workflow_async": """
        Basic Bearer Clock Consistency Digest HTTPBackend Limits Listing ListingReport OpencastClient Page
        Pages ParameterValue Phase Poll PreservicaClient Retry Secret TLS Timeouts UnreadableRow auth batch errors
        monitor opencast phase preservica settings
    """,
    "workflow_async.auth": "Basic Bearer Digest PasswordFunction Secret TokenFunction",
    "workflow_async.batch": """
        AlreadyDone Ambiguous Completed Conflicted Entry Gate Journal JournalContents NoStartFound NotStarted
        OnConflict OperationDuration OutcomeUnknown ReconcileResult Rejected Result Run Skipped Slot StartFound
        StartStatus StatusKind Ticket entry_from_json entry_to_json planned_status read_journal status_after
    """,
    "workflow_async.distributed": "Claim Coordinator Lease MemoryCoordinator MemoryStore distribute shards_of",
    "workflow_async.distributed.nats": "NatsCoordinator NatsJournal NatsPace ShardInfo",
    "workflow_async.monitor": """
        ActiveSnapshot Change ConditionMet EventHook Finished OnChange OperationChange Outcome OutcomeStream Parked
        PollResult PollingFailed Predicate Replaced Stalled TimedOut Vanished Watch WatchEvent WatchSpec WhenParked
        poll_once snapshot_active
    """,
    "workflow_async.observe": """
        ClientEvent LoggedIn Middleware OnEvent Outage Polled RemedyFailed Reply Reported Request RequestSent Retrying
        Send SlowedDown Stats log_event
    """,
    "workflow_async.observe.otel": "Observed OpenTelemetry",
    "workflow_async.opencast": """
        ClientOptions Definition DefinitionSort Definitions Event EventFilters EventListSort EventSort EventStatus
        Events HoldAnswer Incident Me OpencastClient Operation OperationDefinition OperationState Option OptionType
        Organization Severity Start State Version Workflow WorkflowFilters Workflows
    """,
    "workflow_async.preservica": """
        ClientOptions Context Contexts FileTokenStore Message MessageStatus Monitor MonitorCategory MonitorStatus
        Monitors PreservicaClient Process Processes Start Started State TokenStore WhenProcessParked Workflow
        WorkflowFilters WorkflowType Workflows
    """,
    "workflow_async.opencast.webhooks": "WebhookApp workflow_id",
    "workflow_async.preservica.webhooks": "EntityEvent WebhookApp answer_challenge events verify",
    "workflow_async.problems": "Problem ProblemResponse on_error problem_of",
    "workflow_async.sync": """
        SyncItems SyncListing SyncOpencastClient SyncOutcomeStream SyncPages SyncPreservicaClient SyncRun SyncWatch
    """,
    "workflow_async.sandbox": """
        Boot CannedResponse FakeOpencast FakePreservica Fault Faults IndexFault ManualClock OddRow RealClock
        RecordedRequest Sandbox SecondResume ServerClock Step StepResult TimeSource Trouble
    """,
    "workflow_async.phase": "Phase Workflow",
    "workflow_async.settings": "Clock Limits Pace Poll Retry Timeouts",
    "workflow_async.testing": "ClientTime SkippingTime change finished opencast_workflow preservica_workflow",
}
SERVICES = ("workflows", "definitions", "events", "contexts", "processes", "monitors")
OPTIONAL = {
    *("typer", "rich", "click", "starlette", "fastapi", "uvicorn"),
    *("opentelemetry", "aiohttp", "aiosqlite", "orjson", "httpx2", "nats", "pydantic", "pydantic_core"),
}
"""Libraries that importing the package must not load, even if they are installed.

They are extras, or programs that the tests embed the package in.
"""
SAMPLE_VALUES: dict[Any, Any] = {
    int: 7,
    str: "text",
    bytes: b"<Id>7</Id>",
    bool: True,
    float: 1.5,
    datetime: datetime(2026, 1, 1, 12, tzinfo=UTC),
    Mapping[str, str]: {"key": "text"},
    Mapping[str, Any]: {"key": {"more": ["text"]}},
    CallError: NotFound(404),
}
"""A value of each type that records are made of."""


def public(module: str) -> Iterator[Any]:
    """Return everything that a module lists in `__all__`."""
    imported = importlib.import_module(module)
    return (getattr(imported, name) for name in imported.__all__)


def methods(kind: type[Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public functions and properties of a class that this package defines."""
    for name, member in inspect.getmembers_static(kind):
        function: Any = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        is_own = inspect.isfunction(function) and function.__module__.startswith("workflow_async")
        if is_own and not name.startswith("_"):
            yield f"{function.__module__}.{function.__qualname__}", function


def services() -> Iterator[type[Any]]:
    """Yield both clients, and the classes of their services such as `client.workflows`."""
    oc = OpencastClient("https://oc.example.org", auth=("user", "secret"))
    pv = PreservicaClient("eu.preservica.com", username="user", password="secret")
    for client in (oc, pv):
        yield type(client)
        yield from (type(getattr(client, name)) for name in SERVICES if hasattr(client, name))


def signature(method: Callable[..., Any]) -> str:
    """Return a method's signature as text."""
    return str(inspect.signature(method))


def classes() -> dict[str, type[Any]]:
    """Return every public class by its full name: those of the façades, the services and the errors."""
    of_errors = [kind for kind in vars(errors).values() if inspect.isclass(kind) and kind.__module__ == errors.__name__]
    named = [kind for module in PUBLIC for kind in public(module) if inspect.isclass(kind)]
    return {f"{kind.__module__}.{kind.__qualname__}": kind for kind in (*named, *services(), *of_errors)}


CLASSES = classes()
METHODS = dict(method for kind in CLASSES.values() for method in methods(kind))
CALLS = {name: method for kind in services() for name, method in methods(kind) if inspect.iscoroutinefunction(method)}
RECORDS = {
    name: kind
    for name, kind in CLASSES.items()
    if attrs.has(kind)
    and kind.__module__.endswith(("records", ".panel", ".incidents", "monitor.events", "observe.events", ".settings"))
    and kind is not Clock
}


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_sorted_and_pinned(module: str) -> None:
    names = importlib.import_module(module).__all__
    assert names == PUBLIC[module].split()
    assert names == sorted(names)


def test_every_public_name_can_be_imported() -> None:
    assert all(value is not None for module in PUBLIC for value in public(module))


def test_every_public_class_has_a_docstring() -> None:
    docstrings = {name: kind.__doc__ or "" for name, kind in CLASSES.items()}
    assert not [name for name, text in docstrings.items() if not text or text.startswith("Method generated by attrs")]


def test_every_public_method_has_a_docstring() -> None:
    assert not [name for name, method in METHODS.items() if not method.__doc__]


def test_every_public_function_has_a_docstring() -> None:
    functions = [function for module in PUBLIC for function in public(module) if inspect.isfunction(function)]
    assert functions
    assert not [function for function in functions if not function.__doc__]


def test_every_call_documents_its_source_or_waits() -> None:
    allowed = ("Source: ", "ait for", "ait until", "like `start`", "Open the client", "closes every connection")
    assert CALLS
    assert not [name for name, call in CALLS.items() if not any(words in (call.__doc__ or "") for words in allowed)]


def test_every_listing_documents_its_source() -> None:
    listings = {name: method for name, method in METHODS.items() if "Listing[" in signature(method)}
    assert listings
    assert not [name for name, method in listings.items() if "Source: " not in (method.__doc__ or "")]


def loaded(code: str) -> set[str]:
    """Return the modules that a new interpreter has after running this code."""
    without = "import sys; sys.modules['httpx._main'] = None"  # httpx's own command line brings click and rich
    script = f"{without}; {code}; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


CLIENT = "workflow_async.OpencastClient('https://oc.example.org', auth=('user', 'secret'))"


def test_importing_the_package_imports_no_module_of_it() -> None:
    own = {name for name in loaded("import workflow_async") if name.startswith("workflow_async")}
    assert own == {"workflow_async"}


@pytest.mark.parametrize(("client", "other"), [("OpencastClient", "preservica"), ("PreservicaClient", "opencast")])
def test_importing_a_client_imports_neither_the_other_system_nor_an_http_library(client: str, other: str) -> None:
    found = loaded(f"from workflow_async import {client}")
    assert not found & {"httpx", "httpcore", "certifi", "cattrs", "xml", "workflow_async.monitor"}
    assert not {name for name in found if name.startswith(f"workflow_async.{other}")}


HTTP_LIBRARIES = {"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp"}


@pytest.mark.parametrize("http", ["httpx", "httpx2", "aiohttp"])
def test_creating_a_client_imports_no_http_library_and_no_service(http: str) -> None:
    found = loaded(f"import workflow_async; {CLIENT[:-1]}, http={http!r})")
    assert not {name for name in found if name.startswith(("workflow_async.preservica", "workflow_async.sync"))}
    assert not found & {*HTTP_LIBRARIES, *OPTIONAL, "workflow_async.monitor", "workflow_async.batch"}


@pytest.mark.parametrize(("http", "library"), [("httpx", "httpcore"), ("httpx2", "httpcore2"), ("aiohttp", "aiohttp")])
def test_the_first_connection_imports_its_library_and_no_other_optional_one(http: str, library: str) -> None:
    create = f"client = {CLIENT[:-1]}, http={http!r})"
    found = loaded(f"import workflow_async; {create}; client._transport.backend.new_connection._factory()")
    assert found & HTTP_LIBRARIES == {library}
    assert not (OPTIONAL - {library}).intersection(found)


def test_the_modules_are_attributes_of_the_package() -> None:
    code = "import workflow_async; workflow_async.errors.NotFound, workflow_async.settings.Poll, workflow_async.phase"
    found = {name for name in loaded(code) if name.startswith("workflow_async.")}
    assert {"workflow_async.errors", "workflow_async.settings", "workflow_async.phase"} <= found
    assert not {name for name in found if name.startswith(("workflow_async.opencast", "workflow_async.preservica"))}


PRIVATE_IN_ANNOTATIONS = {
    "workflow_async._core.call.Call": "`Page.next`, which only a listing reads",
    "workflow_async._core.call.Reply": "`renew` of credentials, which only a client calls",
    "workflow_async._core.auth.Refusable": "`refusable` of credentials, which only a client calls",
    "workflow_async._listing.resume.Place": "the place of a pass, of which `resume_point` is the text",
    "workflow_async.batch.workflow_details.WorkflowDetails": "`Entry.details`, which only `status_after` reads",
    "workflow_async.batch.start_records.OpencastStart": "`Ticket.arguments`, which only a client reads",
    "workflow_async.batch.start_records.PreservicaStart": "`Ticket.arguments`, which only a client reads",
    "workflow_async.monitor.spec.client.Client": "a protocol that both clients satisfy",
    "workflow_async.monitor.spec.records.Cursor": "the state of a `WatchSpec`, which is stored with it",
    "workflow_async.monitor.spec.server_memory.ServerMemory": "the state of a `WatchSpec`, which is stored with it",
    "workflow_async.sandbox.opencast.definitions.Definition": "the result of `FakeOpencast.define`, which tests ignore",
}
"""Classes in annotations that need no import, with the reason."""


def test_every_class_that_an_annotation_needs_can_be_imported() -> None:
    importable = {id(value) for module in (*PUBLIC, errors.__name__) for value in public(module)}
    hints = [hint for method in METHODS.values() for hint in runtime_hints(method).values()]
    hints += [hint for kind in RECORDS.values() for hint in get_type_hints(kind).values()]
    hints += [type(fake) for fake in vars(sandbox.Sandbox()).values()]
    named = {kind for hint in hints for kind in classes_in(hint) if kind.__module__.startswith("workflow_async")}
    private = {f"{kind.__module__}.{kind.__qualname__}" for kind in named if id(kind) not in importable}
    assert {name for name in private if name.rpartition(".")[2][0] != "_"} <= PRIVATE_IN_ANNOTATIONS.keys()


def runtime_hints(method: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the types of a method, as far as they are available at run time."""
    try:
        return get_type_hints(method)
    except NameError:  # a type that the method imports when it is called
        return {}


def classes_in(hint: Any) -> Iterator[type[Any]]:
    """Yield the classes that an annotation names."""
    origin = get_origin(hint) or hint
    if inspect.isclass(origin):
        yield origin
    for argument in get_args(hint):
        members = argument if isinstance(argument, list) else [argument]
        yield from (kind for member in members for kind in classes_in(member))


def test_a_name_that_is_not_public_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="workflow_async.* Unknown"):
        workflow_async.Unknown  # type: ignore[attr-defined]  # noqa: B018 - the access is the test


@pytest.mark.parametrize("module", ["workflow_async", "workflow_async.opencast", "workflow_async.preservica"])
def test_a_facade_lists_its_names_before_they_are_imported(module: str) -> None:
    listed = f"import {module} as facade; assert not set(facade.__all__) - set(dir(facade)), dir(facade)"
    assert module in loaded(listed)


def test_the_types_of_a_record_are_available_at_run_time() -> None:
    for kind in RECORDS.values():
        assert get_type_hints(kind).keys() >= {field.name for field in attrs.fields(kind)}, kind


@pytest.mark.parametrize("complete", [False, True], ids=["required fields", "all fields"])
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_can_be_pickled_and_hashed(name: str, complete: bool) -> None:  # noqa: FBT001 - a column
    record = specimen(RECORDS[name], complete=complete)
    unpickled = pickle.loads(pickle.dumps(record))
    assert repr(unpickled) == repr(record)
    assert unpickled == record or "error" in attrs.fields_dict(type(record))  # no two exceptions are equal
    assert hash(record) == hash(record)
    assert {record: 1}[record] == 1


def specimen(kind: type[Any], *, complete: bool) -> Any:
    """Return a record with a value in every field, or only in the required fields."""
    hints = get_type_hints(kind)
    return kind(
        **{
            field.alias: value(hints[field.name])
            for field in attrs.fields(kind)
            if field.init
            and (
                field.default is attrs.NOTHING
                or (complete and kind.__module__.endswith(("records", ".panel", ".incidents")))
            )
        }
    )


def value(hint: Any) -> Any:
    """Return a value of a type."""
    if get_origin(hint) is Literal:
        return get_args(hint)[0]
    if get_origin(hint) in (Union, types.UnionType):
        return value(get_args(hint)[0])
    if isinstance(hint, TypeVar):
        return specimen(opencast.Workflow, complete=True)
    if get_origin(hint) is tuple:
        return (value(get_args(hint)[0]),)
    if hint in SAMPLE_VALUES:
        return SAMPLE_VALUES[hint]
    return next(iter(hint)) if issubclass(hint, enum.Enum) else specimen(hint, complete=True)


def test_every_record_of_both_systems_is_tested() -> None:
    tested = set(RECORDS.values())
    for module in (opencast, preservica):
        assert {kind for kind in vars(module.records).values() if attrs.has(kind)} - tested <= {
            preservica.records.AcceptedCounts
        }
