"""Tests by their names in tables: whether they exist, and the values that they run with."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
NAME = re.compile(r"`([\w/]+\.py)::(\w+)(?:\[([^\]]+)\])?`")
"""A test in a table: its file in `tests`, its name, and perhaps one of its values."""


def fault_of_name(text: str) -> str | None:
    """Return what is wrong with a text that should name a test. None if it names one that exists."""
    match = NAME.fullmatch(text)
    if match is None:
        return "names no test"
    file, name, value = match.groups()
    if name not in names_in(file):
        return f"no such test: {name}"
    return None if value is None or value in values_of(file, name) else f"{name} has no case {value}"


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names of the tests of a file. Empty if there is no such file."""
    path = TESTS / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    functions = (node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(name for name in functions if name.startswith("test_"))


def values_of(file: str, name: str) -> set[str]:
    """Return the values that a test runs with, and their ids."""
    test: Any = getattr(importlib.import_module(f"tests.{file.removesuffix('.py').replace('/', '.')}"), name)
    marks = [mark for mark in test.pytestmark if mark.name == "parametrize"]
    values = [str(value) for mark in marks for value in mark.args[1]]
    return {*values, *(str(id) for mark in marks for id in mark.kwargs.get("ids") or ())}
