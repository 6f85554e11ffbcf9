"""The types of the synchronous clients are those of the asynchronous ones, and the classes have all that they name."""

import ast
import importlib
import inspect
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.support.source_names import ClassSource, ModuleSource, Reference
from tests.support.stub_text import COMMAND, Stub
from tests.support.sync_stubs import CLIENTS, FOLDER, NoSynchronousClass, methods, stubs
from workflow_async import OpencastClient, PreservicaClient, opencast, preservica
from workflow_async._core.client import service_names

STUBS = [*(f"{system}.pyi" for system in CLIENTS), "streams.pyi"]
ASYNCHRONOUS = ("__aiter__", "__anext__", "__aenter__", "__aexit__", "__await__", "aclose")


def declared(stub: Path) -> dict[str, set[str]]:
    """Return the members of each class of a stub."""
    classes = [node for node in ast.parse(stub.read_text()).body if isinstance(node, ast.ClassDef)]
    return {node.name: {part.name for part in node.body if isinstance(part, ast.FunctionDef)} for node in classes}


def test_the_stubs_fit_the_asynchronous_clients() -> None:
    outdated = [path.name for path, text in stubs().items() if path.read_text() != text]
    assert not outdated, f"the types of the synchronous clients are out of date. Run: {COMMAND}"


@pytest.mark.parametrize("stub", STUBS)
def test_every_class_has_the_members_that_its_stub_names(stub: str) -> None:
    module = importlib.import_module(f"workflow_async.sync.{stub.removesuffix('.pyi')}")
    for name, members in declared(FOLDER / stub).items():
        kind = getattr(module, name)
        assert not members - set(dir(kind)), name
        assert not set(ASYNCHRONOUS) & set(dir(kind)), name
        assert (kind.__name__, kind.__module__) == (name, module.__name__)


@pytest.mark.parametrize("stub", STUBS)
def test_every_public_member_of_a_class_stands_in_its_stub(stub: str) -> None:
    module = importlib.import_module(f"workflow_async.sync.{stub.removesuffix('.pyi')}")
    for name, members in declared(FOLDER / stub).items():
        kind = getattr(module, name)
        own = {member for base in kind.__mro__ if base.__module__ == module.__name__ for member in vars(base)}
        assert {member for member in own if not member.startswith("_")} <= members, name


def test_a_client_has_the_services_of_the_asynchronous_client() -> None:
    oc = OpencastClient("https://oc.example.org", auth=("user", "secret"))
    pv = PreservicaClient("eu.preservica.com", username="user", password="secret")
    for client, twin in (
        (oc, OpencastClient.sync("https://oc.example.org", auth=("user", "secret"))),
        (pv, PreservicaClient.sync("eu.preservica.com", username="user", password="secret")),
    ):
        for name in service_names(type(client)):
            assert type(getattr(twin, name)).__name__ == f"Sync{type(getattr(client, name)).__name__}"


def test_a_method_keeps_its_docstring_and_its_parameters() -> None:
    oc = OpencastClient.sync("https://oc.example.org", auth=("user", "secret"))
    assert inspect.getdoc(oc.workflows.get) == inspect.getdoc(opencast.Workflows.get)
    assert "with_operations" in inspect.signature(oc.workflows.get).parameters
    assert not inspect.iscoroutinefunction(oc.workflows.get)
    assert "OPENCAST_URL" in (inspect.getdoc(type(oc).from_env) or "")


@pytest.mark.parametrize(("client", "module"), [(OpencastClient, opencast), (PreservicaClient, preservica)])
def test_sync_takes_the_arguments_of_the_constructor(client: Any, module: Any) -> None:
    constructor = dict(inspect.signature(client).parameters)
    named = dict(inspect.signature(client.sync).parameters)
    assert named.pop("options").kind is inspect.Parameter.VAR_KEYWORD
    assert {name: constructor[name] for name in named} == named
    assert constructor.keys() - named.keys() == module.ClientOptions.__annotations__.keys()


def source(text: str) -> ClassSource:
    """Return the class of a module with this text."""
    tree = ast.parse(dedent(text))
    node = tree.body[-1]
    assert isinstance(node, ast.ClassDef)
    names = {name: Reference("workflow_async._listing.listing", name) for name in ("Listing", "Pages")}
    unknown = {"Prefetcher": Reference("workflow_async._listing.prefetch", "Prefetcher")}
    return ClassSource(ModuleSource("workflow_async.example", tree, {**names, **unknown}), node)


def test_an_asynchronous_class_without_a_synchronous_one_is_refused_with_the_place_to_add_it() -> None:
    with pytest.raises(NoSynchronousClass, match="Example returns Prefetcher.* add it to RETURNED"):
        [*methods(Stub("example"), source("class Example:\n    def ahead(self) -> Prefetcher[int]: ..."))]


def test_a_quoted_annotation_is_read_and_texts_of_a_literal_are_kept() -> None:
    text = """
        class Example:
            async def one(self, how: "Literal['a', 'b'] | None" = None, ahead: int = MAX) -> "Listing[int]": ...
    """
    assert [*methods(Stub("example"), source(text))] == [
        "def one(self, how: Literal['a', 'b'] | None=None, ahead: int=...) -> SyncListing[int]: ..."
    ]
