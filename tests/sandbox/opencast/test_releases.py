"""The table of releases is the only place in the sandbox that names releases."""

import ast
from inspect import signature
from pathlib import Path
from typing import get_args

import workflow_async.sandbox
from workflow_async.cli.serve import releases, sandbox
from workflow_async.sandbox import Sandbox
from workflow_async.sandbox.opencast.releases import DEFAULT, RELEASES, Release


def test_the_type_and_the_table_have_the_same_releases() -> None:
    assert get_args(Release) == tuple(RELEASES)


def test_the_command_line_offers_the_releases_of_the_table() -> None:
    assert releases() == tuple(RELEASES)


def test_the_default_release_is_the_same_for_the_class_and_the_command_line() -> None:
    assert signature(Sandbox).parameters["opencast_version"].default == DEFAULT
    assert signature(sandbox).parameters["opencast_version"].default == DEFAULT


def test_no_other_module_of_the_sandbox_names_a_release() -> None:
    folder = Path(workflow_async.sandbox.__file__).parent
    naming = {
        path.name
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in tuple(RELEASES)
    }
    assert naming == {"releases.py"}
