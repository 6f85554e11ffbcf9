"""Exchanges with real Opencast code, recorded on loopback: `transcripts/opencast-real.json`."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from attrs import frozen

TRANSCRIPT = Path(__file__).parent / "transcripts" / "opencast-real.json"


@frozen
class Answered:
    """A status, headers and a body, of a real server or of the sandbox."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def kind(self) -> str | None:
        """The Content-Type."""
        return self.headers.get("content-type")

    @property
    def tree(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@frozen
class Recorded:
    """A request, and what a real server answered."""

    release: str
    name: str
    method: str
    path: str
    accept: str
    content_type: str | None
    body: str | None
    answer: Answered

    @property
    def key(self) -> str:
        """The release and the name, which no other exchange has."""
        return f"{self.release} {self.name}"

    @property
    def is_json(self) -> bool:
        """True if the answer is JSON by its Content-Type and by its body: refusals are texts that are called JSON."""
        return "json" in (self.answer.kind or "") and self.answer.body[:1] in {"[", "{"}


@cache
def exchanges() -> tuple[Recorded, ...]:
    """Return every recorded exchange, in order."""
    return tuple(map(_recorded, json.loads(TRANSCRIPT.read_text())["exchanges"]))


def _recorded(tree: Any) -> Recorded:
    request, response = tree["request"], tree["response"]
    headers = _lower(request["headers"])
    return Recorded(
        tree["opencast"],
        tree["name"],
        request["method"],
        request["path"],
        headers["accept"],
        headers.get("content-type"),
        request["body"],
        Answered(response["status"], _lower(response["headers"]), response["body"] or ""),
    )


def _lower(headers: list[list[str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}
