"""Exchanges with real Opencast code, recorded on loopback: `transcripts/opencast-real.json`."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from attrs import frozen

TRANSCRIPT_PATH = Path(__file__).parent / "transcripts" / "opencast-real.json"


@frozen
class RecordedResponse:
    """A response of a real server or of the sandbox."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def content_type(self) -> str | None:
        """The Content-Type."""
        return self.headers.get("content-type")

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@frozen
class RecordedExchange:
    """A request, and the response of a real server."""

    release: str
    name: str
    method: str
    path: str
    accept: str
    content_type: str | None
    body: str | None
    response: RecordedResponse

    @property
    def key(self) -> str:
        """The release and the name, which identify the exchange."""
        return f"{self.release} {self.name}"

    @property
    def is_json(self) -> bool:
        """True if the Content-Type and the body are JSON. Opencast labels some plain text errors as JSON."""
        return "json" in (self.response.content_type or "") and self.response.body[:1] in {"[", "{"}


@cache
def recorded_exchanges() -> tuple[RecordedExchange, ...]:
    """Return every recorded exchange, in order."""
    return tuple(map(_exchange, json.loads(TRANSCRIPT_PATH.read_text())["exchanges"]))


def _exchange(tree: Any) -> RecordedExchange:
    request, response = tree["request"], tree["response"]
    headers = _lower_case(request["headers"])
    return RecordedExchange(
        tree["opencast"],
        tree["name"],
        request["method"],
        request["path"],
        headers["accept"],
        headers.get("content-type"),
        request["body"],
        RecordedResponse(response["status"], _lower_case(response["headers"]), response["body"] or ""),
    )


def _lower_case(headers: list[list[str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}
