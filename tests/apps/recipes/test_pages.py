"""The pages of the recipes quote the programs as they run, and each program has at most 50 lines."""

import re
from pathlib import Path

import pytest

from tests.apps.recipes.conftest import HERE
from tests.support.documentation import PAGES, ROOT, Page

RECIPES = [Page(path) for path in sorted((PAGES / "recipes").glob("*.md"))]
PROGRAMS = sorted(path for path in HERE.glob("*.py") if not path.name.startswith(("test_", "conftest")))
MAX_LINES = 50


@pytest.mark.parametrize("path", [*PROGRAMS, HERE / "state_machine.json"], ids=lambda path: path.name)
def test_one_page_quotes_the_whole_program(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    assert [block.text for page in RECIPES for block in page.blocks].count(text) == 1


def test_every_page_says_what_it_guarantees_and_names_its_test() -> None:
    overview = Page(PAGES / "recipes.md").text
    for page in RECIPES:
        assert "## What it guarantees\n" in page.text
        assert "## What it does not guarantee\n" in page.text
        (test,) = re.findall(r"`(tests/[\w/.]+\.py)`", page.text)
        assert (ROOT / test).exists()
        assert f"(recipes/{page.path.name})" in overview
