"""Docstrings and pages are plain English: no words of a private language, and one fact in each sentence."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRIVATE = re.compile(
    r"\b(nobody|anybody|somebody|whoever|whom|thereby|anew|meanwhile|for ever|so many|as many as|endures?|endured"
    r"|ours|theirs|told|come by|comes? of|behind it|by itself|those that|those who|sights?|glances?|glanced|sweeps?"
    r"|carriers?|verdicts?|homes? of|is no such)\b",
    re.IGNORECASE,
)
"""Words that stood for the field's terms once, such as "glance" for a bulk check."""
MAX_PRIVATE = 0.5
"""Private words in 1,000 words."""
MAX_SEMICOLONS = 1.0
"""Semicolons in 100 sentences."""


def docstrings() -> Iterator[str]:
    """Every text of the library that stands alone as a statement."""
    for path in sorted((ROOT / "workflow_async").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                yield str(node.value.value)


def pages() -> Iterator[str]:
    """Yield the prose of README, CHANGELOG and the pages of the documentation, without code and tables."""
    paths = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "workflow_async/docs").rglob("*.md"))]
    for path in paths:
        text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        yield re.sub(r"`[^`]*`|^\|.*$", "", text, flags=re.MULTILINE)


def private_words(texts: list[str]) -> float:
    """Private words in 1,000 words."""
    return 1000 * sum(len(PRIVATE.findall(text)) for text in texts) / sum(len(text.split()) for text in texts)


def semicolons(texts: list[str]) -> float:
    """Semicolons in 100 sentences."""
    sentences = sum(len(re.split(r"(?<=[.!?])\s+", " ".join(text.split()))) for text in texts)
    return 100 * sum(text.count(";") for text in texts) / sentences


def test_docstrings_use_the_terms_of_the_field() -> None:
    assert private_words([*docstrings()]) <= MAX_PRIVATE


def test_a_sentence_of_a_docstring_states_one_fact() -> None:
    assert semicolons([*docstrings()]) <= MAX_SEMICOLONS


def test_pages_use_the_terms_of_the_field() -> None:
    assert private_words([*pages()]) <= MAX_PRIVATE


def test_a_sentence_of_a_page_states_one_fact() -> None:
    assert semicolons([*pages()]) <= MAX_SEMICOLONS


def test_a_private_word_is_found_where_it_stands() -> None:
    assert private_words(["A glance is told to nobody."]) == 1000 * 3 / 6
    assert semicolons(["One; two. Three."]) == 50
