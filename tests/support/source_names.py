"""Reads classes from source text: their methods, and what each name in an annotation refers to."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Self

from attrs import field, frozen

ROOT = Path(__file__).parents[2]
PACKAGE = "workflow_async"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@frozen
class Reference:
    """An object by its module and its name. A module has no name."""

    module: str
    name: str = ""

    def statement(self, local: str) -> str:
        """Return the statement that imports it under a local name."""
        if not self.name and local == self.module:
            return f"import {local}"
        source, name = (self.module, self.name) if self.name else self.module.rsplit(".", 1)
        return f"from {source} import {name}" + (f" as {local}" if local != name else "")


@frozen
class ModuleSource:
    """A module of this package."""

    name: str
    tree: ast.Module
    names: Mapping[str, Reference]
    """What each name at the top of the module refers to."""

    @classmethod
    def read(cls, name: str) -> Self:
        """Read a module. The stub of a package names what the package exports lazily."""
        base = ROOT / name.replace(".", "/")
        package = (base / "__init__.py").exists()
        paths = [base / "__init__.pyi", base / "__init__.py"] if package else [base.with_suffix(".py")]
        tree = ast.parse(next(path for path in paths if path.exists()).read_text(encoding="utf-8"))
        parent = name if package else name.rpartition(".")[0]
        return cls(name, tree, dict(_names(tree, name, parent)))


read = cache(ModuleSource.read)


def _names(tree: ast.Module, module: str, parent: str) -> Iterator[tuple[str, Reference]]:
    """Yield each import, including those inside functions, then each class and constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, Reference(alias.name)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = ".".join(filter(None, (parent if node.level else "", node.module)))
            yield from ((alias.asname or alias.name, _imported(source, alias.name)) for alias in node.names)
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        yield from ((target.id, Reference(module, target.id)) for target in targets if isinstance(target, ast.Name))
        if isinstance(statement, ast.ClassDef):
            yield statement.name, Reference(module, statement.name)


def _imported(source: str, name: str) -> Reference:
    """Return what `from source import name` imports, which may be a module of this package."""
    path = ROOT / source.replace(".", "/") / name
    is_module = source.startswith(PACKAGE) and (path.is_dir() or path.with_suffix(".py").exists())
    return Reference(f"{source}.{name}") if is_module else Reference(source, name)


def resolve(module: ModuleSource, dotted: str) -> Reference | None:
    """Return the definition that a name such as `monitor.Watch` leads to. None for a builtin."""
    first, *others = dotted.split(".")
    found = module.names.get(first)
    for name in others:
        if found is None or found.name or not found.module.startswith(PACKAGE):
            return None
        found = read(found.module).names.get(name)
    while found is not None and found.name and found.module.startswith(PACKAGE):
        further = read(found.module).names.get(found.name)
        if further is None or further == found:
            break
        found = further
    return found


@frozen
class ClassSource:
    """A class of this package."""

    module: ModuleSource
    node: ast.ClassDef
    arguments: Mapping[str, "tuple[ClassSource, ast.expr]"] = field(factory=dict)
    """The arguments of a generic class by type variable, each with the class in whose module it stands."""

    def functions(self) -> Iterator[Function]:
        """Yield the methods."""
        return (node for node in self.node.body if isinstance(node, Function))

    def with_bases(self) -> Iterator["ClassSource"]:
        """Yield the class and those of its bases that belong to this package, nearest first."""
        yield self
        for base in self.node.bases:
            generic = base.value if isinstance(base, ast.Subscript) else base
            found = find_class(resolve(self.module, ast.unparse(generic)))
            if found is not None:
                given = [base.slice] if isinstance(base, ast.Subscript) else []
                pairs = zip(found.parameters(), given, strict=False)
                yield from ClassSource(found.module, found.node, {name: (self, it) for name, it in pairs}).with_bases()

    def parameters(self) -> list[str]:
        """Return the names of the type variables in `Generic[...]`."""
        bases = [base for base in self.node.bases if isinstance(base, ast.Subscript)]
        generic = [ast.unparse(base.slice) for base in bases if ast.unparse(base.value) == "Generic"]
        return [name.strip() for names in generic for name in names.split(",")]

    def cached_properties(self) -> Iterator[tuple[str, str]]:
        """Yield the names of the private cached properties, without the underscore, and the text of their types."""
        for function in self.functions():
            decorated = [ast.unparse(decorator) for decorator in function.decorator_list] == ["cached_property"]
            if decorated and isinstance(function.returns, ast.Constant):
                yield function.name.removeprefix("_"), str(function.returns.value)


def find_class(reference: Reference | None) -> ClassSource | None:
    """Return a class of this package. None for another object."""
    if reference is None or not reference.name or not reference.module.startswith(PACKAGE):
        return None
    module = read(reference.module)
    nodes = [node for node in module.tree.body if isinstance(node, ast.ClassDef) and node.name == reference.name]
    return ClassSource(module, nodes[0]) if nodes else None


def is_asynchronous(reference: Reference) -> bool:
    """Return True for a class of this package that has a public coroutine function or `__aiter__`."""
    source = find_class(reference)
    if source is None:
        return False
    functions = [node for kind in source.with_bases() for node in kind.functions()]
    return any(
        node.name == "__aiter__" or (isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"))
        for node in functions
    )


def type_variable(reference: Reference) -> ast.Assign | None:
    """Return the definition of a type variable of this package. None for another object."""
    if not reference.name or not reference.module.startswith(PACKAGE):
        return None
    for node in read(reference.module).tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node).startswith(f"{reference.name} = TypeVar("):
            return node
    return None
