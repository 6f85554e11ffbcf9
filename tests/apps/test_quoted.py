"""What the pages on embedding and on synchronous code quote of the applications is what runs here."""

import pytest

from tests.apps.conftest import HERE
from tests.support.documentation import PAGES, Page

BLOCKS = [block.text for block in Page(PAGES / "embedding.md").programs]


def quotable(name: str) -> str:
    """Return the part of an application that the page quotes."""
    return (HERE / name).read_text().split("# docs: from here\n")[1].split("# docs: to here\n")[0].strip()


@pytest.mark.parametrize("name", ["fastapi_app.py", "aiohttp_app.py", "litestar_app.py", "django_app.py"])
def test_the_page_quotes_the_application_as_it_runs(name: str) -> None:
    quoted = [block for block in BLOCKS if quotable(name) in block]
    assert len(quoted) == 1
    first, *before = quoted[0].partition(quotable(name))[0].split("\n")
    assert first == f"# {name}"
    assert set(before) <= set((HERE / name).read_text().split("\n"))


def test_the_page_on_synchronous_code_quotes_the_application_as_it_runs() -> None:
    programs = [block.text for block in Page(PAGES / "synchronous.md").programs]
    assert len([text for text in programs if quotable("wsgi_app.py") in text]) == 1
