"""What the README quotes of the applications is what runs here."""

import re

import pytest

from tests.apps.conftest import HERE

README = (HERE.parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def quotable(name: str) -> str:
    """The part of an application that the README quotes."""
    return (HERE / name).read_text().split("# README: from here\n")[1].split("# README: to here\n")[0].strip()


@pytest.mark.parametrize("name", ["fastapi_app.py", "aiohttp_app.py"])
def test_the_readme_quotes_the_application_as_it_runs(name: str) -> None:
    quoted = [block for block in BLOCKS if quotable(name) in block]
    assert len(quoted) == 1
    before = quoted[0].partition(quotable(name))[0].split("\n")
    assert set(before) <= set((HERE / name).read_text().split("\n"))
