"""Both clients are alike: methods of the same name have the same parameters, except where the table says why not."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from workflow_async import OpencastClient, PreservicaClient, opencast, preservica
from workflow_async._core.client import service_names

Signature = Mapping[str, inspect.Parameter]

START = ("event_id", "definition_id", "configuration", "context", "parameters")
LIKE_START = "see workflows.start"
LIKE_CONSTRUCTOR = "see __init__"

UNLIKE: dict[str, dict[str, str]] = {
    "__init__": {
        "url": "an address with a scheme",
        "server": "may be a bare host, and pyPreservica and its credentials files call it so",
        "auth": "credentials of several kinds go with each request",
        "username": "a login exchanges it for a token",
        "password": "a login exchanges it for a token",
        "tenant": "Opencast chooses the tenant by the host name",
        "two_factor": "Opencast has no second factor",
        "shared_secret": "a login of Preservica only",
        "token_store": "Opencast issues no tokens",
        "run_as_user": "Preservica cannot switch the user",
        "run_with_roles": "Preservica cannot switch the roles",
    },
    "sync": dict.fromkeys(("url", "server", "auth", "username", "password", "tenant", "two_factor"), LIKE_CONSTRUCTOR),
    "from_env": {
        "url": "see __init__",
        "server": "see __init__",
        "tenant": "see __init__",
        "two_factor": "see __init__",
        "credentials_path": "the file is pyPreservica's",
    },
    "workflows.list": {
        "sort": "Preservica orders by the start only",
        "newest_first": "Opencast orders by the event's date and other keys",
        "literal": "only Opencast's text filters have wildcards",
        "with_operations": "Preservica's records have no operations",
        "with_configuration": "Preservica's records have no configuration",
        "with_errors": "Opencast's list has no errors",
        "with_active_steps": "Opencast shows all operations or none",
        "with_step_inputs": "Opencast shows them in the configuration of an operation",
        "with_start_inputs": "Opencast shows them in the configuration",
        "with_outputs": "Opencast's list has no outputs",
    },
    "workflows.count": {
        "state": "in the filters of Preservica",
        "definition_id": "Opencast's endpoints count by three filters only",
        "current_operation": "Opencast's endpoints count by three filters only",
    },
    "workflows.get": {
        "with_operations": "Preservica's records have no operations",
        "with_configuration": "Preservica's records have no configuration",
    },
    "workflows.start": {
        "event_id": "a workflow of Opencast runs on an event",
        "definition_id": "an event needs a definition, a context includes it",
        "configuration": "Opencast's word for the parameters of a workflow",
        "with_operations": "Preservica's response has no operations",
        "with_configuration": "Preservica's response has no configuration",
        "check_options": "Preservica does not show which parameters a context has",
        "on_conflict": "starts on Preservica do not conflict",
        "poll": "a start on Preservica waits for nothing",
        "context": "a workflow of Preservica runs in a context",
        "parameters": "Preservica's word for the configuration of a workflow",
        "correlation_id": "Opencast stores no correlation id",
    },
    "workflows.start_and_wait": dict.fromkeys((*START, "correlation_id", "on_conflict"), LIKE_START),
    "workflows.prepare_start": {
        **dict.fromkeys((*START, "correlation_id"), LIKE_START),
        "baseline": "replaces the correlation id, which Opencast does not store",
    },
    "workflows.run_all": {"on_conflict": "starts on Preservica do not conflict"},
    "workflows.watch": {
        "operations": "Preservica's records have no operations",
        "retry_stalled": "Opencast has no retry of a workflow",
    },
    "Start": dict.fromkeys(START, LIKE_START),
}
"""The parameters that only one of two methods has, with the reason."""
ON_ONE_SYSTEM = {
    "definitions": "Preservica has contexts, which are definitions with their settings",
    "contexts": "Opencast has definitions",
    "events": "workflows of Preservica run on no event",
    "processes": "Opencast has no ingest processes",
    "monitors": "Opencast has no process monitors",
    "version": "Preservica has no versions of an API",
    "me": "the login of Preservica names the user",
    "organization": "Preservica's tenant is an argument of the client",
    "workflows.for_event": "workflows of Preservica run on no event",
    "workflows.pause": "Preservica cannot be asked for a pause",
    "workflows.resume": "`retry` of Preservica resumes suspended workflows",
    "workflows.stop": "`terminate` of Preservica takes several workflows and returns no record",
    "workflows.terminate": "`stop` of Opencast takes one workflow and returns its record",
    "workflows.retry": "Opencast has no retry of a workflow",
    "workflows.errors": "`extra` of Preservica's `get` and `list` holds the errors",
    "workflows.answer": "Preservica has no hold after an error, and `retry` resumes suspended workflows",
    "workflows.delete": "Preservica keeps its workflows",
    "workflows.update": "Preservica cannot change a workflow",
    "workflows.replace_configuration": "Preservica cannot change a workflow",
}
"""The services and methods that only one system has, with the reason. A service stands for all of its methods."""


def methods(client: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the constructor and the public methods of a client and of its services, by the names that users write."""
    yield "__init__", type(client).__init__
    yield from public_methods(type(client), "")
    for service in service_names(type(client)):
        yield from public_methods(type(getattr(client, service)), f"{service}.")


def public_methods(kind: type[Any], prefix: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public functions of a class."""
    for name, member in inspect.getmembers_static(kind):
        function = getattr(member, "__func__", member)
        if inspect.isfunction(function) and not name.startswith("_"):
            yield f"{prefix}{name}", function


def callables(client: Any, start: type[Any]) -> dict[str, Callable[..., Any]]:
    """Return what users call of a system."""
    return {**dict(methods(client)), "Start": start}


OPENCAST = callables(OpencastClient("https://oc.example.org", auth=("user", "secret")), opencast.Start)
PRESERVICA = callables(PreservicaClient("pv.example.org", username="user", password="secret"), preservica.Start)
SHARED = sorted(OPENCAST.keys() & PRESERVICA.keys())


def parameters(function: Callable[..., Any]) -> Signature:
    """Return the parameters that a caller can name, and those that take several values."""
    return {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in {"self", "cls"} and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def differences(one: Signature, other: Signature) -> set[str]:
    """Return the parameters that only one has, or that differ in their kind or default."""
    return {name for name in one.keys() | other.keys() if describe(one.get(name)) != describe(other.get(name))}


def describe(parameter: inspect.Parameter | None) -> object:
    """Return what must be the same of two parameters. Types differ, because each system has its own records."""
    return None if parameter is None else (parameter.kind, repr(parameter.default))


@pytest.mark.parametrize("name", SHARED)
def test_methods_of_the_same_name_have_the_same_parameters(name: str) -> None:
    found = differences(parameters(OPENCAST[name]), parameters(PRESERVICA[name]))
    assert found == UNLIKE.get(name, {}).keys(), "give both the parameter, or say in UNLIKE why not"


@pytest.mark.parametrize("name", SHARED)
def test_shared_parameters_stand_in_the_same_order(name: str) -> None:
    one, other = parameters(OPENCAST[name]), parameters(PRESERVICA[name])
    positional = [
        [each for each in signature if each in one and each in other and signature[each].kind.name.startswith("POS")]
        for signature in (one, other)
    ]
    assert positional[0] == positional[1]


def docstring(client: type[Any], functions: Mapping[str, Callable[..., Any]], name: str) -> str:
    """Return the docstring of a method. The constructor is described by its class."""
    return (client.__doc__ if name == "__init__" else functions[name].__doc__) or ""


@pytest.mark.parametrize(
    "name", [name for name, reasons in UNLIKE.items() if {*reasons.values()} - {LIKE_START, LIKE_CONSTRUCTOR}]
)
def test_a_docstring_says_why_two_methods_differ(name: str) -> None:
    of_opencast = docstring(OpencastClient, OPENCAST, name)
    of_preservica = docstring(PreservicaClient, PRESERVICA, name)
    assert "Preservica" in of_opencast or "Opencast" in of_preservica, "name the other system in a docstring"


def test_every_method_of_one_system_has_a_reason() -> None:
    alone = {name for name in OPENCAST.keys() ^ PRESERVICA.keys() if name.partition(".")[0] not in ON_ONE_SYSTEM}
    assert alone == {name for name in ON_ONE_SYSTEM if name.startswith("workflows.")}


def test_every_service_of_one_system_has_a_reason() -> None:
    firsts = {name.partition(".")[0] for name in OPENCAST.keys() ^ PRESERVICA.keys()} - {"workflows"}
    assert firsts == {name for name in ON_ONE_SYSTEM if not name.startswith("workflows.")}


def test_both_take_the_same_options_of_a_client() -> None:
    own = {"run_as_user", "run_with_roles", "shared_secret", "token_store"}
    one, other = (module.ClientOptions.__annotations__.keys() for module in (opencast, preservica))
    assert one ^ other == own


def test_a_difference_is_found() -> None:
    def one(id: int, *, limit: int = 1) -> None: ...

    def other(id: int, limit: int = 1, *, more: bool = False) -> None: ...

    assert differences(parameters(one), parameters(other)) == {"limit", "more"}
