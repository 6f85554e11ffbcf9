"""Writes the types of the synchronous clients from the asynchronous classes: `python -m tests.support.sync_stubs`.

Only the source text is read. A method keeps its parameters. `async` goes, and an asynchronous class in what it returns
becomes its synchronous class.
"""

import ast
import copy
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from textwrap import indent

from attrs import define

from tests.support.source_names import (
    ROOT,
    ClassSource,
    Function,
    Reference,
    find_class,
    is_asynchronous,
    resolve,
    type_variable,
)
from tests.support.stub_text import Stub

FOLDER = ROOT / "workflow_async/sync"
STREAMS = "workflow_async.sync.streams"
SYNC_CLIENT = Reference("workflow_async.sync._client", "SyncClient")
CLIENTS = {
    "opencast": Reference("workflow_async.opencast.client", "OpencastClient"),
    "preservica": Reference("workflow_async.preservica.client", "PreservicaClient"),
}
RETURNED = (
    Reference("workflow_async._listing.listing", "Pages"),
    Reference("workflow_async._listing.listing", "Items"),
    Reference("workflow_async._listing.listing", "Listing"),
    Reference("workflow_async.monitor.waits", "OutcomeStream"),
    Reference("workflow_async.monitor.watch", "Watch"),
    Reference("workflow_async.batch.run", "Run"),
)
"""The asynchronous classes whose objects calls return."""
RENAMED = {
    "aclose": "close",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
}
INHERITED = {"url", "open", "aclose", "__aenter__", "__aexit__", "sync"}
"""Members of a client that its base class has already, or that only the asynchronous client has."""
ITERATOR = Reference("collections.abc", "Iterator")
"""What a method returns in place of `AsyncIterator`, which only asynchronous generators return."""
ASYNCHRONOUS_TYPES = {"Awaitable", "Coroutine", "AsyncIterable", "AsyncGenerator"}


class NoSynchronousClass(Exception):
    """A method returns an asynchronous object that has no synchronous class."""


@define
class Annotation(ast.NodeTransformer):
    """Turns an annotation of a source module into one of the stub, and imports what it names."""

    stub: Stub
    source: ClassSource
    returned: bool
    """True for what a method returns, where asynchronous classes are replaced."""

    def of(self, node: ast.expr) -> ast.expr:
        """Return the annotation for the stub."""
        found: ast.expr = self.visit(copy.deepcopy(node))
        return found

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """Read a quoted annotation."""
        return self.of(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Keep the texts of `Literal[...]`."""
        node.value = self.visit(node.value)
        if ast.unparse(node.value) != "Literal":
            node.slice = self.visit(node.slice)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Replace `monitor.Watch` by its synchronous class. Keep other dotted names."""
        return self._replaced(node) or self.generic_visit(node)  # type: ignore[return-value]  # an expression

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Import the name, or put the argument of a generic base class in place of its type variable."""
        argument = self.source.arguments.get(node.id)
        if argument is not None:
            child, expression = argument
            return Annotation(self.stub, child, returned=self.returned).of(expression)
        replaced = self._replaced(node)
        if replaced is None:
            self._import(node.id)
        return replaced or node

    def _import(self, name: str) -> None:
        reference = self.source.module.names.get(name)
        if reference is None:
            return  # a builtin
        definition = type_variable(reference)
        if definition is None:
            self.stub.use(name, reference)
            return
        self.stub.use("TypeVar", Reference("typing", "TypeVar"))
        self.stub.variables[name] = ast.unparse(definition)
        for used in ast.walk(definition.value):
            if isinstance(used, ast.Name) and used.id != "TypeVar":
                self._import(used.id)

    def _replaced(self, node: ast.expr) -> ast.expr | None:
        """Return the synchronous class for an asynchronous class."""
        reference = resolve(self.source.module, ast.unparse(node))
        if reference is None or not self.returned:
            return None
        if reference in RETURNED:
            name = f"Sync{reference.name}"
            self.stub.use(name, Reference(STREAMS, name))
            return ast.Name(name)
        if reference.name == "AsyncIterator":
            self.stub.use(ITERATOR.name, ITERATOR)
            return ast.Name(ITERATOR.name)
        if reference.name in ASYNCHRONOUS_TYPES or is_asynchronous(reference):
            raise NoSynchronousClass(
                f"{self.source.node.name} returns {reference.name}, which has no synchronous class: add it to RETURNED"
                " in tests/support/sync_stubs.py and to workflow_async/sync/streams.py"
            )
        return None


def method(stub: Stub, source: ClassSource, node: Function) -> str:
    """Return the synchronous form of a method, with its signature only."""
    arguments = copy.deepcopy(node.args)
    given = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    for argument in given:
        if argument is not None and argument.annotation is not None:
            argument.annotation = Annotation(stub, source, returned=False).of(argument.annotation)
    arguments.defaults = [_default(value) for value in arguments.defaults]
    arguments.kw_defaults = [value and _default(value) for value in arguments.kw_defaults]
    returned = "" if node.returns is None else ast.unparse(Annotation(stub, source, returned=True).of(node.returns))
    decorators = [f"@{ast.unparse(decorator)}" for decorator in node.decorator_list]
    if _is_overload(node):
        stub.use("overload", Reference("typing", "overload"))
    name = RENAMED.get(node.name, node.name)
    arrow = f" -> {returned}" if returned else ""
    return "\n".join([*decorators, f"def {name}({ast.unparse(arguments)}){arrow}: ..."])


def _default(value: ast.expr) -> ast.expr:
    """Return a default if a stub may show it, otherwise `...`."""
    return value if isinstance(value, ast.Constant) else ast.Constant(...)


def methods(stub: Stub, source: ClassSource, without: Collection[str] = ()) -> Iterator[str]:
    """Yield every public method of a class and its bases. An overloaded method has only the overloads."""
    seen = set(without)
    for kind in source.with_bases():
        functions = [node for node in kind.functions() if _is_public(node.name) and node.name not in seen]
        overloaded = {node.name for node in functions if _is_overload(node)}
        yield from (method(stub, kind, node) for node in functions if node.name not in overloaded or _is_overload(node))
        seen |= {node.name for node in functions}


def _is_public(name: str) -> bool:
    return not name.startswith("_") or name in RENAMED


def _is_overload(node: Function) -> bool:
    return any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list)


def class_text(name: str, base: str, members: Iterable[str]) -> str:
    """Return the text of a class."""
    return f"class {name}({base}):\n" + indent("\n".join(members) or "...", "    ")


def client_stub(system: str) -> Stub:
    """Return the stub of the client for one system, and of its services."""
    stub = Stub(f"workflow_async.sync.{system}")
    client = _class(CLIENTS[system])
    services = [(name, _class(resolve(client.module, kind))) for name, kind in client.cached_properties()]
    for _, service in services:
        stub.classes.append(class_text(f"Sync{service.node.name}", "", methods(stub, service)))
    stub.use(client.node.name, CLIENTS[system])
    stub.use(SYNC_CLIENT.name, SYNC_CLIENT)
    stub.use("Self", Reference("typing", "Self"))
    members = [
        *(f"{name}: Sync{service.node.name}" for name, service in services),
        *methods(stub, client, {*INHERITED, *(name for name, _ in services)}),
    ]
    base = f"{SYNC_CLIENT.name}[{client.node.name}]"
    stub.classes.append(class_text(f"Sync{client.node.name}", base, members))
    return stub


def streams_stub() -> Stub:
    """Return the stub of the classes whose objects calls return."""
    stub = Stub(STREAMS)
    stub.use("Generic", Reference("typing", "Generic"))
    for reference in RETURNED:
        source = _class(reference)
        base = f"Generic[{', '.join(source.parameters())}]"
        stub.classes.append(class_text(f"Sync{source.node.name}", base, methods(stub, source)))
    return stub


def _class(reference: Reference | None) -> ClassSource:
    found = find_class(reference)
    assert found is not None, f"{reference} is no class of this package"
    return found


def stubs() -> dict[Path, str]:
    """Return the text of each stub by its path."""
    found = {FOLDER / f"{system}.pyi": client_stub(system) for system in CLIENTS}
    found[FOLDER / "streams.pyi"] = streams_stub()
    return {path: stub.text() for path, stub in found.items()}


if __name__ == "__main__":
    for path, text in stubs().items():
        path.write_text(text, encoding="utf-8")
