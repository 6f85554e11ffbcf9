"""Configuration of Sphinx, which builds `workflow_async/docs`."""  # noqa: INP001 - not a package

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import workflow_async

project = "workflow-async"
author = "The workflow-async authors"
release = version = workflow_async.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"workflow-async {release}"
myst_heading_anchors = 3  # links such as listing.md#opencast-12-and-later

suppress_warnings = ["ref.python"]  # the type `bytes` of an annotation is also the name of two fields
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

CODE = re.compile(r"(?<![`:\w])`([^`\n]+)`(?!`)")
"""Code in a docstring, which is Markdown there."""
PUBLIC = re.compile(r"^<!-- public names of (\S+) -->$", re.MULTILINE)
"""Stands in the page of the reference for all public names of a module."""
FOREIGN = "object, dict, Enum, Exception, OSError, TimeoutError, ValueError, Protocol, Generic"
"""Classes whose members the reference leaves out."""
MEMBERS = f"   :members:\n   :undoc-members:\n   :inherited-members: {FOREIGN}\n"
"""The options of a class."""


def as_restructured_text(*given: Any) -> None:
    """Turn the Markdown code of a docstring into that of reStructuredText, in place."""
    lines = given[-1]
    lines[:] = CODE.sub(r"``\1``", "\n".join(lines)).split("\n")


def add_public_names(_app: Any, page: str, source: list[str]) -> None:
    """Put a directive for each public name into the page of the reference."""
    seen: set[type] = set()
    if page == "reference":
        source[0] = PUBLIC.sub(lambda match: "\n".join(directives(match[1], seen)), source[0])


def directives(module: str, seen: set[type]) -> Iterator[str]:
    """Yield the lines that document the public names of a module, except modules and classes that are in `seen`."""
    yield "```{eval-rst}"
    names = importlib.import_module(module)
    for name in names.__all__:
        value = getattr(names, name)
        if inspect.ismodule(value):
            continue
        if not inspect.isclass(value):
            yield f".. {'autofunction' if inspect.isroutine(value) else 'autodata'}:: {module}.{name}\n"
        elif value not in seen:
            seen.add(value)
            yield f".. autoclass:: {module}.{name}\n{MEMBERS}"
    yield "```"


def setup(app: Any) -> None:
    """Register the hooks. Docstrings are turned ahead of napoleon."""
    app.connect("source-read", add_public_names)
    app.connect("autodoc-process-docstring", as_restructured_text, priority=400)
